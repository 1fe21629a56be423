package boltqueue

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"

	"go.etcd.io/bbolt"
)

// run is a sorted part of the index, a bucket of its own: key hash (16) → seq (8), digest (8).
type run struct {
	id             uint32
	level          uint8
	count          uint64
	minSeq, maxSeq uint64
	filter         filter
}

const (
	runPrefix = "run"
	runHeader = 4 + 1 + 3*8
	mergeRuns = 4    // so many of one level make one of the next
	mergeIdle = 1024 // keys merged in one transaction when there is nothing else to do
)

func (r *run) name() []byte { return binary.BigEndian.AppendUint32([]byte(runPrefix), r.id) }

// encode: crc32c (4), level (1), count, lowest and highest seq (8 each), filter.
func (r *run) encode() []byte {
	b := append(make([]byte, 4, runHeader+len(r.filter)), r.level)
	for _, v := range [...]uint64{r.count, r.minSeq, r.maxSeq} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = append(b, r.filter...)
	binary.BigEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	return b
}

// decodeRun: a damaged one is used all the same, without filter.
func decodeRun(id uint32, v []byte) *run {
	r := &run{id: id, maxSeq: ^uint64(0)}
	if len(v) < runHeader || binary.BigEndian.Uint32(v) != crc32.Checksum(v[4:], castagnoli) {
		return r
	}
	r.level = v[4]
	r.count, r.minSeq, r.maxSeq = binary.BigEndian.Uint64(v[5:]), binary.BigEndian.Uint64(v[13:]), binary.BigEndian.Uint64(v[21:])
	r.filter = bytes.Clone(v[runHeader:])
	return r
}

// loadRuns reads the list of runs with their filters, and removes what a crash left of a merge.
func (q *Queue) loadRuns(w *work) error {
	known := map[string]bool{}
	c := w.runList().Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if len(k) != 4 {
			continue
		}
		r := decodeRun(binary.BigEndian.Uint32(k), v)
		known[string(r.name())] = true
		q.c.runs = append(q.c.runs, r)
	}
	var left [][]byte
	err := w.tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		if bytes.HasPrefix(name, []byte(runPrefix)) && len(name) == len(runPrefix)+4 && !known[string(name)] {
			left = append(left, bytes.Clone(name))
		}
		return nil
	})
	for _, name := range left {
		err = joinErr(err, w.tx.DeleteBucket(name))
	}
	return err
}

// builder writes a run in the order of its keys.
type builder struct {
	*run
	bucket *bbolt.Bucket
}

func (w *work) newRun(level uint8, keys uint64) (builder, error) {
	w.dirty = true
	r := &run{id: uint32(w.st.runSeq), level: level, minSeq: ^uint64(0), filter: newFilter(keys)}
	w.st.runSeq++
	b, err := w.tx.CreateBucket(r.name())
	return builder{r, b}, err
}

func (b builder) add(h hash, e entry) error {
	b.bucket.FillPercent = 1
	b.count++
	b.minSeq, b.maxSeq = min(b.minSeq, e.seq), max(b.maxSeq, e.seq)
	b.filter.add(h)
	return b.bucket.Put(h[:], pairKey(e.seq, e.digest))
}

// publish puts a complete run into the list.
func (w *work) publish(r *run) error {
	w.dirty = true
	w.runs = append(slices.Clip(w.runs), r)
	return w.runList().Put(binary.BigEndian.AppendUint32(nil, r.id), r.encode())
}

func (w *work) dropRun(r *run) error {
	w.dirty = true
	w.runs = slices.DeleteFunc(slices.Clone(w.runs), func(o *run) bool { return o == r })
	if err := w.runList().Delete(binary.BigEndian.AppendUint32(nil, r.id)); err != nil {
		return err
	}
	if w.tx.Bucket(r.name()) == nil {
		return nil
	}
	return w.tx.DeleteBucket(r.name())
}

// merge is a run in the making.
type merge struct {
	from []*run
	to   *run
	last []byte // key; nil at the beginning
}

// tend keeps the runs few, n keys at a time: of a merge under way, or of the next.
func (w *work) tend(n int) error {
	for _, r := range w.runs {
		if r.maxSeq < w.st.forget && (w.merge == nil || !slices.Contains(w.merge.from, r)) {
			return w.dropRun(r)
		}
	}
	if w.merge == nil {
		from, level := w.nextMerge()
		if from == nil {
			return nil
		}
		keys := uint64(0)
		for _, r := range from {
			keys += r.count
		}
		b, err := w.newRun(level, keys)
		if err != nil {
			return err
		}
		w.merge = &merge{from: from, to: b.run}
	}
	return w.mergeStep(n)
}

// nextMerge: runs of one level that have become many, or one that is mostly forgotten.
func (w *work) nextMerge() (from []*run, level uint8) {
	for _, r := range w.runs {
		if r.minSeq < w.st.forget && w.st.forget-r.minSeq > (r.maxSeq-r.minSeq)/2 {
			return []*run{r}, r.level
		}
	}
	byLevel := map[uint8][]*run{}
	for _, r := range w.runs {
		byLevel[r.level] = append(byLevel[r.level], r)
		if len(byLevel[r.level]) == mergeRuns {
			return byLevel[r.level], min(r.level+1, 64)
		}
	}
	return nil, 0
}

// source is one run that is merged, at its smallest key that was not.
type source struct {
	cursor     *bbolt.Cursor
	key, value []byte
}

// mergeStep merges the next n keys. Of two entries with one key the newer stays; what is forgotten goes.
func (w *work) mergeStep(n int) error {
	w.dirty = true
	m := *w.merge
	to := *m.to // the original stays as it is until the commit
	m.to = &to
	w.merge = &m
	out := builder{m.to, w.tx.Bucket(m.to.name())}
	sources := w.sources(&m)
	for ; n > 0 && len(sources) > 0; n-- {
		var best entry
		key := slices.MinFunc(sources, func(a, b *source) int { return bytes.Compare(a.key, b.key) }).key
		for _, s := range sources {
			if bytes.Equal(s.key, key) {
				if e, ok := decodeEntry(s.value); ok && e.seq >= best.seq {
					best = e
				}
				s.key, s.value = s.cursor.Next()
			}
		}
		if len(key) == len(hash{}) && best.seq >= w.st.forget && best.seq != 0 {
			if err := out.add(hash(key), best); err != nil {
				return err
			}
		}
		m.last = key
		sources = slices.DeleteFunc(sources, func(s *source) bool { return s.key == nil })
	}
	m.last = bytes.Clone(m.last)
	if len(sources) > 0 {
		return nil
	}
	return w.finishMerge(&m)
}

func (w *work) sources(m *merge) []*source {
	var sources []*source
	for _, r := range m.from {
		b := w.tx.Bucket(r.name())
		if b == nil {
			continue
		}
		s := &source{cursor: b.Cursor()}
		if s.key, s.value = s.cursor.Seek(m.last); bytes.Equal(s.key, m.last) && m.last != nil {
			s.key, s.value = s.cursor.Next()
		}
		if s.key != nil {
			sources = append(sources, s)
		}
	}
	return sources
}

func (w *work) finishMerge(m *merge) error {
	w.merge = nil
	for _, r := range m.from {
		if err := w.dropRun(r); err != nil {
			return err
		}
	}
	if m.to.count == 0 {
		return w.tx.DeleteBucket(m.to.name())
	}
	return w.publish(m.to)
}
