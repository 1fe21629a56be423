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
func (q *Queue) change(ctx context.Context, f fprom.Filter, apply func(*transaction, uint64) (bool, error)) (total int, err error) {
	for page, err := range q.pages(ctx, f) {
		changed := 0
		if err == nil {
			err = q.write(ctx, func(t *transaction) error {
				for _, e := range page {
					if f.Limit > 0 && total+changed == f.Limit {
						break
					}
					seq, _ := parseSeq(e.Cursor)
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
		}
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
	next, end := timeKey(buckets[0].Start, 0), timeKey(to, 0)
	for next != nil && err == nil {
		err = q.view(func(tx *bbolt.Tx) error {
			c := tx.Bucket(bucketTimes).Cursor()
			k, v := c.Seek(next)
			for n := 0; n < pageScan && k != nil; n++ {
				if bytes.Compare(k, end) >= 0 {
					k = nil
					break
				}
				at := timeOf(k)
				i := sort.Search(len(buckets), func(i int) bool { return buckets[i].Start.After(at) })
				buckets[max(i-1, 0)].Add(fprom.State(v), fprom.Outcome(v)) // v is "dead" or an outcome
				k, v = c.Next()
			}
			next = bytes.Clone(k) // nil at the end
			return ctx.Err()
		})
	}
	return buckets, err
}
