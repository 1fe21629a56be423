package boltqueue

import (
	"bytes"
	"context"
	"fmt"
	"iter"
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
		r, err := q.newReader(f)
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

func (q *Queue) newReader(f fprom.Filter) (*reader, error) {
	after, err := parseSeq(f.After)
	if err != nil {
		return nil, err
	}
	r := &reader{filter: f}
	r.filter.Keys = nil
	if len(f.Keys) > 0 {
		r.keys = map[string]bool{}
		for _, k := range f.SafeKeys() {
			r.keys[k] = true
		}
	}
	return r, q.view(func(tx *bbolt.Tx) error {
		r.after, r.end = max(after, settledBefore(tx, f.Since)), tx.Bucket(bucketOpen).Sequence()
		if r.keys != nil && f.Kind != "" && !(fprom.Message{Kind: f.Kind}).Repeats() {
			r.seqs = q.seqsOf(tx, r.keys)
		}
		return nil
	})
}

// seqsOf returns the seqs of the events with these keys, ascending.
func (q *Queue) seqsOf(tx *bbolt.Tx, keys map[string]bool) []uint64 {
	seqs := []uint64{}
	for key := range keys {
		seqs = append(seqs, q.openSeq(tx, hashOf(key)), seqOf(tx.Bucket(bucketIDs).Get([]byte(key))))
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

// readPage returns the next entries. It examines at most pageScan events.
func (r *reader) readPage(tx *bbolt.Tx) (page []fprom.Entry) {
	next := r.events(tx)
	for n := 0; n < pageScan && len(page) < pageSize; n++ {
		if r.seqs != nil { // go to the next of them
			i, _ := slices.BinarySearch(r.seqs, r.after+1)
			if i == len(r.seqs) {
				r.after = r.end
				break
			}
			r.after = r.seqs[i] - 1
			next = r.events(tx)
		}
		seq, value, done := next()
		if seq == 0 || seq > r.end {
			r.after = r.end
			break
		}
		r.after = seq
		if state := r.filter.State; state != "" && !done && waits(seq, value) != (state == fprom.StateWaiting) {
			continue // before it is decoded: a million events may wait beside a few dead letters
		}
		record := decode(seq, value)
		if r.keys != nil && !r.keys[fprom.SafeKey(record.Key)] || r.filter.Customer != "" && record.Customer == "" {
			continue // before the entry is made, which takes longer
		}
		if e := record.entry(seq, done); r.filter.Match(e) {
			page = append(page, e)
		}
	}
	return page
}

// events returns what returns the events after r.after, one at each call, in the order they were put, and at the end seq 0.
func (r *reader) events(tx *bbolt.Tx) func() (seq uint64, value []byte, done bool) {
	open, done := tx.Bucket(bucketOpen).Cursor(), tx.Bucket(bucketDone).Cursor()
	first := seqKey(r.after + 1)
	k, v := open.Seek(first)
	doneK, doneV := done.Seek(first)
	switch r.filter.State {
	case fprom.StateDone:
		k = nil
	case fprom.StateWaiting, fprom.StateDead:
		doneK = nil
	}
	return func() (uint64, []byte, bool) {
		if doneK == nil || k != nil && bytes.Compare(k, doneK) < 0 {
			seq, value := seqOf(k), v
			k, v = open.Next()
			return seq, value, false
		}
		seq, value := seqOf(doneK), doneV
		doneK, doneV = done.Next()
		return seq, value, true
	}
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
