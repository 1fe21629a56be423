package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/stripe"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/nethttpadapter"
	"github.com/fprom-go/fprom/statuspage"
)

// The pieces of the README and of docs that need no test of their own: it is enough that they compile.

func durable() (*fprom.Tracker, error) {
	outbox, err := boltqueue.Open("fprom.db") // give it to the tracker: fprom.New(fprom.Config{Queue: outbox})
	if err != nil {
		log.Fatal(err)
	}
	return fprom.New(fprom.Config{Queue: outbox})
}

func signup(w http.ResponseWriter, r *http.Request) {
	email := r.FormValue("email")
	if fprom.AttributionFrom(r).TID != "" { // in the sign-up's handler: a promoter brought this visitor
		err := fprom.Record(r.Context(), fprom.Signup{Email: email}) // the middleware adds the TID
		if err != nil {
			log.Print("sign-up not reported: ", err)
		}
	}
	fmt.Fprintln(w, "Welcome!")
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
