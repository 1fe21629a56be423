package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

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

	if err := tracker.Flush(t.Context()); err != nil { // waits for the delivery
		t.Fatal(err)
	}
	if got := fake.Commissions(); len(got) != 1 || got[0].SaleAmount != 4900 {
		t.Errorf("commissions: %+v", got)
	}
}
