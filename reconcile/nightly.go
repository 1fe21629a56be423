package reconcile

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/internal/safelog"
)

// Nightly compares the last days every night, in a service. Fill in the fields and call Run once. Last may be called at any
// time, for a status page or for metrics. Nightly changes nothing at FirstPromoter.
type Nightly struct {
	Client  *firstpromoter.Client
	Outbox  fprom.Outbox
	Decided func(commission int64) string // as in Options
	// Days is how many days are compared, without today. If all totals agree, this takes one call. Default 7.
	Days int
	// At is the time of day in UTC, as the time since midnight. Default 3 hours.
	At time.Duration
	// Done, if set, gets every report.
	Done func(Report, error)
	// Logger gets a warning for a report that is not clean, and an error for a comparison that failed. Default slog.Default().
	Logger *slog.Logger

	mu   sync.Mutex
	last Last
}

// Last is the last comparison.
type Last struct {
	At     time.Time // when it ended; zero if there was none yet
	Report Report
	Err    error
}

// Last returns the last comparison.
func (n *Nightly) Last() Last {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

// Figures returns the last comparison for the metrics of otelfprom and promfprom: when it ended (zero: there was none yet), the
// number of events by verdict ("missing", "foreign", "amount_differs", "doubled"), and why it failed.
func (n *Nightly) Figures() (at time.Time, differences map[string]int, err error) {
	last := n.Last()
	r := last.Report
	return last.At, map[string]int{
		"missing": len(r.Missing), "foreign": len(r.Foreign), "amount_differs": len(r.AmountDiffers), "doubled": len(r.Doubled),
	}, last.Err
}

// Run compares now and then every night, until ctx ends. The error is that of ctx, or a *fprom.ValidationError of a field.
func (n *Nightly) Run(ctx context.Context) error {
	at, days := cmp.Or(n.At, 3*time.Hour), cmp.Or(n.Days, 7)
	if at < 0 || at >= 24*time.Hour || days < 0 {
		return &fprom.ValidationError{Field: "Nightly.At", Reason: "is no time of a day, or Days is negative"}
	}
	for {
		n.compare(ctx, days)
		now := time.Now().UTC()
		next := now.Truncate(24 * time.Hour).Add(at)
		if !next.After(now) {
			next = next.AddDate(0, 0, 1)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(next.Sub(now)):
		}
	}
}

func (n *Nightly) compare(ctx context.Context, days int) {
	log := safelog.New(cmp.Or(n.Logger, slog.Default()))
	today := time.Now().UTC()
	var r Report
	err := safelog.Recovered(ctx, log, "the nightly comparison", "", func() (err error) {
		r, err = Run(ctx, Options{Client: n.Client, Outbox: n.Outbox, Decided: n.Decided, From: today.AddDate(0, 0, -days), To: today.AddDate(0, 0, -1)})
		return err
	})
	if errors.Is(err, context.Canceled) {
		return
	}
	n.mu.Lock()
	n.last = Last{time.Now(), r, err}
	n.mu.Unlock()
	switch {
	case err != nil:
		log.Error("fprom: the nightly comparison with FirstPromoter failed; it runs again next night", safelog.Error(err))
	case !r.Clean():
		log.Warn("fprom: FirstPromoter's commissions differ from what was sent: run fprom reconcile to see what differs", "missing", len(r.Missing), "foreign", len(r.Foreign),
			"amount_differs", len(r.AmountDiffers), "doubled", len(r.Doubled), "dead", r.Dead, "days", days)
	}
	if n.Done != nil {
		_ = safelog.Recovered(ctx, log, "Nightly.Done", "", func() error { n.Done(r, err); return nil })
	}
}
