package convert

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"

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
	if slices.Contains(h.config.Secrets, "") && !isNil(t) {
		h.log.Error("fprom: the signing secret of a webhook is empty: every webhook will be refused; give the secret of the webhook")
	}
	return h
}

type handler struct {
	Provider
	t      fprom.Enqueuer
	config *Config
	log    *slog.Logger

	skipped said
	refused refusals
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := h.serve(w, r)
	if status == http.StatusOK {
		w.WriteHeader(status) // some providers want an empty answer
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "The webhook was not accepted. The log of the service says why.\n")
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request) int {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			return http.StatusRequestEntityTooLarge
		}
		return http.StatusBadRequest
	}
	ctx := r.Context()
	if err := h.verify(ctx, r.Header, body, h.config); err != nil {
		h.observe(ctx, Explanation{Provider: h.Name, Err: err})
		if errors.Is(err, ErrSignature) {
			h.refused.warn(ctx, h.log, err)
			return h.Refused
		}
		h.log.WarnContext(ctx, "fprom: the signature of a webhook cannot be checked now; the provider will send it again", slog.Any("error", err))
		return http.StatusServiceUnavailable
	}
	x := h.run(ctx, body, h.config)
	status := h.accept(ctx, &x)
	h.observe(ctx, x)
	return status
}

func (h *handler) observe(ctx context.Context, x Explanation) {
	if h.config.Observer != nil {
		h.config.Observer(ctx, x)
	}
}

// accept enqueues the events of x, and logs what became of it.
func (h *handler) accept(ctx context.Context, x *Explanation) int {
	log := h.log.With(slog.String("type", x.Type), slog.String("id", x.ID))
	for _, e := range x.Events() {
		err := h.enqueue(ctx, e)
		if errors.Is(err, fprom.ErrConflict) { // sending it again would not change that
			log.ErrorContext(ctx, "fprom: an event of a webhook is not tracked: its id was used before, with another amount or currency", slog.Any("error", err))
		} else if err != nil {
			x.Err = err
			break
		}
	}
	switch {
	case x.Err == nil && x.Skipped == "":
	case x.Err == nil:
		h.logSkip(ctx, log, x)
	case fprom.IsPermanent(x.Err):
		log.ErrorContext(ctx, "fprom: a signed webhook cannot be read; after the cause is gone, let the provider send it again", slog.Any("error", x.Err))
		return http.StatusUnprocessableEntity
	default:
		log.WarnContext(ctx, "fprom: a webhook could not be accepted; the provider will send it again", slog.Any("error", x.Err))
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

func (h *handler) enqueue(ctx context.Context, e fprom.Event) error {
	if isNil(h.t) {
		return nil
	}
	err := h.t.Enqueue(ctx, e)
	if errors.Is(err, fprom.ErrNoTracker) {
		return nil
	}
	return err
}

// isNil reports whether nothing is tracked, as in development without credentials.
func isNil(t fprom.Enqueuer) bool {
	tracker, ok := t.(*fprom.Tracker)
	return t == nil || ok && tracker == nil
}
