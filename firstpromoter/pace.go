package firstpromoter

import (
	"context"
	"sync"
	"time"
)

// pacer spaces calls evenly, after a small burst. The burst and the calls of the next minute are perMinute together, so that no
// 60 seconds get more.
type pacer struct {
	mu    sync.Mutex
	step  time.Duration // between two calls
	slack time.Duration // how far calls may run ahead of the even rate
	next  time.Time     // when the next call is due at the even rate
}

func newPacer(perMinute int) *pacer {
	burst := min(5, perMinute/10)
	step := time.Minute/time.Duration(max(perMinute-burst, 1)) + time.Millisecond
	return &pacer{step: step, slack: time.Duration(burst) * step}
}

// wait waits for the caller's turn.
func (p *pacer) wait(ctx context.Context) error {
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	d := p.next.Sub(now) - p.slack
	p.next = p.next.Add(p.step)
	p.mu.Unlock()
	return sleep(ctx, d)
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
