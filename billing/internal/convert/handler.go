package convert

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"

	"github.com/fprom-go/fprom"
)

// MaxBody is the largest webhook that a handler reads.
const MaxBody = 1 << 20

// Handler is the webhook endpoint of the provider.
//
//	405  not a POST
//	413  more than MaxBody
//	401 or 400 (Provider.Refused)  the signature is wrong
//	422  signed, but a payment that cannot be read: logged as an error. The provider keeps it, shows it as failed and
//	     sends it again for a while: so it is not lost silently, and can be sent once more after the cause is gone
//	503  an event could not be accepted, or a lookup failed: sent again by the provider
//	200  everything else: accepted, or nothing to track
func (v Provider) Handler(t fprom.Enqueuer, secret string, opts []Option) http.Handler {
	h := &handler{Provider: v, t: t, config: v.config(secret, opts)}
	h.log = h.config.Logger.With(slog.String("provider", v.Name))
	return h
}

type handler struct {
	Provider
	t      fprom.Enqueuer
	config *Config
	log    *slog.Logger

	testMode, refused sync.Once
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		w.WriteHeader(status)
		return
	}
	w.WriteHeader(h.status(r.Context(), r.Header, body))
}

func (h *handler) status(ctx context.Context, header http.Header, body []byte) int {
	if err := h.verify(ctx, header, body, h.config); err != nil {
		if !errors.Is(err, ErrSignature) {
			h.log.WarnContext(ctx, "billing: cannot check the signature of a webhook: the provider will send it again", slog.Any("error", err))
			return http.StatusServiceUnavailable
		}
		level := slog.LevelDebug // anyone can send these: one warning is enough
		h.refused.Do(func() { level = slog.LevelWarn })
		h.log.Log(ctx, level, "billing: webhook refused (further ones are logged at debug level)", slog.Any("error", err))
		return h.Refused
	}
	x := h.run(ctx, body, h.config)
	status := h.accept(ctx, &x)
	if h.config.Observer != nil {
		h.config.Observer(ctx, x)
	}
	return status
}

// accept enqueues the events of x, and logs what became of it.
func (h *handler) accept(ctx context.Context, x *Explanation) int {
	log := h.log.With(slog.String("type", x.Type), slog.String("id", x.ID))
	for _, e := range x.Events() {
		if h.t == nil {
			break // like a nil *Tracker
		}
		if err := h.t.Enqueue(ctx, e); err != nil && !errors.Is(err, fprom.ErrNoTracker) && !errors.Is(err, fprom.ErrConflict) {
			x.Err = err
			break
		}
	}
	switch {
	case x.Err == nil && x.Skipped == "":
	case x.Err == nil:
		h.logSkip(ctx, log, x)
	case fprom.IsPermanent(x.Err):
		log.ErrorContext(ctx, "billing: a signed webhook cannot be read; after the cause is gone, let the provider send it again", slog.Any("error", x.Err))
		return http.StatusUnprocessableEntity
	default:
		log.WarnContext(ctx, "billing: a webhook could not be accepted; the provider will send it again", slog.Any("error", x.Err))
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

func (h *handler) logSkip(ctx context.Context, log *slog.Logger, x *Explanation) {
	level := slog.LevelDebug
	switch x.Skipped {
	case NoCustomer:
		level = slog.LevelWarn
	case TestMode:
		h.testMode.Do(func() { level = slog.LevelInfo })
	case NotMoney, OtherEvent, NotFinal, NothingPaid:
	}
	log.Log(ctx, level, "billing: nothing tracked", slog.String("reason", string(x.Skipped)), slog.String("detail", x.Detail))
}
