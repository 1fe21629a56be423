package boltqueue

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fprom-go/fprom"
)

// outcome is what a delivery brought.
type outcome struct {
	it      *item
	verdict verdict
	due     int64 // Unix nanoseconds, for again and held
	info    deadInfo
}

type verdict int

const (
	done  verdict = iota
	again         // at due, with an attempt counted
	held          // at due, without
	dead
)

// Run implements fprom.Queue. Messages that were under way when an earlier process died are delivered again, with the
// number of that attempt. When ctx has ended Run waits for the deliveries under way and for their outcomes to be written.
func (q *Queue) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	q.mu.Lock()
	err := q.unusable()
	q.mu.Unlock()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for range max(workers, 1) {
		wg.Go(func() {
			for {
				it := q.next(ctx)
				if it == nil {
					return
				}
				hit("leased")
				m := it.m
				m.Attempt++
				_, err := deliver(ctx, m)
				hit("answered")
				q.settle(ctx, it, err)
			}
		})
	}
	wg.Wait()
	signal(q.wake) // a hint that these workers took may be meant for those of another Run
	q.awaitSettled()
	return nil
}

// next leases the oldest ready message; nil when ctx has ended.
func (q *Queue) next(ctx context.Context) *item {
	for ctx.Err() == nil {
		q.mu.Lock()
		if q.ready.len() > 0 && len(q.outcomes) < maxGroupOutcomes && !q.stalled && !q.closing && q.broken == nil {
			it, low := q.ready.pop()
			if q.ready.len() > 0 {
				signal(q.wake) // there is more: wake another
			}
			q.mu.Unlock()
			if low {
				signal(q.kick)
			}
			return it
		}
		q.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-q.wake:
		}
	}
	return nil
}

// settle passes on what deliver said of it. A delivery that was cut short by shutdown says nothing: its lease is given
// back, and nothing is written.
func (q *Queue) settle(ctx context.Context, it *item, err error) {
	o := outcome{it: it}
	switch {
	case err == nil:
	case fprom.IsPermanent(err):
		o.verdict, o.info = dead, deadInfoOf(err)
	case ctx.Err() != nil:
		q.mu.Lock()
		q.ready.push(it)
		q.mu.Unlock()
		return
	case fprom.IsHeld(err):
		o.verdict = held
	default:
		o.verdict = again
	}
	if o.verdict == again || o.verdict == held {
		o.due = q.now().Add(fprom.RetryDelay(it.m.Attempt+1, err)).UnixNano()
	}
	q.mu.Lock()
	q.outcomes = append(q.outcomes, o)
	q.mu.Unlock()
	signal(q.kick)
}

func deadInfoOf(err error) deadInfo {
	info := deadInfo{Reason: err.Error(), At: time.Now().UTC()}
	if a, ok := errors.AsType[*fprom.APIError](err); ok {
		info.Status, info.Code, info.Answer = a.StatusCode, a.Code, a.Message
	}
	return info
}

// awaitSettled waits until the outcomes are written, or the disk refuses them.
func (q *Queue) awaitSettled() {
	q.mu.Lock()
	if len(q.outcomes) == 0 && !q.c.writing || q.stalled || q.broken != nil {
		q.mu.Unlock()
		return
	}
	if q.settled == nil {
		q.settled = make(chan struct{})
	}
	settled := q.settled
	q.mu.Unlock()
	signal(q.kick)
	select {
	case <-settled:
	case <-q.done:
	}
}
