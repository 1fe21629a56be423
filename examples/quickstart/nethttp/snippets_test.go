package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/stripe"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/nethttpadapter"
)

// The pieces of the README and of docs that need no test of their own: it is enough that they compile.

func durable() (*fprom.Tracker, error) {
	outbox, err := boltqueue.Open("fprom.db")
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

func signupByLink(r *http.Request, email string) {
	if a := fprom.AttributionFrom(r); a.TID != "" || a.RefID != "" {
		err := fprom.Record(r.Context(), fprom.Signup{Email: email}) // the middleware adds the TID, or the referral id
		if err != nil {
			log.Print("sign-up not reported: ", err)
		}
	}
}

func referralLinks(tracker *fprom.Tracker, mux http.Handler) http.Handler {
	handler := fprom.CaptureReferral(nethttpadapter.Middleware(tracker, fprom.WithRefIDCookie())(mux))
	return handler
}

func webhooks(tracker *fprom.Tracker, mux *http.ServeMux, engine *gin.Engine) {
	handler := stripe.Handler(tracker, os.Getenv("STRIPE_WEBHOOK_SECRET"))
	mux.Handle("POST /webhooks/stripe", handler)
	engine.POST("/webhooks/stripe", gin.WrapH(handler)) // Gin
}

func metadata(r *http.Request, user struct{ ID string }) map[string]string {
	metadata := fprom.AttributionFrom(r).Metadata() // fp_tid and fp_ref; a visitor can forge fp_ref: delete it if that matters
	metadata["fp_uid"] = user.ID                    // the UID of the Signup
	return metadata
}

func withOption(tracker *fprom.Tracker, secret string) http.Handler {
	handler := billing.Handler(tracker, stripe.Provider(stripe.WithClientReferenceTID()), secret)
	return handler
}

// ordersOf is a shop's own database.
type ordersOf interface {
	ByPayment(ctx context.Context, id string) (order, error)
}

type order struct {
	InvoiceID, UserID string
	Total, Tax        int64
}

func withPayment(tracker *fprom.Tracker, secret string, orders ordersOf) http.Handler {
	handler := stripe.Handler(tracker, secret, billing.WithPayment(func(ctx context.Context, id string) (billing.Payment, error) {
		o, err := orders.ByPayment(ctx, id) // pi_… at Stripe; the comment of the provider's package says which id it is
		return billing.Payment{SaleEventID: o.InvoiceID, UID: o.UserID, Total: o.Total, Tax: o.Tax}, err
	}))
	return handler
}

func webhook(fake *fpromtest.Server, recorder http.ResponseWriter, handler http.Handler, secret string) error {
	fake.AddVisitor("visitor-1") // otherwise its sale is tried for an hour
	r, err := fpromtest.Webhook("stripe", "invoice.paid", fpromtest.WebhookConfig{Secret: secret, TID: "visitor-1"})
	handler.ServeHTTP(recorder, r)
	return err
}

var _ = []any{durable, signupByLink, referralLinks, webhooks, metadata, withOption, withPayment, webhook}
