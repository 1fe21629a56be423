package main

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/stripe"
)

// product is what the shop sells. Amounts are in cents.
type product struct {
	Price        int64 `json:"price"` // before tax
	Tax          int64 `json:"tax"`
	Subscription bool  `json:"subscription"`
}

var catalog = map[string]product{
	"ebook":  {Price: 1900, Tax: 399},
	"course": {Price: 10000, Tax: 2100},
	"pro":    {Price: 2000, Tax: 420, Subscription: true},
}

// newShop returns the shop's handler. It needs no middleware, because the customer pays at Stripe, and Stripe's webhook reports the
// payment. stripe.Handler knows which events are sales, their ids, and their amounts before tax.
func newShop(tracker *fprom.Tracker, provider *pretendStripe, secret string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/stripe", stripe.Handler(tracker, secret))
	mux.HandleFunc("POST /checkout", func(w http.ResponseWriter, r *http.Request) { checkout(w, r, provider) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, catalog) })
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, tracker.Stats()) })
	mux.HandleFunc("GET /pretend-stripe/{session}", provider.pay)
	return mux
}

// checkout sends the customer to Stripe's payment page.
func checkout(w http.ResponseWriter, r *http.Request, provider *pretendStripe) {
	var in struct{ Email, Item string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&in); err != nil || in.Email == "" {
		reply(w, http.StatusBadRequest, map[string]string{"error": `send {"email":"…","item":"…"}`})
		return
	}
	p, ok := catalog[in.Item]
	if !ok {
		reply(w, http.StatusNotFound, map[string]string{"error": "no such item: GET / lists them"})
		return
	}
	// The webhook comes from Stripe and has no cookies. So put the tracking id of the browser into the metadata now (of a subscription
	// into subscription_data.metadata). The webhook's handler reads it there.
	page := provider.createSession(session{
		Email:    in.Email,
		Product:  p,
		Metadata: fprom.AttributionFrom(r).Metadata(),
	})
	http.Redirect(w, r, page, http.StatusSeeOther)
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		slog.Warn("response not written", "error", err)
	}
}
