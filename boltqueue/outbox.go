package boltqueue

import (
	"bytes"
	"context"
	"errors"
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
		return 0, errors.New("fprom: forget: the customer is empty")
	}
	return q.change(ctx, fprom.Filter{Customer: customer}, (*transaction).forget)
}

// change calls apply for the events that f selects, in a transaction for each page. It returns for how many events apply
// returned true, at most f.Limit.
func (q *Queue) change(ctx context.Context, f fprom.Filter, apply func(*transaction, uint64) (bool, error)) (int, error) {
	total := 0
	for page, err := range q.pages(ctx, f) {
		if err != nil {
			return total, err
		}
		changed := 0
		err = q.write(ctx, func(t *transaction) error {
			for _, e := range page {
				seq, err := parseSeq(e.Cursor)
				if err != nil || f.Limit > 0 && total+changed == f.Limit {
					return err
				}
				ok, err := apply(t, seq)
				if err != nil {
					return err
				}
				if ok {
					changed++
				}
			}
			return nil
		})
		if err != nil {
			return total, err
		}
		if total += changed; f.Limit > 0 && total == f.Limit {
			break
		}
	}
	return total, nil
}

// History implements fprom.Outbox. It reads only the outcomes between from and to. Outcomes are kept as long as event ids (see
// WithRetention).
func (q *Queue) History(ctx context.Context, from, to time.Time, step time.Duration) ([]fprom.Bucket, error) {
	buckets, err := fprom.NewBuckets(from, to, step)
	if err != nil || len(buckets) == 0 {
		return nil, err
	}
	end := timeKey(to, 0)
	for next := timeKey(buckets[0].Start, 0); next != nil; {
		if err := q.view(func(tx *bbolt.Tx) error {
			next = countOutcomes(tx, buckets, next, end)
			return ctx.Err()
		}); err != nil {
			return nil, err
		}
	}
	return buckets, nil
}

// countOutcomes adds the outcomes from key from on to the buckets. It returns the key to continue with; nil at the end.
func countOutcomes(tx *bbolt.Tx, buckets []fprom.Bucket, from, end []byte) []byte {
	c := tx.Bucket(bucketTimes).Cursor()
	k, v := c.Seek(from)
	for range pageScan {
		if k == nil || bytes.Compare(k, end) >= 0 {
			return nil
		}
		at := timeOf(k)
		if i := sort.Search(len(buckets), func(i int) bool { return buckets[i].Start.After(at) }) - 1; i >= 0 {
			buckets[i].Add(fprom.State(v), fprom.Outcome(v)) // v is "dead" or an outcome
		}
		k, v = c.Next()
	}
	return bytes.Clone(k)
}
