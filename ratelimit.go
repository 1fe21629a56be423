package fprom

import (
	"time"

	"golang.org/x/time/rate"
)

// window is FirstPromoter's minute and 2 s of margin: two calls sent 62 s apart may arrive up to 2 s closer together.
const window = 62 * time.Second

// newLimit returns a token bucket. It starts empty, since the process before may have used up the minute. The burst and the
// tokens that flow in within a window are perMinute together, so no 60 seconds take more.
func newLimit(perMinute, burst int) *rate.Limiter {
	l := rate.NewLimiter(rate.Limit(float64(perMinute-burst)/window.Seconds()), burst)
	l.AllowN(time.Now(), burst)
	return l
}

// takeToken takes a token for a, or returns how long it must wait for one. Bulk events leave half of the burst to live
// ones, so that these never wait for a backlog of bulk events. Called with mu held.
func (g *gate) takeToken(a *attempt) time.Duration {
	needed := 1.0
	if a.Bulk {
		needed += float64(g.limit.Burst() / 2)
	}
	missing := needed - g.limit.Tokens()
	if missing <= 0 && g.limit.Allow() {
		return 0
	}
	return max(time.Duration(missing/float64(g.limit.Limit())*float64(time.Second)), time.Millisecond)
}
