package boltqueue

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// names are the SafeKeys that the keys of a filter may mean; nil: any.
func names(f fprom.Filter) map[string]bool {
	if len(f.Keys) == 0 {
		return nil
	}
	names := map[string]bool{}
	for _, k := range f.SafeKeys() {
		names[k] = true
	}
	return names
}

// places are the seqs of the events with these names, in order: one for each, unless it may be put again.
func (q *Queue) places(ctx context.Context, names map[string]bool) ([]uint64, error) {
	var seqs []uint64
	for some := range slices.Chunk(slices.Collect(maps.Keys(names)), 2*pageSize) { // puts have their turn between
		err := q.write(ctx, 0, func(t *transaction) error {
			for _, name := range some {
				if seq := t.waitingSeq(hashOf(name)); seq != 0 {
					seqs = append(seqs, seq)
				}
				if id := t.ids.Get([]byte(name)); id != nil {
					seqs = append(seqs, binary.BigEndian.Uint64(id))
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(seqs)
	return slices.Compact(seqs), nil
}

// readSeqs is readPage of some seqs, in their order.
func readSeqs(tx *bbolt.Tx, f fprom.Filter, names map[string]bool, seqs []uint64, after, end uint64) (page []fprom.Entry, last uint64) {
	for _, seq := range seqs {
		if seq > after && len(page) < pageSize {
			found, _ := readPage(tx, f, names, seq-1, seq)
			page, last = append(page, found...), seq
		}
	}
	if len(page) < pageSize {
		last = end
	}
	return page, last
}
