package safelog

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Refusals logs the webhooks that a handler refuses: at most once a minute and reason, since anyone can send a webhook that
// is not signed. The zero value is ready. It is safe for concurrent use.
type Refusals struct {
	mu       sync.Mutex
	byReason map[string]*refused // the reasons of the last minute
}

// refused is what was not logged yet of one reason.
type refused struct {
	count int
	last  error
}

// Warn counts a refusal. It logs the first one of a reason at once. err says more than the reason.
func (r *Refusals) Warn(ctx context.Context, log *slog.Logger, reason string, err error) {
	r.mu.Lock()
	f, waits := r.byReason[reason]
	if !waits {
		if r.byReason == nil {
			r.byReason = map[string]*refused{}
		}
		f = &refused{}
		r.byReason[reason] = f
	}
	f.count, f.last = f.count+1, err
	r.mu.Unlock()
	if !waits {
		r.log(ctx, log, reason)
	}
}

// log logs what was refused since the last line of this reason, and looks again after a minute. A minute without a refusal
// ends that. It logs without the lock: the Logger may block.
func (r *Refusals) log(ctx context.Context, log *slog.Logger, reason string) {
	r.mu.Lock()
	f := r.byReason[reason]
	n, last := f.count, f.last
	if f.count = 0; n == 0 {
		delete(r.byReason, reason)
	}
	r.mu.Unlock()
	if n == 0 {
		return
	}
	time.AfterFunc(time.Minute, func() { //nolint:contextcheck // the request is long over
		defer func() { _ = recover() }() // a panic of the Logger must not end the process; during a request net/http recovers
		r.log(context.Background(), log, reason)
	})
	log.WarnContext(ctx, "fprom: a webhook was refused (said at most once a minute)", slog.String("reason", reason), Error(last), slog.Int("count", n))
}
