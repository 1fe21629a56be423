package fprom

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// window is FirstPromoter's minute and 2 s of margin: two calls sent 62 s apart may arrive up to 2 s closer together.
const window = 62 * time.Second

// pacer lets attempts through under the rate limit, in the order they came. Only the first in line reserves a token:
// rate.Limiter does not take back a reservation after which others were made, so a caller that gives up would waste it.
type pacer struct {
	limit    *rate.Limiter
	turn     chan struct{} // filled by the first in line
	reserved int           // tokens that bulk events leave for live ones
}

// newPacer returns a token bucket. It starts empty, since the process before may have used up the minute. The burst and the
// tokens that flow in within a window are perMinute together, so no 60 seconds take more.
func newPacer(perMinute, burst int) *pacer {
	l := rate.NewLimiter(rate.Limit(float64(perMinute-burst)/window.Seconds()), burst)
	l.AllowN(time.Now(), burst)
	return &pacer{limit: l, turn: make(chan struct{}, 1), reserved: burst / 2}
}

// wait waits for a token. It does not use rate.Limiter.Wait, which fails at once if the deadline of ctx is too near.
func (p *pacer) wait(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.turn }()
	r := p.limit.Reserve()
	if err := sleepOr(ctx, r.Delay(), nil); err != nil {
		r.Cancel()
		return err
	}
	return nil
}

// waitForBulk waits for a token that live events do not need: it leaves half of the burst to them, so that they never wait
// for a backlog of bulk events.
func (p *pacer) waitForBulk(ctx context.Context) error {
	for ctx.Err() == nil {
		missing := float64(1+p.reserved) - p.limit.Tokens()
		if missing <= 0 && len(p.turn) == 0 && p.limit.Allow() {
			return nil
		}
		d := max(missing, 0.1) / float64(p.limit.Limit()) * float64(time.Second)
		_ = sleepOr(ctx, time.Duration(d), nil)
	}
	return ctx.Err()
}
