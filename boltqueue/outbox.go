package boltqueue

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"sort"
	"time"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// Redrive implements fprom.Outbox. It redrives each dead letter once, even if it is given up again meanwhile. After an error,
// the dead letters that were redriven before it stay redriven.
func (q *Queue) Redrive(ctx context.Context, f fprom.Filter) (int, error) {
	f.State = fprom.StateDead
	return q.change(ctx, f, (*transaction).redrive)
}

// Drop implements fprom.Outbox. After an error, the dead letters that were dropped before it stay dropped.
func (q *Queue) Drop(ctx context.Context, f fprom.Filter) (int, error) {
	f.State = fprom.StateDead
	return q.change(ctx, f, (*transaction).drop)
}

// Forget implements fprom.Outbox. It changes no done events: their customer was erased at the outcome.
func (q *Queue) Forget(ctx context.Context, customer string) (int, error) {
	if customer == "" {
		return 0, &fprom.ValidationError{Field: "customer", Reason: "is empty"}
	}
	return q.change(ctx, fprom.Filter{Customer: customer}, (*transaction).forget)
}

// change calls apply for the events that f selects, in a commit for each page. It returns how often apply returned true, at most
// f.Limit times.
func (q *Queue) change(ctx context.Context, f fprom.Filter, apply func(*transaction, uint64) bool) (total int, err error) {
	most := cmp.Or(max(f.Limit, 0), math.MaxInt)
	r, err := q.newReader(f)
	for err == nil && r.after < r.end && total < most {
		changed := total
		if err = r.readPage(ctx); len(r.page) > 0 {
			err = q.write(ctx, func(t *transaction) {
				for _, e := range r.page {
					if seq, _ := parseSeq(e.Cursor); changed < most && apply(t, seq) {
						changed++
					}
				}
			})
		}
		if err == nil {
			total = changed
		}
	}
	return total, err
}

// drop removes a dead letter, and the conflicts of its id, which is free now. It returns false if there is none, or if the
// event was damaged since the start and may be in the line.
func (t *transaction) drop(seq uint64) bool {
	r := t.read(seq)
	if r.damaged && t.openSeq(hashOf(r.Key)) != seq {
		return false
	}
	t.removeConflicts(r)
	t.remove(seq, r)
	return true
}

// redrive makes a dead letter the last waiting event. A damaged or erased one stays.
func (t *transaction) redrive(seq uint64) bool {
	r := t.read(seq)
	if len(r.Body) == 0 { // or gone meanwhile: no event that waits has the seq of one that was dead
		return false
	}
	t.remove(seq, r)
	t.store(r.Message)
	return true
}

// forget erases the customer of a dead letter now, and marks a waiting event to be erased at its outcome.
func (t *transaction) forget(seq uint64) bool {
	r := t.read(seq)
	if r.damaged { // or done meanwhile
		return false
	}
	dead := r.state == fprom.StateDead
	if dead {
		r.erase()
	}
	r.flags |= flagForget
	must(t.open.Put(seqKey(seq), r.encode(seq)))
	return dead
}

// History implements fprom.Outbox. It reads only the outcomes between from and to. Outcomes are kept as long as event ids (see
// WithRetention).
func (q *Queue) History(ctx context.Context, from, to time.Time, step time.Duration) ([]fprom.Bucket, error) {
	buckets, err := fprom.NewBuckets(from, to, step)
	if len(buckets) == 0 {
		return nil, err
	}
	end := timeKey(to, 0)
	err = q.view(func(tx *bbolt.Tx) {
		c := tx.Bucket(bucketTimes).Cursor()
		for k, v := c.Seek(timeKey(buckets[0].Start, 0)); k != nil && bytes.Compare(k, end) < 0 && ctx.Err() == nil; k, v = c.Next() {
			at := timeOf(k)
			i := sort.Search(len(buckets), func(i int) bool { return buckets[i].Start.After(at) })
			buckets[max(i-1, 0)].Add(fprom.State(v), fprom.Outcome(v)) // v is "dead" or an outcome
		}
	})
	return buckets, cmp.Or(err, ctx.Err())
}
