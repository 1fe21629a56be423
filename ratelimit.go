package fprom

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// window is FirstPromoter's minute and 2 s of margin: two calls sent 62 s apart may arrive up to 2 s closer together.
const window = 62 * time.Second

// pacer lets attempts through under the limit, in the order they came. Only the first in line reserves a token: a
// rate.Limiter cannot take back a reservation that others have followed, so callers that give up would cost those after
// them their tokens.
type pacer struct {
	limit *rate.Limiter
	turn  chan struct{} // taken by the first in line
	spare int           // as many tokens are left to live events
}

// newPacer returns a token bucket that starts empty, as after a restart nobody knows what the process before sent, and
// from which no 60 seconds can take more than perMinute: burst and what flows in make perMinute together.
func newPacer(perMinute, burst int) *pacer {
	l := rate.NewLimiter(rate.Limit(float64(perMinute-burst)/window.Seconds()), burst)
	l.AllowN(time.Now(), burst)
	return &pacer{limit: l, turn: make(chan struct{}, 1), spare: burst / 2}
}

// wait waits for a token. It does not use rate's Wait, which fails at once where ctx has a deadline that is too near.
func (p *pacer) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
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

// waitSpare waits for a token that live events can spare: with a backlog of bulk events these find the bucket half full, and
// go as if it were not there. The rate is the same.
func (p *pacer) waitSpare(ctx context.Context) error {
	for ctx.Err() == nil {
		missing := float64(1+p.spare) - p.limit.Tokens()
		if missing <= 0 && len(p.turn) == 0 && p.limit.Allow() {
			return nil
		}
		d := max(missing, 0.1) / float64(p.limit.Limit()) * float64(time.Second)
		_ = sleepOr(ctx, time.Duration(d), nil)
	}
	return ctx.Err()
}
