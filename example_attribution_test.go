package fprom_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/nethttpadapter"
)

// The handler that registers a customer reports the sign-up: it binds the customer to the promoter, so that the sales that
// follow need no cookie.
func ExampleSignup() {
	register := func(w http.ResponseWriter, r *http.Request) {
		if fprom.AttributionFrom(r).TID != "" { // a promoter brought the visitor; with WithRefIDCookie look at the RefID too
			if err := fprom.Record(r.Context(), fprom.Signup{Email: "jane@example.com", UID: "4711"}); err != nil {
				fmt.Println(err)
			}
		}
		w.WriteHeader(http.StatusCreated)
	}
	handler := nethttpadapter.Middleware(show{})(http.HandlerFunc(register))

	r := httptest.NewRequest(http.MethodPost, "/register", http.NoBody)
	r.Header.Set("Cookie", "_fprom_tid=9f1c0f4e") // of FirstPromoter's script on the site
	handler.ServeHTTP(httptest.NewRecorder(), r)
	// Output: {Email:jane@example.com UID:4711 TID:9f1c0f4e RefID: IP: CreatedAt:0001-01-01 00:00:00 +0000 UTC SkipEmailNotification:false}
}

// show stands for a Tracker.
type show struct{}

func (show) Enqueue(_ context.Context, events ...fprom.Event) error {
	for _, e := range events {
		fmt.Printf("%+v\n", e)
	}
	return nil
}

// Where a webhook reports the sale, which has no cookies, the checkout sends the attribution along with the payment.
func ExampleAttribution_Metadata() {
	checkout := func(_ http.ResponseWriter, r *http.Request) {
		metadata := fprom.AttributionFrom(r).Metadata() // for the provider's payment or checkout session
		for _, key := range slices.Sorted(maps.Keys(metadata)) {
			fmt.Println(key, metadata[key])
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/checkout", http.NoBody)
	r.Header.Set("Cookie", "_fprom_tid=9f1c0f4e; _fprom_ref=joe13")
	checkout(httptest.NewRecorder(), r)
	// Output:
	// fp_ref joe13
	// fp_tid 9f1c0f4e
}

// An event that passes no middleware, as one that is stored in the transaction of the order, gets its attribution by hand.
func ExampleAttribution_Apply() {
	checkout := func(_ http.ResponseWriter, r *http.Request) {
		sale := fprom.Sale{EventID: "ch_1", Email: "jane@example.com", Amount: 4900, Currency: "USD"}
		fprom.AttributionFrom(r).Apply(&sale)
		fmt.Println(sale.TID) // here: queue.EnqueueTx(ctx, tx, sale)
	}
	r := httptest.NewRequest(http.MethodPost, "/checkout", http.NoBody)
	r.Header.Set("Cookie", "_fprom_tid=9f1c0f4e")
	checkout(httptest.NewRecorder(), r)
	// Output: 9f1c0f4e
}

// For visitors who block FirstPromoter's script: CaptureReferral keeps the promoter of the link, and WithRefIDCookie sends
// it with the sale. Use both, or neither.
func ExampleCaptureReferral() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("POST /checkout", nethttpadapter.Middleware(referrals{}, fprom.WithRefIDCookie())(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			sale := fprom.Sale{EventID: "ch_1", Email: "jane@example.com", Amount: 4900, Currency: "USD"}
			if err := fprom.Record(r.Context(), sale); err != nil {
				fmt.Println(err)
			}
		})))
	site := fprom.CaptureReferral(mux)

	visit := httptest.NewRecorder()
	site.ServeHTTP(visit, httptest.NewRequest(http.MethodGet, "/?fpr=joe13", http.NoBody))
	fmt.Println(visit.Header().Get("Set-Cookie"))

	buy := httptest.NewRequest(http.MethodPost, "/checkout", http.NoBody)
	buy.Header.Set("Cookie", "_fprom_ref=joe13")
	site.ServeHTTP(httptest.NewRecorder(), buy)
	// Output:
	// _fprom_ref=joe13; Path=/; Max-Age=5184000; SameSite=Lax
	// ch_1 of promoter joe13
}

// referrals stands for a Tracker.
type referrals struct{}

func (referrals) Enqueue(_ context.Context, events ...fprom.Event) error {
	for _, e := range events {
		sale := e.(fprom.Sale)
		fmt.Println(sale.EventID, "of promoter", sale.RefID)
	}
	return nil
}
