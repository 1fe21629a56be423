package boltqueue

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

const (
	pageSize = 100  // entries read, or changed, at once
	pageScan = 2000 // records looked at in one read of the file
)

// Entries implements fprom.Outbox. It looks at all events after Filter.After and about since Filter.Since, but for those of
// Filter.Keys of one Filter.Kind, which it finds at once, unless they are cancellations.
func (q *Queue) Entries(ctx context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error] {
	return func(yield func(fprom.Entry, error) bool) {
		left := f.Limit
		for found, err := range q.scan(ctx, f) {
			if err != nil {
				yield(fprom.Entry{}, err)
				return
			}
			for _, e := range found {
				if !yield(f.Show(e), nil) {
					return
				}
				if left--; left == 0 {
					return
				}
			}
		}
	}
}

// scan ranges over what f selects, in pages, with the customers in clear; it does not look at f.Limit. Between two pages
// nothing is held. What is put after the beginning is not seen.
func (q *Queue) scan(ctx context.Context, f fprom.Filter) iter.Seq2[[]fprom.Entry, error] {
	return func(yield func([]fprom.Entry, error) bool) {
		after, err := parseSeq(f.After)
		err = cmp.Or(err, q.usable())
		end, names := uint64(0), names(f)
		f.Keys = nil // they are found in names
		read := func(tx *bbolt.Tx) ([]fprom.Entry, uint64) { return readPage(tx, f, names, after, end) }
		if err == nil && names != nil && f.Kind != "" && !(fprom.Message{Kind: f.Kind}).Repeats() {
			var seqs []uint64
			seqs, err = q.places(ctx, names)
			read = func(tx *bbolt.Tx) ([]fprom.Entry, uint64) { return readSeqs(tx, f, names, seqs, after, end) }
		}
		if err == nil {
			err = q.view(func(tx *bbolt.Tx) error {
				after, end = max(after, before(tx, f.Since)), tx.Bucket(bucketWaiting).Sequence()
				return nil
			})
		}
		for err == nil && after < end {
			var page []fprom.Entry
			err = q.view(func(tx *bbolt.Tx) error {
				page, after = read(tx)
				return ctx.Err()
			})
			if err == nil && len(page) > 0 && !yield(page, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// before is the seq of a message that was put before that time, as were all with lower ones: one that had its outcome then.
func before(tx *bbolt.Tx, since time.Time) uint64 {
	if since.IsZero() {
		return 0
	}
	c := tx.Bucket(bucketTimes).Cursor()
	c.Seek(timeKey(since, 0)) // or to behind the last one
	k, _ := c.Prev()
	if len(k) != 16 {
		return 0
	}
	return binary.BigEndian.Uint64(k[8:])
}

// states are where entries are, the shortest first.
var states = []struct {
	fprom.State
	bucket []byte
}{{fprom.StateDead, bucketDead}, {fprom.StateWaiting, bucketWaiting}, {fprom.StateDone, bucketDone}}

// readPage returns some entries after a seq that f selects, and how far it came.
func readPage(tx *bbolt.Tx, f fprom.Filter, names map[string]bool, after, end uint64) ([]fprom.Entry, uint64) {
	found := map[uint64]fprom.Entry{}
	for _, s := range states {
		if f.State != "" && f.State != s.State {
			continue
		}
		c, read, matched := tx.Bucket(s.bucket).Cursor(), 0, 0
		for k, v := c.Seek(seqKey(after + 1)); k != nil; k, v = c.Next() {
			seq := binary.BigEndian.Uint64(k)
			if seq > end {
				break
			}
			if names == nil || names[safeKeyIn(v)] || s.State == fprom.StateDead { // most are not worth more
				if e := entryOf(seq, v, s.State); (names == nil || names[e.Key]) && f.Match(e) {
					found[seq] = e
					matched++
				}
			}
			if read++; read == pageScan || matched == pageSize {
				end = seq
			}
		}
	}
	var page []fprom.Entry
	for _, seq := range slices.Sorted(maps.Keys(found)) {
		if seq <= end {
			page = append(page, found[seq])
		}
	}
	return page, end
}

// damagedKey is the key of an entry that cannot be read.
func damagedKey(seq uint64) string { return "damaged:" + formatSeq(seq) }

func entryOf(seq uint64, b []byte, state fprom.State) fprom.Entry {
	r, err := decode(seq, b)
	if err != nil {
		return fprom.Entry{Key: damagedKey(seq), State: state, Outcome: fprom.Undelivered, Reason: err.Error(), Damaged: true, Cursor: formatSeq(seq)}
	}
	return r.entry(seq, state)
}

// Redrive implements fprom.Outbox. Each dead letter is redriven once, also if it is given up again meanwhile. After an error
// those before it are in the queue.
func (q *Queue) Redrive(ctx context.Context, f fprom.Filter) (int, error) {
	f.State = fprom.StateDead
	return q.change(ctx, f, (*transaction).redrive)
}

// Drop implements fprom.Outbox. After an error those before it are removed.
func (q *Queue) Drop(ctx context.Context, f fprom.Filter) (int, error) {
	f.State = fprom.StateDead
	return q.change(ctx, f, (*transaction).drop)
}

// Forget implements fprom.Outbox. What is done has no customer any more.
func (q *Queue) Forget(ctx context.Context, customer string) (int, error) {
	if customer == "" {
		return 0, errors.New("fprom: forget: the customer is empty")
	}
	total := 0
	for _, state := range []fprom.State{fprom.StateWaiting, fprom.StateDead} {
		n, err := q.change(ctx, fprom.Filter{Customer: customer, State: state}, (*transaction).forget)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// change applies f to what the filter selects, and counts where it did something.
func (q *Queue) change(ctx context.Context, f fprom.Filter, apply func(*transaction, uint64) (bool, error)) (int, error) {
	total := 0
	for page, err := range q.scan(ctx, f) {
		if err != nil {
			return total, err
		}
		n := 0
		err = q.write(ctx, 0, func(t *transaction) error {
			for _, e := range page {
				seq, err := parseSeq(e.Cursor)
				if err != nil || f.Limit > 0 && total+n == f.Limit {
					return err
				}
				done, err := apply(t, seq)
				if err != nil {
					return err
				}
				if done {
					n++
				}
			}
			return nil
		})
		if err != nil {
			return total, err
		}
		if total += n; f.Limit > 0 && total == f.Limit {
			break
		}
	}
	return total, nil
}

// History implements fprom.Outbox. It reads only the outcomes of that time. It remembers them for as long as event ids.
func (q *Queue) History(ctx context.Context, from, to time.Time, step time.Duration) ([]fprom.Bucket, error) {
	buckets, err := fprom.NewBuckets(from, to, step)
	err = cmp.Or(err, q.usable())
	end := timeKey(to, 0)
	for next := timeKey(from.Truncate(step), 0); err == nil && next != nil; {
		err = q.view(func(tx *bbolt.Tx) error {
			next = count(tx, buckets, next, end, step)
			return ctx.Err()
		})
	}
	if err != nil {
		return nil, err
	}
	return buckets, nil
}

// count adds outcomes from a key on to their buckets, and returns where to go on; nil: nowhere.
func count(tx *bbolt.Tx, buckets []fprom.Bucket, from, end []byte, step time.Duration) []byte {
	c := tx.Bucket(bucketTimes).Cursor()
	k, v := c.Seek(from)
	for range pageScan {
		if k == nil || bytes.Compare(k, end) >= 0 {
			return nil
		}
		at := time.Unix(0, int64(binary.BigEndian.Uint64(k)))
		if i := int(at.Sub(buckets[0].Start) / step); i >= 0 && i < len(buckets) {
			buckets[i].Add(fprom.State(v), fprom.Outcome(v)) // it is one of both
		}
		k, v = c.Next()
	}
	return bytes.Clone(k)
}

func formatSeq(seq uint64) string { return strconv.FormatUint(seq, 10) }

func parseSeq(cursor string) (uint64, error) {
	if cursor == "" {
		return 0, nil
	}
	seq, err := strconv.ParseUint(cursor, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("fprom: %q is no cursor of an entry", cursor)
	}
	return seq, nil
}
