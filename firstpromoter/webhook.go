package firstpromoter

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/safelog"
)

// Webhook is FirstPromoter's message that something changed (https://docs.firstpromoter.com, "Webhooks v2").
type Webhook struct {
	ID       string // of the webhook, not of a sale
	Type     string // such as "commission.denied"; the documented list is not complete
	EntityID int64  // of the commission, referral, … that changed
	At       time.Time
	// Commission is set by commission.* webhooks: its ID, Status, Amount, Unit, Created and referral. FirstPromoter does not
	// document whether they have the sale's event id and amount.
	Commission Commission
	Was        string // the status before, if it changed
}

// WebhookOptions configures WebhookHandler. A secret is required: Header and Value, or User and Password.
type WebhookOptions struct {
	// Header and Value are a header that was added to the subscription in FirstPromoter, such as X-Fprom-Secret.
	Header, Value string
	// User and Password are the subscription's Basic Auth.
	User, Password string
	// SigningSecrets are the subscription's secret keys; after a change the old key, too. A signature is verified if a webhook
	// has one: FirstPromoter's guide no longer promises signatures.
	SigningSecrets []string
	// RequireSignature refuses webhooks without a signature.
	RequireSignature bool
	// Changes, if set, stores the status of commissions, and remembers their webhooks over restarts.
	Changes *Changes
	// On, if set, is called for every webhook, and called again if On or Changes failed: FirstPromoter sends the webhook again
	// then. Return soon: FirstPromoter waits for 30 seconds by default.
	On func(context.Context, Webhook) error
	// Logger gets refusals and failures. Default slog.Default().
	Logger *slog.Logger
}

const maxWebhook = 1 << 20

// WebhookHandler receives FirstPromoter's webhooks, version 2. It answers 200 to a webhook that it handled, has handled before
// or does not need, 401 to one without the secrets, and 400, 405 or 413 to what is no webhook. It answers 500 if On or Changes failed, and
// 503 to a repeat of a webhook that it is handling: then FirstPromoter sends it again. The error is a *fprom.ValidationError that names an option.
func WebhookHandler(o WebhookOptions) (http.Handler, error) {
	bad := func(field, reason string) (http.Handler, error) {
		return nil, &fprom.ValidationError{Field: "WebhookOptions." + field, Reason: reason}
	}
	switch {
	case (o.Header == "") != (o.Value == ""):
		return bad("Header", "and Value must both be set")
	case (o.User == "") != (o.Password == ""):
		return bad("User", "and Password must both be set")
	case o.Header == "" && o.User == "":
		return bad("Header", "is missing, and so is User: anybody could send webhooks. Set an own header or Basic Auth in FirstPromoter (Settings → Integrations → Webhooks), and here")
	case o.RequireSignature && len(o.SigningSecrets) == 0:
		return bad("RequireSignature", "needs SigningSecrets")
	case slices.Contains(o.SigningSecrets, ""):
		return bad("SigningSecrets", "has an empty one, with which anybody could sign: give the secret key of the subscription, or none")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.Logger = o.Logger.With(slog.String("provider", "firstpromoter"))
	return &receiver{WebhookOptions: o, seen: newSeen()}, nil
}

type receiver struct {
	WebhookOptions
	seen    *seen
	refused safelog.Seldom
}

func (h *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		h.refuse(w, r, http.StatusMethodNotAllowed, "method", "webhooks come by POST")
		return
	}
	if !h.authorized(r) {
		h.refuse(w, r, http.StatusUnauthorized, "secret", "the header or the Basic Auth is not that of WebhookOptions: compare it with the subscription in FirstPromoter")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhook))
	if err != nil {
		h.refuse(w, r, http.StatusRequestEntityTooLarge, "unread-body", "the body cannot be read, or is larger than 1 MiB: "+err.Error())
		return
	}
	if !h.signed(r.Header.Get("X-Webhook-Signature"), body) {
		h.refuse(w, r, http.StatusUnauthorized, "signature", "the signature is missing or wrong: is the subscription's secret key in WebhookOptions.SigningSecrets?")
		return
	}
	w.WriteHeader(h.take(r.Context(), r.Header.Get("X-Event-Id"), body))
}

func (h *receiver) refuse(w http.ResponseWriter, r *http.Request, status int, reason, text string) {
	h.refused.Refused(r.Context(), h.Logger, reason, errors.New(text))
	w.WriteHeader(status)
}

func (h *receiver) authorized(r *http.Request) bool {
	if !same(r.Header.Get(h.Header), h.Value) { // without a Header both are empty
		return false
	}
	user, password, _ := r.BasicAuth()
	return h.User == "" || same(user, h.User) && same(password, h.Password)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// signed verifies lowercase hex HMAC-SHA256 of the body; the key is the secret's text.
func (h *receiver) signed(signature string, body []byte) bool {
	if signature == "" {
		return !h.RequireSignature
	}
	if len(h.SigningSecrets) == 0 {
		return true
	}
	for _, secret := range h.SigningSecrets {
		mac := hmac.New(sha256.New, []byte(secret))
		_, _ = mac.Write(body) // a hash takes everything
		if same(strings.ToLower(strings.TrimSpace(signature)), hex.EncodeToString(mac.Sum(nil))) {
			return true
		}
	}
	return false
}

// take handles an authenticated webhook, and returns the status of the answer.
func (h *receiver) take(ctx context.Context, id string, body []byte) int {
	hook, test, err := parseWebhook(body)
	if err != nil {
		h.Logger.Warn("fprom: a FirstPromoter webhook is no JSON object of the documented form", "webhook", id)
		return http.StatusBadRequest
	}
	if hook.ID == "" {
		hook.ID = id
	}
	must, handled := h.seen.claim(hook.ID)
	if must {
		defer func() { h.seen.end(hook.ID, handled) }() // also after a panic
	}
	switch {
	case test, handled, h.Changes != nil && h.Changes.seen(hook.ID):
		return http.StatusOK
	case !must: // it may fail yet
		return http.StatusServiceUnavailable
	}
	if err := h.handle(ctx, hook); err != nil {
		h.Logger.Error("fprom: a FirstPromoter webhook was not handled; FirstPromoter delivers it again", slog.String("webhook", hook.ID), slog.String("type", hook.Type), safelog.Error(err))
		return http.StatusInternalServerError
	}
	handled = true
	return http.StatusOK
}

func (h *receiver) handle(ctx context.Context, hook Webhook) error {
	if h.On != nil {
		if err := h.On(ctx, hook); err != nil {
			return err
		}
	}
	if h.Changes != nil {
		return h.Changes.Add(hook)
	}
	return nil
}

var errWebhook = errors.New("not a webhook of FirstPromoter's")

func parseWebhook(body []byte) (hook Webhook, test bool, err error) {
	var w struct {
		ID       text                       `json:"event_id"`
		Type     text                       `json:"event_type"`
		Action   text                       `json:"action"`
		EntityID number                     `json:"entity_id"`
		Changes  map[string]json.RawMessage `json:"changes"`
		Data     json.RawMessage            `json:"data"`
		At       moment                     `json:"timestamp"`
	}
	if _ = json.Unmarshal(body, &w); w.Type == "" { // what cannot be read is left out
		return Webhook{}, false, errWebhook
	}
	hook = Webhook{ID: string(w.ID), Type: string(w.Type), EntityID: int64(w.EntityID), At: w.At.time()}
	var probe struct {
		Test flag `json:"test"`
	}
	_ = json.Unmarshal(w.Data, &probe)
	if strings.HasPrefix(hook.Type, "commission.") {
		var c wireCommission
		_ = json.Unmarshal(w.Data, &c)
		hook.Commission = c.commission()
		if hook.EntityID == 0 {
			hook.EntityID = hook.Commission.ID
		}
		hook.Commission.ID = hook.EntityID
		hook.Commission.Status = statusOf(hook.Type, hook.Commission.Status)
	}
	var was []text
	if _ = json.Unmarshal(w.Changes["status"], &was); len(was) == 2 {
		hook.Was = string(was[0])
	}
	return hook, bool(probe.Test), nil
}

// statusOf is the commission's status after an event. The event's type decides, since the data may be older.
func statusOf(event, status string) string {
	switch s := strings.TrimPrefix(event, "commission."); s {
	case StatusApproved, StatusDenied, StatusPending, StatusDeleted:
		return s
	}
	return status
}

// The statuses of a commission.
const (
	StatusPending  = "pending"
	StatusApproved = "approved"
	StatusDenied   = "denied"
	StatusDeleted  = "deleted"
)
