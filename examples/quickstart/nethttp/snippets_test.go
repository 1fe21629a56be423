package main

import (
	"log"
	"net/http"
	"os"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/stripe"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/nethttpadapter"
	"github.com/fprom-go/fprom/statuspage"
)

// The pieces of the README that need no test of their own: it is enough that they compile.

func durable() (*fprom.Tracker, error) {
	outbox, err := boltqueue.Open("fprom.db") // one file for one process; Shutdown closes it
	if err != nil {
		log.Fatal(err)
	}
	tracker, err := fprom.New(fprom.Config{Queue: outbox})
	return tracker, err
}

func referralLinks(tracker *fprom.Tracker, mux http.Handler) http.Handler {
	handler := fprom.CaptureReferral(nethttpadapter.Middleware(tracker, fprom.WithRefIDCookie())(mux))
	return handler
}

func webhooks(tracker *fprom.Tracker, mux *http.ServeMux) {
	mux.Handle("POST /webhooks/stripe", stripe.Handler(tracker, os.Getenv("STRIPE_WEBHOOK_SECRET")))
}

func page(tracker *fprom.Tracker, mux *http.ServeMux, isAdmin func(*http.Request) bool) error {
	page, err := statuspage.Handler(tracker, statuspage.Options{Auth: isAdmin})
	mux.Handle("/fprom/", page)
	return err
}

var _ = []any{durable, referralLinks, webhooks, page}
