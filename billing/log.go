package billing

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// said remembers what was said.
type said struct{ names sync.Map }

// first reports whether name was not said before.
func (s *said) first(name string) bool {
	_, before := s.names.LoadOrStore(name, true)
	return !before
}

// logSkip says why nothing is tracked: always where money moved, and once where every sale could be lost in silence.
func (h *handler) logSkip(ctx context.Context, log *slog.Logger, x *Explanation) {
	level, text := slog.LevelDebug, "fprom: nothing tracked"
	switch x.Skipped {
	case NoCustomer, NoAmount:
		level, text = slog.LevelWarn, "fprom: nothing tracked: a commission may be lost"
	case OtherEvent:
		if h.skipped.first(x.Type) {
			level, text = slog.LevelWarn, "fprom: nothing tracked: let the provider send the event that reports this money (said once for each type)"
		}
	case TestMode:
		if h.skipped.first(string(TestMode)) {
			level, text = slog.LevelInfo, "fprom: nothing tracked of test mode; billing.WithTestMode changes that (said once)"
		}
	case NotMoney, NotFinal, NothingPaid:
	}
	log.Log(ctx, level, text, slog.String("reason", string(x.Skipped)), slog.String("detail", x.Detail))
}

// refusals are counted, and said at most once a minute and reason: anyone can send a webhook that is not signed.
type refusals struct {
	mu sync.Mutex
	of map[string]*refused
}

type refused struct {
	said       time.Time
	suppressed int
}

func (r *refusals) warn(ctx context.Context, log *slog.Logger, err error) {
	reason := "signature" // of a check that says no more
	if why := new(refusal); errors.As(err, &why) {
		reason = why.reason
	}
	if n, now := r.count(reason); now {
		log.WarnContext(ctx, "fprom: a webhook was refused (said at most once a minute)", slog.String("reason", reason), slog.Any("error", err), slog.Int("suppressed", n))
	}
}

// count counts a refusal, and reports whether to say so now, and how many were not said before.
func (r *refusals) count(reason string) (suppressed int, now bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = map[string]*refused{}
	}
	f := r.of[reason]
	if f == nil {
		f = &refused{}
		r.of[reason] = f
	}
	if !f.said.IsZero() && time.Since(f.said) < time.Minute {
		f.suppressed++
		return 0, false
	}
	suppressed = f.suppressed
	*f = refused{said: time.Now()}
	return suppressed, true
}
