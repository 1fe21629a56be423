package boltqueue

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// hasPlaces reports whether what f selects can be found without looking at all: a key has one place, unless it may be put again.
func hasPlaces(f fprom.Filter) bool {
	return len(f.Keys) > 0 && f.Kind != "" && !fprom.Message{Kind: f.Kind}.Repeats()
}

// places are the seqs of the events that the keys of f may mean, in order.
func (q *Queue) places(ctx context.Context, f fprom.Filter) (seqs []uint64, err error) {
	for keys := range slices.Chunk(f.Keys, pageSize) { // puts have their turn between
		var found []uint64
		err := q.write(ctx, 0, func(w *work) error {
			found = found[:0]
			for _, k := range keys {
				for _, safe := range []string{fprom.SafeKey(k), fprom.SafeKey(f.Kind + ":" + k)} {
					if seq := w.waits(hashOf(safe)); seq != 0 {
						found = append(found, seq)
					}
					if id := w.ids.Get([]byte(safe)); id != nil {
						found = append(found, binary.BigEndian.Uint64(id))
					}
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		seqs = append(seqs, found...)
	}
	slices.Sort(seqs)
	return slices.Compact(seqs), nil
}

// readSeqs is readPage of some seqs, in their order.
func readSeqs(tx *bbolt.Tx, f fprom.Filter, keys map[string]bool, seqs []uint64, after, end uint64) (page []fprom.Entry, last uint64) {
	for _, seq := range seqs {
		if seq > after && len(page) < pageSize {
			found, _ := readPage(tx, f, keys, seq-1, seq)
			page, last = append(page, found...), seq
		}
	}
	if len(page) < pageSize {
		last = end
	}
	return page, last
}
