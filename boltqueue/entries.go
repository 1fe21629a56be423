package boltqueue

import (
	"context"
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
	pageSize = 100  // entries that are read or changed in one transaction
	pageScan = 2000 // records that are examined in one transaction
)

// Entries implements fprom.Outbox. It reads all events put after Filter.After and, roughly, after Filter.Since. But if Filter
// has Keys and a Kind other than KindCancellation, it reads only the events with these keys.
func (q *Queue) Entries(ctx context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error] {
	return func(yield func(fprom.Entry, error) bool) {
		left := f.Limit
		for page, err := range q.pages(ctx, f) {
			if err != nil {
				yield(fprom.Entry{}, err)
				return
			}
			for _, e := range page {
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

// pages yields the entries that f selects, with the customers in clear. It ignores f.Limit, and leaves out events that are put
// after its beginning. Between two pages no transaction is open.
func (q *Queue) pages(ctx context.Context, f fprom.Filter) iter.Seq2[[]fprom.Entry, error] {
	return func(yield func([]fprom.Entry, error) bool) {
		r, err := q.newReader(ctx, f)
		for err == nil && r.after < r.end {
			var page []fprom.Entry
			err = q.view(func(tx *bbolt.Tx) error {
				page = r.readPage(tx)
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

// reader reads the entries that a filter selects, page by page.
type reader struct {
	filter     fprom.Filter    // without Keys
	keys       map[string]bool // the SafeKeys that Filter.Keys can mean; nil: all
	seqs       []uint64        // the only events to read, ascending; nil: all
	after, end uint64          // the seqs that are left to read: after < seq ≤ end
}

func (q *Queue) newReader(ctx context.Context, f fprom.Filter) (*reader, error) {
	after, err := parseSeq(f.After)
	if err != nil {
		return nil, err
	}
	r := &reader{filter: f, after: after}
	r.filter.Keys = nil
	if len(f.Keys) > 0 {
		r.keys = map[string]bool{}
		for _, k := range f.SafeKeys() {
			r.keys[k] = true
		}
		if f.Kind != "" && !(fprom.Message{Kind: f.Kind}).Repeats() {
			find := func(t *transaction) error {
				r.seqs = t.seqsOf(r.keys)
				return nil
			}
			if err := q.write(ctx, 0, find); err != nil { // it changes nothing, but Queue.keys belongs to the commit
				return nil, err
			}
		}
	}
	return r, q.view(func(tx *bbolt.Tx) error {
		r.after, r.end = max(r.after, settledBefore(tx, f.Since)), tx.Bucket(bucketWaiting).Sequence()
		return nil
	})
}

// seqsOf returns the seqs of the events with these keys, ascending.
func (t *transaction) seqsOf(keys map[string]bool) []uint64 {
	seqs := []uint64{}
	for key := range keys {
		if seq := t.waitingSeq(hashOf(key)); seq != 0 {
			seqs = append(seqs, seq)
		}
		if id := t.ids.Get([]byte(key)); id != nil {
			seqs = append(seqs, seqOf(id))
		}
	}
	slices.Sort(seqs)
	return slices.Compact(seqs)
}

// maxSkew is how far the clock that events were recorded by may have been ahead of the one that their outcomes were written by.
const maxSkew = 48 * time.Hour

// settledBefore returns the seq of the last event that had its outcome maxSkew before since; 0 if there is none. That event, and
// all events with a lower seq, were recorded before since.
func settledBefore(tx *bbolt.Tx, since time.Time) uint64 {
	if since.IsZero() {
		return 0
	}
	c := tx.Bucket(bucketTimes).Cursor()
	c.Seek(timeKey(since.Add(-maxSkew), 0)) // then Prev, also if there is no such key
	k, _ := c.Prev()
	return seqOfTimeKey(k)
}

func (r *reader) readPage(tx *bbolt.Tx) (page []fprom.Entry) {
	if r.seqs == nil {
		page, r.after = r.readRange(tx, r.after, r.end)
		return page
	}
	for len(r.seqs) > 0 && len(page) < pageSize {
		if seq := r.seqs[0]; seq > r.after {
			found, _ := r.readRange(tx, seq-1, seq)
			page = append(page, found...)
		}
		r.seqs = r.seqs[1:]
	}
	if len(r.seqs) == 0 {
		r.after = r.end
	}
	return page
}

// states are the states of events, and the names of their buckets. The largest bucket is last: the others shorten its scan.
var states = []fprom.State{fprom.StateDead, fprom.StateWaiting, fprom.StateDone}

// readRange returns entries with after < seq ≤ end, up to the seq last. A bucket with too many records for one page lowers end.
func (r *reader) readRange(tx *bbolt.Tx, after, end uint64) (page []fprom.Entry, last uint64) {
	found := map[uint64]fprom.Entry{}
	for _, state := range states {
		if r.filter.State != "" && r.filter.State != state {
			continue
		}
		c, read, matched := tx.Bucket([]byte(state)).Cursor(), 0, 0
		for k, v := c.Seek(seqKey(after + 1)); k != nil; k, v = c.Next() {
			seq := seqOf(k)
			if seq > end {
				break
			}
			if r.keys == nil || r.keys[safeKeyIn(v)] || state == fprom.StateDead { // decoding the others would be slow
				if e := entryOf(seq, v, state); (r.keys == nil || r.keys[e.Key]) && r.filter.Match(e) {
					found[seq] = e
					matched++
				}
			}
			if read++; read == pageScan || matched == pageSize {
				end = seq
			}
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(found)) {
		if seq <= end {
			page = append(page, found[seq])
		}
	}
	return page, end
}

func damagedKey(seq uint64) string { return "damaged:" + formatSeq(seq) }

func entryOf(seq uint64, b []byte, state fprom.State) fprom.Entry {
	r, err := decode(seq, b)
	if err != nil {
		return fprom.Entry{Key: damagedKey(seq), State: state, Outcome: fprom.Undelivered, Reason: err.Error(), Damaged: true, Cursor: formatSeq(seq)}
	}
	return r.entry(seq, state)
}

func formatSeq(seq uint64) string { return strconv.FormatUint(seq, 10) }

func parseSeq(cursor string) (uint64, error) {
	if cursor == "" {
		return 0, nil
	}
	seq, err := strconv.ParseUint(cursor, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("fprom: %q is not the cursor of an entry", cursor)
	}
	return seq, nil
}
