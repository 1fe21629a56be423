package fpromtest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/fprom-go/fprom"
)

// model is a durable queue that is as simple as can be: its store is memory that outlives it. bug names a rule to break.
type model struct {
	store   *modelStore
	bug     string
	workers int

	mu     sync.Mutex
	closed bool
}

type modelStore struct {
	mu   sync.Mutex
	msgs []*modelMsg
}

type modelMsg struct {
	fprom.Message
	digest uint64
	state  string // "", "done", "dead"
	busy   bool
	due    time.Time
}

func (q *model) Put(_ context.Context, ms ...fprom.Message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed && q.bug != "put after close" {
		return fprom.ErrQueueClosed
	}
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	var conflict error
	for _, m := range ms {
		i := slices.IndexFunc(q.store.msgs, func(s *modelMsg) bool {
			return s.Key == m.Key && (q.bug != "forgets done" || s.state == "")
		})
		if i < 0 || q.bug == "stores twice" {
			m.Attempt = 0
			q.store.msgs = append(q.store.msgs, &modelMsg{Message: m, digest: m.Digest})
			continue
		}
		if s := q.store.msgs[i]; s.digest != m.Digest && q.bug != "blind to conflicts" {
			conflict = fprom.ErrConflict
			if q.bug == "conflict replaces" {
				s.Body = m.Body
			}
			if q.bug == "conflict stops the rest" {
				return conflict
			}
		}
	}
	return conflict
}

func (q *model) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	if q.bug == "one worker more" {
		workers++
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				s, m := q.take()
				if s == nil {
					select {
					case <-ctx.Done():
					case <-time.After(2 * time.Millisecond):
					}
					continue
				}
				_, err := deliver(ctx, m)
				q.settle(ctx, s, m.Attempt, err)
			}
		})
	}
	if q.bug == "does not wait" {
		<-ctx.Done()
		return nil
	}
	wg.Wait()
	if q.bug == "run error" {
		return ctx.Err()
	}
	return nil
}

func (q *model) take() (*modelMsg, fprom.Message) {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	blocked := map[string]bool{}
	msgs := slices.Clone(q.store.msgs)
	if q.bug == "newest first" {
		slices.Reverse(msgs)
	}
	for _, s := range msgs {
		if s.state != "" {
			continue
		}
		if s.busy || s.due.After(time.Now()) || blocked[s.Customer] {
			if q.bug == "one for all" {
				return nil, fprom.Message{}
			}
			blocked[s.Customer] = q.bug != "no order"
			continue
		}
		s.busy = true
		s.Attempt++
		m := s.Message
		if q.bug == "counts from 0" {
			m.Attempt--
		}
		if q.bug == "loses the customer" {
			m.Customer = ""
		}
		return s, m
	}
	return nil, fprom.Message{}
}

func (q *model) settle(ctx context.Context, s *modelMsg, attempt int, err error) {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	s.busy = false
	switch {
	case ctx.Err() != nil && q.bug == "drops late outcomes":
		s.Attempt--
		return
	case err == nil && q.bug != "never done":
		s.state = "done"
		return
	case fprom.IsPermanent(err) && q.bug != "retries permanent":
		s.state = "dead"
		return
	}
	if ctx.Err() != nil && q.bug != "counts interrupted" || fprom.IsHeld(err) && q.bug != "counts held" {
		s.Attempt--
	}
	if q.bug != "no delay" {
		s.due = time.Now().Add(fprom.RetryDelay(attempt, err))
	}
}

func (q *model) pending() []*modelMsg {
	return slices.DeleteFunc(slices.Clone(q.store.msgs), func(s *modelMsg) bool { return s.state != "" })
}

func (q *model) Flush(ctx context.Context) error {
	q.store.mu.Lock()
	before := q.pending()
	q.store.mu.Unlock()
	for {
		q.store.mu.Lock()
		left := slices.ContainsFunc(before, func(s *modelMsg) bool { return s.state == "" })
		if q.bug == "flush waits for all" {
			left = len(q.pending()) > 0
		}
		q.store.mu.Unlock()
		if !left || q.bug == "flush waits for none" {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func (q *model) Stats(context.Context) (fprom.QueueStats, error) {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	var st fprom.QueueStats
	for _, s := range q.store.msgs {
		if s.state == "dead" {
			st.Dead++
		}
	}
	if p := q.pending(); len(p) > 0 && q.bug != "stats of nothing" {
		st.Pending, st.Oldest = len(p), p[0].RecordedAt
	}
	return st, nil
}

func (q *model) Undelivered() []fprom.Message {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	var ms []fprom.Message
	for _, s := range q.pending() {
		ms = append(ms, s.Message)
	}
	if q.bug == "lists newest first" {
		slices.Reverse(ms)
	}
	return ms
}

func (q *model) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed && q.bug == "close twice" {
		return errors.New("closed twice")
	}
	q.closed = true
	if q.bug == "loses all" {
		q.store.mu.Lock()
		defer q.store.mu.Unlock()
		q.store.msgs = nil
	}
	if q.bug == "loses attempts" {
		q.store.mu.Lock()
		defer q.store.mu.Unlock()
		for _, s := range q.store.msgs {
			s.Attempt = 0
		}
	}
	return nil
}
