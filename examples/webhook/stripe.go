package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pretendStripe is what this program needs of Stripe: a payment page that takes every card, and webhooks.
type pretendStripe struct {
	secret  string // the endpoint's signing secret
	webhook string // the endpoint's URL
	client  http.Client

	mu       sync.Mutex
	sessions map[string]session
	last     []byte // payload, to be delivered again
}

// session is a Checkout Session.
type session struct {
	Email    string
	Product  product
	Metadata map[string]string
}

// createSession returns the path of the payment page.
func (s *pretendStripe) createSession(c session) string {
	id := "cs_live_" + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions == nil {
		s.sessions = map[string]session{}
	}
	s.sessions[id] = c
	return "/pretend-stripe/" + id
}

// pay is the payment page: opening it pays. Stripe sends its webhooks a moment later; here the page waits for them.
func (s *pretendStripe) pay(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("session")
	s.mu.Lock()
	c, ok := s.sessions[id]
	delete(s.sessions, id)
	s.mu.Unlock()
	if !ok {
		reply(w, http.StatusNotFound, map[string]string{"error": "no such session, or it is paid already"})
		return
	}
	answers := map[string]string{}
	for _, e := range events(id, c) {
		payload, err := json.Marshal(e)
		if err != nil {
			reply(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
			return
		}
		s.mu.Lock()
		s.last = payload
		s.mu.Unlock()
		status, err := s.deliver(r.Context(), payload, s.secret)
		if answers[e.text("type")] = strconv.Itoa(status); err != nil {
			answers[e.text("type")] = err.Error()
		}
	}
	reply(w, http.StatusOK, map[string]any{"paid": c.Product.Price + c.Product.Tax, "webhooks answered with": answers})
}

// again delivers the last webhook once more, as Stripe does when it did not get the answer.
func (s *pretendStripe) again(ctx context.Context, secret string) (status int, err error) {
	s.mu.Lock()
	payload := s.last
	s.mu.Unlock()
	return s.deliver(ctx, payload, secret)
}

func (s *pretendStripe) deliver(ctx context.Context, payload []byte, secret string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.webhook, bytes.NewReader(payload))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("Stripe-Signature", sign(payload, secret, time.Now()))
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// sign makes the header Stripe-Signature (https://docs.stripe.com/webhooks#verify-manually): the time, and the
// HMAC-SHA256 of the time, a dot and the payload under the endpoint's secret.
func sign(payload []byte, secret string, now time.Time) string {
	t := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(payload)
	return fmt.Sprintf("t=%s,v1=%s", t, hex.EncodeToString(mac.Sum(nil)))
}

var (
	//go:embed checkout.session.completed.json
	sessionCompleted []byte
	//go:embed invoice.paid.json
	invoicePaid []byte
)

// events are what Stripe tells about a payment. A subscription is told twice, of which invoice.paid is the sale, also at
// every renewal.
func events(id string, c session) []event {
	p := c.Product
	done := parse(sessionCompleted)
	done.set("data.object.id", id)
	done.set("data.object.customer_details.email", c.Email)
	done.set("data.object.amount_subtotal", p.Price)
	done.set("data.object.amount_total", p.Price+p.Tax)
	done.set("data.object.total_details.amount_tax", p.Tax)
	if !p.Subscription {
		done.set("data.object.payment_intent", "pi_"+rand.Text())
		done.set("data.object.metadata", c.Metadata)
		return []event{done}
	}
	invoice, invoiceID := parse(invoicePaid), "in_"+rand.Text()
	done.set("data.object.mode", "subscription")
	done.set("data.object.payment_intent", nil)
	done.set("data.object.invoice", invoiceID)
	invoice.set("data.object.id", invoiceID)
	invoice.set("data.object.customer_email", c.Email)
	invoice.set("data.object.amount_paid", p.Price+p.Tax)
	invoice.set("data.object.total", p.Price+p.Tax)
	invoice.set("data.object.total_excluding_tax", p.Price)
	invoice.set("data.object.parent.subscription_details.metadata", c.Metadata)
	return []event{done, invoice}
}

// event is one of Stripe's events in the making.
type event map[string]any

func parse(payload []byte) event {
	e := event{}
	if err := json.Unmarshal(payload, &e); err != nil {
		panic(err) // the files are part of this program
	}
	e["id"] = "evt_" + rand.Text()
	return e
}

// set changes the value at a path that exists.
func (e event) set(path string, v any) {
	m := map[string]any(e)
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		m = m[name].(map[string]any)
	}
	m[names[len(names)-1]] = v
}

func (e event) text(name string) string {
	s, _ := e[name].(string)
	return s
}
