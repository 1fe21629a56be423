package queuetest_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/fprom-go/fprom"
)

// finish gives a row its outcome.
func (q *model) finish(s *row, res fprom.Result, err error) {
	s.entry.Attempts = s.Attempt
	s.entry.Settle(res, err, time.Now())
	if q.bug == "loses commissions" {
		s.entry.Commissions = 0
	}
	if err == nil && q.bug != "keeps customers" || s.forgotten && q.bug != "forgets too early" {
		s.entry.Customer, s.Body = "", nil
	}
}

// selected is the rows that f selects.
func (q *model) selected(f fprom.Filter) []*row {
	var rows []*row
	after, _ := strconv.Atoi(f.After)
	for _, s := range q.store.rows {
		match := f.Match(s.entry)
		switch q.bug {
		case "whole keys only":
			match = match && (len(f.Keys) == 0 || slices.Contains(f.Keys, s.Key))
		case "case matters":
			match = match && (f.Customer == "" || f.Customer == s.entry.Customer)
		case "blind to times":
			f.Since, f.Until = time.Time{}, time.Time{}
			match = f.Match(s.entry)
		case "blind to reasons":
			f.Reason, f.StatusCode = "", 0
			match = f.Match(s.entry)
		}
		if !match || s.seq <= after && q.bug != "always the first page" {
			continue
		}
		if rows = append(rows, s); len(rows) == f.Limit && q.bug != "no limit of entries" {
			break
		}
	}
	return rows
}

func (q *model) Entries(ctx context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error] {
	ranged := false
	return func(yield func(fprom.Entry, error) bool) {
		if ranged && q.bug == "ranges once" {
			return
		}
		ranged = true
		if err := q.enter(); err != nil {
			yield(fprom.Entry{}, err)
			return
		}
		var es []fprom.Entry
		for _, s := range q.selected(f) {
			e := f.Show(s.entry)
			if q.bug == "shows customers" {
				e.Customer = s.entry.Customer
			}
			if q.bug == "shows keys" {
				e.Key = s.Key
			}
			e.Cursor = strconv.Itoa(s.seq)
			es = append(es, e)
		}
		if q.bug == "entries newest first" {
			slices.Reverse(es)
		}
		if q.bug == "entries hold the lock" {
			defer q.store.mu.Unlock()
		} else {
			q.store.mu.Unlock()
		}
		for _, e := range es {
			if ctx.Err() != nil && q.bug != "deaf to ctx" {
				yield(fprom.Entry{}, ctx.Err())
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// dead is the dead letters that f selects.
func (q *model) dead(f fprom.Filter) []*row {
	if q.bug != "any state" {
		f.State = fprom.StateDead
	}
	return q.selected(f)
}

func (q *model) Redrive(_ context.Context, f fprom.Filter) (int, error) {
	if err := q.enter(); err != nil {
		return 0, err
	}
	defer q.store.mu.Unlock()
	n := 0
	for _, s := range q.dead(f) {
		if s.Body == nil && q.bug != "redrives nothing" {
			continue
		}
		n++
		if q.bug == "redrive is a promise" {
			continue
		}
		q.remove(s)
		if q.add(s.Message); q.bug == "redrives first" {
			q.store.rows[len(q.store.rows)-1].seq = 0
		}
	}
	return n, nil
}

func (q *model) Drop(_ context.Context, f fprom.Filter) (int, error) {
	if err := q.enter(); err != nil {
		return 0, err
	}
	defer q.store.mu.Unlock()
	rows := q.dead(f)
	for _, s := range rows {
		q.remove(s)
	}
	return len(rows), nil
}

func (q *model) History(_ context.Context, from, to time.Time, step time.Duration) ([]fprom.Bucket, error) {
	if err := q.enter(); err != nil {
		return nil, err
	}
	defer q.store.mu.Unlock()
	if step <= 0 {
		return nil, errors.New("step must be positive")
	}
	if q.bug != "from as it is" {
		from = from.Truncate(step)
	}
	var bs []fprom.Bucket
	for at := from; at.Before(to); at = at.Add(step) {
		if len(bs) == 10_000 {
			if q.bug == "part of the history" {
				break
			}
			return nil, errors.New("more than 10,000 intervals")
		}
		b := fprom.Bucket{Start: at}
		for _, s := range q.store.rows {
			if e := s.entry; !s.waits() && !e.SettledAt.Before(at) && e.SettledAt.Before(at.Add(step)) {
				b.Add(e.State, e.Outcome)
			}
		}
		if q.bug != "no empty buckets" || b != (fprom.Bucket{Start: at}) {
			bs = append(bs, b)
		}
	}
	return bs, nil
}

func (q *model) Forget(_ context.Context, customer string) (int, error) {
	if err := q.enter(); err != nil {
		return 0, err
	}
	defer q.store.mu.Unlock()
	n := 0
	if customer == "" && q.bug != "forgets everybody" {
		return 0, &fprom.ValidationError{Field: "customer", Reason: "is empty"}
	}
	q.store.rows = slices.DeleteFunc(q.store.rows, func(s *row) bool {
		if s.entry.Customer == "" || !(fprom.Filter{Customer: customer}).Match(s.entry) {
			return false
		}
		n++
		switch {
		case s.waits() && q.bug == "forgets what waits":
			s.Body = nil
		case s.waits():
			s.forgotten = true
		default:
			s.entry.Customer, s.Body = "", nil
			if q.bug == "forgets sums" {
				s.entry.Amount = 0
			}
		}
		return false
	})
	return n, nil
}
