package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/fprom-go/fprom/fpromtest"
)

// pretendStripe imitates Stripe: a payment page that takes every card, and webhooks.
type pretendStripe struct {
	secret  string // the endpoint's signing secret
	webhook string // the endpoint's URL
	client  http.Client

	mu       sync.Mutex
	sessions map[string]session
	last     []byte // the last payload, for again
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

// pay is the payment page. Opening it pays. The real Stripe sends its webhooks a moment later; this page waits for them.
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
	for _, event := range events(c) {
		payload, err := fpromtest.WebhookBody("stripe", event.name, event.says)
		if err != nil {
			reply(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
			return
		}
		s.mu.Lock()
		s.last = payload
		s.mu.Unlock()
		status, err := s.deliver(r.Context(), payload, s.secret)
		if answers[event.name] = strconv.Itoa(status); err != nil {
			answers[event.name] = err.Error()
		}
	}
	reply(w, http.StatusOK, map[string]any{"paid": c.Product.Price + c.Product.Tax, "webhooks answered with": answers})
}

// again delivers the last webhook a second time, as Stripe does if it got no answer.
func (s *pretendStripe) again(ctx context.Context, secret string) (status int, err error) {
	s.mu.Lock()
	payload := s.last
	s.mu.Unlock()
	return s.deliver(ctx, payload, secret)
}

// deliver sends a webhook, and again if it was not stored. The real Stripe waits longer before that, and tries more often.
func (s *pretendStripe) deliver(ctx context.Context, payload []byte, secret string) (status int, err error) {
	for range 10 {
		if status, err = s.send(ctx, payload, secret); err != nil || status != http.StatusServiceUnavailable {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return status, err
}

func (s *pretendStripe) send(ctx context.Context, payload []byte, secret string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.webhook, bytes.NewReader(payload))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	if err := fpromtest.SignWebhook("stripe", req.Header, payload, secret, time.Now()); err != nil {
		return 0, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// event is an event of Stripe with its content.
type event struct {
	name string
	says fpromtest.WebhookConfig
}

// events returns the events of a payment. A subscription has two; invoice.paid is the sale, also at every renewal. Only the invoice
// contains the metadata of the subscription.
func events(c session) []event {
	paid := fpromtest.WebhookConfig{
		ID: rand.Text(), Email: c.Email, Amount: c.Product.Price, Tax: c.Product.Tax, Currency: "eur",
		TID: c.Metadata["fp_tid"], RefID: c.Metadata["fp_ref"],
	}
	if !c.Product.Subscription {
		return []event{{"checkout.session.completed", paid}}
	}
	session := paid
	session.TID, session.RefID = "", ""
	return []event{{"checkout.session.completed@subscription", session}, {"invoice.paid", paid}}
}
