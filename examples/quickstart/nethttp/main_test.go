package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/nethttpadapter"
)

// TestCheckout is the one to copy: the purchase of a customer whom a promoter brought earns one commission.
func TestCheckout(t *testing.T) {
	fake := fpromtest.NewServer(t) // answers as FirstPromoter does
	fake.AddLead("ann@example.com")
	tracker := fpromtest.NewTracker(t, fake) // logs to the test, and is shut down with it
	shop := nethttpadapter.Middleware(tracker)(http.HandlerFunc(checkout))

	form := url.Values{"payment": {"ch_1"}, "email": {"ann@example.com"}}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/checkout", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	shop.ServeHTTP(httptest.NewRecorder(), r)

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // a sale with an unknown TID is tried for an hour
	defer cancel()
	if err := tracker.Flush(ctx); err != nil { // waits for the delivery
		t.Fatal(err)
	}
	if got := fake.Commissions(); len(got) != 1 || got[0].SaleAmount != 4900 {
		t.Errorf("commissions: %+v", got)
	}
}
