package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/mail"
	"sync"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/nethttpadapter"
)

// item is what the shop sells. Amounts are in cents.
type item struct {
	Name  string `json:"name"`
	Price int64  `json:"price"` // before tax
	Tax   int64  `json:"tax"`
}

var catalog = map[string]item{
	"mug":    {"Mug", 1200, 240},
	"shirt":  {"Shirt", 2500, 500},
	"course": {"Course, one month", 4900, 980},
}

// payment is a charge that succeeded.
type payment struct {
	email    string
	amount   int64 // before tax
	refunded bool
}

type shop struct {
	mu       sync.Mutex
	payments map[string]payment // by charge id
}

// newShop returns the handler of the shop, its status page and its metrics.
func newShop(tracker *fprom.Tracker, ops operations) http.Handler {
	s := &shop{payments: map[string]payment{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, catalog) })
	mux.HandleFunc("POST /signup", s.signup)
	mux.HandleFunc("POST /checkout", s.checkout)
	mux.HandleFunc("POST /refund", s.refund)
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, tracker.Stats()) })

	all := http.NewServeMux()
	all.Handle("/", nethttpadapter.Middleware(tracker)(mux))
	all.Handle("/fprom/", ops.page)
	all.Handle("GET /metrics", ops.metrics)
	return all
}

// signup reports the customer as a lead, if the visitor's cookie says that a promoter brought them.
func (s *shop) signup(w http.ResponseWriter, r *http.Request) {
	var in struct{ Email string }
	if !decode(w, r, &in, &in.Email) {
		return
	}
	if fprom.AttributionFrom(r).TID != "" { // no promoter brought the others: nothing to report
		record(r, fprom.Signup{Email: in.Email}) // the middleware fills in the TID
	}
	reply(w, http.StatusCreated, map[string]string{"email": in.Email})
}

func (s *shop) checkout(w http.ResponseWriter, r *http.Request) {
	var in struct{ Email, Item, Card string }
	if !decode(w, r, &in, &in.Email) {
		return
	}
	it, ok := catalog[in.Item]
	if !ok {
		fail(w, http.StatusNotFound, "no such item: GET / lists them")
		return
	}
	charge, err := s.charge(in.Card, payment{email: in.Email, amount: it.Price})
	if err != nil {
		fail(w, http.StatusPaymentRequired, err.Error())
		return
	}
	record(r, fprom.Sale{
		EventID:  charge,   // the id of this payment, not of the customer or a subscription
		Email:    in.Email, // the same as in the sign-up
		Amount:   it.Price, // before tax; the card is charged price and tax
		Currency: "USD",
		Plan:     in.Item,
	})
	reply(w, http.StatusOK, map[string]any{"charge": charge, "paid": it.Price + it.Tax})
}

func (s *shop) refund(w http.ResponseWriter, r *http.Request) {
	var in struct{ Charge string }
	if !decode(w, r, &in, nil) {
		return
	}
	p, ok := s.takeBack(in.Charge)
	if !ok {
		fail(w, http.StatusNotFound, "no such charge, or it is refunded already")
		return
	}
	refund := "re_" + rand.Text()
	record(r, fprom.Refund{
		EventID:     refund, // the refund's own id
		SaleEventID: in.Charge,
		Email:       p.email,
		Amount:      p.amount, // positive, and before tax, as in the sale
		Currency:    "USD",
	})
	reply(w, http.StatusOK, map[string]string{"refund": refund})
}

// record records an event that is reported if the handler succeeds. An error means that the event is wrong. The customer has paid by
// then, so the request continues. Watch the log for such errors.
func record(r *http.Request, e fprom.Event) {
	if err := fprom.Record(r.Context(), e); err != nil {
		slog.ErrorContext(r.Context(), "not reported to FirstPromoter", "error", err)
	}
}

// charge imitates the billing provider.
func (s *shop) charge(card string, p payment) (id string, err error) {
	if card == "declined" {
		return "", errors.New("the card was declined")
	}
	id = "ch_" + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.payments[id] = p
	return id, nil
}

// takeBack imitates a refund of the billing provider.
func (s *shop) takeBack(charge string) (payment, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.payments[charge]
	if !ok || p.refunded {
		return payment{}, false
	}
	p.refunded = true
	s.payments[charge] = p
	return p, true
}

// decode parses the request into in. If email is not nil, it points to a field of in that must be an e-mail address.
func decode(w http.ResponseWriter, r *http.Request, in any, email *string) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(in); err != nil {
		fail(w, http.StatusBadRequest, "the body is not the JSON object expected: "+err.Error())
		return false
	}
	if email != nil {
		if a, err := mail.ParseAddress(*email); err != nil || a.Address != *email {
			fail(w, http.StatusBadRequest, "email is not an e-mail address")
			return false
		}
	}
	return true
}

func fail(w http.ResponseWriter, status int, text string) {
	reply(w, status, map[string]string{"error": text})
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
