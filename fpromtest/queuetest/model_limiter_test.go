package queuetest_test

import (
	"context"
	"time"
)

// Admit lets a call through if fewer than perMinute were in the last minute, and there is no pause.
func (q *model) Admit(ctx context.Context, perMinute int) error {
	for {
		q.store.mu.Lock()
		now := time.Now()
		for len(q.store.admitted) > 0 && now.Sub(q.store.admitted[0]) >= time.Minute {
			q.store.admitted = q.store.admitted[1:]
		}
		full := len(q.store.admitted) >= perMinute && q.bug != "no limit"
		paused := q.store.pausedUntil.After(now) && q.bug != "no pause"
		if !full && !paused {
			q.store.admitted = append(q.store.admitted, now)
			q.store.mu.Unlock()
			return nil
		}
		q.store.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Pause lets all wait.
func (q *model) Pause(_ context.Context, d time.Duration, reason error) error {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	q.store.pausedUntil = time.Now().Add(d)
	if q.bug != "no reason" {
		q.store.pauseReason = reason.Error()
	}
	return nil
}
