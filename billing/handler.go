package billing

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/safelog"
)

const (
	maxBody        = 1 << 20 // bytes of a webhook
	maxConversions = 10      // of one webhook
)

// Handler returns the webhook endpoint of a provider. It verifies the signature, converts the payload and enqueues the events. The
// package documentation lists its answers. Each package below billing has a shorter Handler without the Provider. With a nil
// *fprom.Tracker the events are dropped. In Gin use gin.WrapH.
func Handler(t fprom.Enqueuer, v Provider, secret string, opts ...Option) http.Handler {
	h := &handler{Provider: v, t: t, config: v.config(secret, opts)}
	if h.Refused == 0 {
		h.Refused = http.StatusUnauthorized
	}
	h.log = safelog.New(h.config.logger).With(slog.String("provider", v.Name))
	if slices.Contains(h.config.secrets, "") && !isNil(t) {
		h.log.Error("fprom: the signing secret of a webhook is empty: every webhook will be refused; give the secret of the webhook")
	}
	return h
}

type handler struct {
	Provider
	t      fprom.Enqueuer
	config *config
	log    *slog.Logger

	logged  sync.Map // what is logged only once: types of events, and TestMode
	refused safelog.Seldom
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := h.serve(w, r)
	if status == http.StatusOK {
		w.WriteHeader(status) // some providers want an empty body
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "The webhook was not accepted. The log of the service says why.\n")
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request) int {
	ctx := r.Context()
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return h.refuse(ctx, http.StatusMethodNotAllowed,
			h.stray(r.Header, &refusal{"method", "webhooks come by POST, and this is another method: does a redirect turn it into GET, or does a probe or a browser look here?"}))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		return h.refuse(ctx, status, h.stray(r.Header, &refusal{"unread-body", "the body cannot be read, or is larger than 1 MiB: " + err.Error()}))
	}
	if err := h.check(ctx, r.Header, body, h.config); err != nil {
		status := h.Refused
		if !errors.Is(err, ErrSignature) {
			status = http.StatusServiceUnavailable
		}
		return h.refuse(ctx, status, err)
	}
	xs, err := h.process(ctx, body)
	status := h.accept(ctx, xs, err)
	h.observe(ctx, xs)
	return status
}

// process converts a webhook and enqueues its events. It does both again after a conflict, while that gives other events: a Provider that
// looks into the ledger of the queue may find what another webhook has stored meanwhile. And once if Payload.ConvertAgain asks for it.
func (h *handler) process(ctx context.Context, body []byte) (xs []Explanation, err error) {
	var x Explanation // of the whole body
	var events []fprom.Event
	var stored, conflict bool
	for n := range maxConversions {
		before := events
		xs = h.run(ctx, body, h.config, stored)
		x = join(xs)
		if events = x.Events(); n > 0 && slices.Equal(events, before) {
			break
		}
		err = h.enqueue(ctx, events)
		refused := errors.Is(err, fprom.ErrConflict) // all other events are stored
		conflict = conflict || refused
		asked := !stored && slices.ContainsFunc(xs, func(x Explanation) bool { return x.again })
		if stored = stored || err == nil || refused; !refused && (err != nil || !asked) {
			break
		}
	}
	if conflict && err == nil && x.Err == nil { // the Tracker has logged it as not tracked
		h.log.InfoContext(ctx, "fprom: after a conflict of its event id a webhook was converted again: the conflict needs nobody", slog.String("type", x.Type), slog.String("id", x.ID))
	}
	return xs, err
}

// refuse tells the observer why a request does not count as the provider's, and logs it at most once a minute for each reason.
func (h *handler) refuse(ctx context.Context, status int, err error) int {
	h.observe(ctx, []Explanation{{Provider: h.Name, Err: err}})
	h.warnRefused(ctx, err)
	return status
}

func (h *handler) observe(ctx context.Context, xs []Explanation) {
	if h.config.observer == nil {
		return
	}
	for _, x := range xs {
		_ = safelog.Recovered(ctx, h.log, "the observer of webhooks", "", func() error { h.config.observer(ctx, x); return nil })
	}
}

// accept logs what became of each part of a body, and returns the status of the worst one. err is that of enqueue. A part with an error
// does not stop the others. A conflict is no reason to send the webhook again, since that would not help.
func (h *handler) accept(ctx context.Context, xs []Explanation, err error) int {
	if err != nil {
		for i := range xs {
			if slices.ContainsFunc(xs[i].Events(), refusedBy(err)) {
				xs[i].Err = err
			}
		}
	}
	status := http.StatusOK
	for _, x := range xs {
		log := h.log.With(slog.String("type", x.Type), slog.String("id", x.ID))
		switch {
		case x.Err == nil && x.Skipped == "":
		case x.Err == nil:
			h.logSkip(ctx, log, &x)
		case errors.Is(x.Err, fprom.ErrConflict):
			log.ErrorContext(ctx, "fprom: an event of a webhook is not tracked, since its id was used before with another amount or currency: enter the difference by hand",
				safelog.Error(x.Err))
		case fprom.IsPermanent(x.Err):
			log.ErrorContext(ctx, "fprom: a signed webhook cannot be read; after the cause is gone, let the provider send it again", safelog.Error(x.Err))
			status = max(status, http.StatusUnprocessableEntity)
		default:
			log.WarnContext(ctx, "fprom: a webhook could not be accepted; the provider will send it again", safelog.Error(x.Err))
			status = http.StatusServiceUnavailable
		}
	}
	return status
}

// enqueue accepts all events or none, except an event whose id is already used with another amount: the other events are stored.
func (h *handler) enqueue(ctx context.Context, events []fprom.Event) error {
	if isNil(h.t) || len(events) == 0 {
		return nil
	}
	err := h.t.Enqueue(ctx, events...)
	if errors.Is(err, fprom.ErrNoTracker) {
		return nil
	}
	return err
}

// refusedBy returns a function that reports whether an error of Enqueue concerns an event: a conflict may name those that it does.
func refusedBy(err error) func(fprom.Event) bool {
	conflict, named := errors.AsType[*fprom.ConflictError](err)
	return func(e fprom.Event) bool {
		m, _ := fprom.NewMessage(e) // it is valid
		return !named || len(conflict.Keys) == 0 || slices.Contains(conflict.Keys, m.Key)
	}
}

// isNil reports whether there is no tracker, as in development without credentials.
func isNil(t fprom.Enqueuer) bool {
	tracker, ok := t.(*fprom.Tracker)
	return t == nil || ok && tracker == nil
}
