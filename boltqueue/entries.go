package boltqueue

import (
	"bytes"
	"cmp"
	"context"
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

	maxSkew = 30 * 24 * time.Hour // how far ahead the clock that recorded an event may have been
)

// Entries implements fprom.Outbox. It leaves out events that are put after its beginning. It reads all events put after
// Filter.After and, roughly, later than a month before Filter.Since. But if Filter has Keys and a Kind other than
// KindCancellation, it reads only the events with these keys. Between two pages no transaction is open.
func (q *Queue) Entries(ctx context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error] {
	return func(yield func(fprom.Entry, error) bool) {
		left := f.Limit
		r, err := q.newReader(f)
		for err == nil && r.after < r.end {
			err = r.readPage(ctx)
			for _, e := range r.page {
				if left--; !yield(f.Show(e), nil) || left == 0 {
					return
				}
			}
		}
		if err != nil {
			yield(fprom.Entry{}, err)
		}
	}
}

// reader reads the entries that a filter selects, page by page.
type reader struct {
	q          *Queue
	page       []fprom.Entry
	filter     fprom.Filter    // without Keys
	keys       map[string]bool // the SafeKeys that Filter.Keys can mean; empty: all
	seqs       []uint64        // the only events to read, ascending, then end+1; nil: all
	after, end uint64          // the seqs that are left to read: after < seq ≤ end
}

func (q *Queue) newReader(f fprom.Filter) (*reader, error) {
	after, err := parseSeq(f.After)
	if err != nil {
		return nil, err
	}
	r := &reader{q: q, filter: f, keys: map[string]bool{}, after: after}
	r.filter.Keys = nil
	for _, k := range f.SafeKeys() {
		r.keys[k] = true
		r.seqs = append(r.seqs, q.openSeq(hashOf(k))) // before the file is read: what is not open any more is done there
	}
	failpoint("looked up")
	return r, q.view(func(tx *bbolt.Tx) {
		r.end = tx.Bucket(bucketOpen).Sequence()
		old := tx.Bucket(bucketTimes).Cursor()
		old.Seek(timeKey(f.Since.Add(-maxSkew), 0)) // then Prev, also if there is no such key
		k, _ := old.Prev()                          // its event, and all with a lower seq, were recorded before f.Since
		r.after = max(r.after, seqOfTimeKey(k))
		if f.Kind == "" || (fprom.Message{Kind: f.Kind}).Repeats() {
			r.seqs = nil
			return
		}
		for k := range r.keys {
			r.seqs = append(r.seqs, seqOf(tx.Bucket(bucketIDs).Get([]byte(k))), r.end+1)
		}
		slices.Sort(r.seqs)
	})
}

// readPage reads the next entries into r.page. It examines at most pageScan events. Puts do not wait for it.
func (r *reader) readPage(ctx context.Context) error {
	r.page = nil
	err := r.q.view(func(tx *bbolt.Tx) {
		open, done := tx.Bucket(bucketOpen).Cursor(), tx.Bucket(bucketDone).Cursor()
		for n := 0; n < pageScan && len(r.page) < pageSize; n++ {
			if i, _ := slices.BinarySearch(r.seqs, r.after+1); i < len(r.seqs) {
				r.after = r.seqs[i] - 1
			}
			seq, value, isDone := r.next(open, done)
			if seq <= r.after || seq > r.end {
				r.after = r.end
				break
			}
			r.after = seq
			if state := r.filter.State; state != "" && !isDone && waits(seq, value) != (state == fprom.StateWaiting) || recordedAt(value).Before(r.filter.Since) {
				continue // before it is decoded: a million events may wait beside a few dead letters
			}
			record := decode(seq, value, isDone)
			if len(r.keys) > 0 && !r.keys[fprom.SafeKey(record.Key)] {
				continue // before the entry is made, which takes longer
			}
			if e := record.entry(seq); r.filter.Match(e) {
				r.page = append(r.page, e)
			}
		}
	})
	return cmp.Or(err, ctx.Err())
}

// next returns the first event after r.after that may be in the state of the filter; seq 0 if there is none. Done events have no customer.
func (r *reader) next(open, done *bbolt.Cursor) (seq uint64, value []byte, isDone bool) {
	var k, doneK, doneV []byte
	if r.filter.State != fprom.StateDone {
		k, value = open.Seek(seqKey(r.after + 1))
	}
	if (r.filter.State == "" || r.filter.State == fprom.StateDone) && r.filter.Customer == "" {
		doneK, doneV = done.Seek(seqKey(r.after + 1))
	}
	if k == nil || doneK != nil && bytes.Compare(doneK, k) < 0 {
		return seqOf(doneK), doneV, true
	}
	return seqOf(k), value, false
}

func formatSeq(seq uint64) string { return strconv.FormatUint(seq, 10) }

// parseSeq returns 0 for no cursor.
func parseSeq(cursor string) (uint64, error) {
	seq, err := strconv.ParseUint("0"+cursor, 10, 64)
	if err != nil {
		return 0, &fprom.ValidationError{Field: "Filter.After", Reason: "is no Entry.Cursor of this queue"}
	}
	return seq, nil
}
