package billing

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/fprom-go/fprom/internal/safelog"
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
	of map[string]*refused // by reason: those of the last minute
}

// refused is what was not said yet of one reason.
type refused struct {
	count int
	last  error
}

func (r *refusals) warn(ctx context.Context, log *slog.Logger, err error) {
	reason := "signature" // of a check that says no more
	if why := new(refusal); errors.As(err, &why) {
		reason = why.reason
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f, waits := r.of[reason]
	if !waits {
		f = &refused{}
		r.of[reason] = f
	}
	f.count, f.last = f.count+1, err
	if !waits {
		r.say(ctx, log, reason)
	}
}

// say says what was refused since the last time, and again after a minute, until a minute had none. Called with mu held.
func (r *refusals) say(ctx context.Context, log *slog.Logger, reason string) {
	f := r.of[reason]
	n := f.count
	if f.count = 0; n == 0 {
		delete(r.of, reason)
		return
	}
	time.AfterFunc(time.Minute, func() { //nolint:contextcheck // the request is long over
		defer func() { _ = recover() }() // a logger's panic must not end the process; in a request net/http sees to it
		r.mu.Lock()
		defer r.mu.Unlock()
		r.say(context.Background(), log, reason)
	})
	log.WarnContext(ctx, "fprom: a webhook was refused (said at most once a minute)", slog.String("reason", reason), safelog.Error(f.last), slog.Int("count", n))
}
