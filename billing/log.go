package billing

import (
	"context"
	"errors"
	"log/slog"
)

// first reports whether nothing was logged under this name yet.
func (h *handler) first(name string) bool {
	_, before := h.logged.LoadOrStore(name, true)
	return !before
}

// logSkip logs why an event was skipped. Lost money is a warning each time. An event type that another one replaces is a warning
// once: an endpoint that is subscribed to the wrong types would lose every sale.
func (h *handler) logSkip(ctx context.Context, log *slog.Logger, x *Explanation) {
	level, text := slog.LevelDebug, "fprom: nothing tracked"
	switch {
	case x.Skipped.MayLose():
		level, text = slog.LevelWarn, "fprom: nothing tracked: a commission may be lost"
	case x.Skipped == OtherEvent && h.first(x.Type):
		level, text = slog.LevelWarn, "fprom: nothing tracked: another event reports this money; the endpoint must be subscribed to it (said once for each type)"
	case x.Skipped == TestMode && h.first(string(TestMode)):
		level, text = slog.LevelInfo, "fprom: nothing tracked of test mode; billing.WithTestMode changes that (said once)"
	}
	log.Log(ctx, level, text, slog.String("reason", string(x.Skipped)), slog.String("detail", x.Detail))
}

// warnRefused logs why a webhook was refused.
func (h *handler) warnRefused(ctx context.Context, err error) {
	why := &refusal{reason: "unchecked"} // Verify failed for now: the provider sends the webhook again
	errors.As(err, &why)
	h.refused.Refused(ctx, h.log, why.reason, err)
}
