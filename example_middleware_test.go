package fprom_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/nethttpadapter"
)

// The handler says what was sold. Whether it is sent, the response decides.
func ExampleRecord() {
	cfg, fake := fakeConfig() // in a program: cfg := fprom.Config{}
	defer fake.Close()
	tracker, err := fprom.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}

	checkout := func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("card") == "declined" {
			http.Error(w, "declined", http.StatusPaymentRequired)
			return
		}
		// Here the card was charged.
		sale := fprom.Sale{EventID: "ch_1", Email: "jane@example.com", Amount: 4900, Currency: "USD"} // $49.00
		if err := fprom.Record(r.Context(), sale); err != nil {
			slog.Error("payment is not reported", "payment", sale.EventID, "error", err) // the customer has paid: that is no reason to fail
		}
		fmt.Fprintln(w, "Thank you!")
	}
	handler := nethttpadapter.Middleware(tracker)(http.HandlerFunc(checkout))

	for _, target := range []string{"/checkout?card=declined", "/checkout"} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, target, http.NoBody))
		fmt.Print(answer.Code, " ", answer.Body)
	}
	if err := tracker.Shutdown(context.Background()); err != nil {
		fmt.Println(err)
	}
	fmt.Println("tracked:", tracker.Stats().Tracked)
	// Output:
	// 402 declined
	// 200 Thank you!
	// tracked: 1
}

// A webhook of the billing provider asks for its events again, if they could not be stored.
func ExampleWithFailClosed() {
	cfg, fake := fakeConfig()
	defer fake.Close()
	cfg.Queue = fullQueue{}
	tracker, err := fprom.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = tracker.Shutdown(context.Background()) }()

	webhook := func(w http.ResponseWriter, r *http.Request) {
		// Here the signature was verified.
		sale := fprom.Sale{EventID: "in_1", Email: "jane@example.com", Amount: 4900, Currency: "USD"}
		if err := fprom.Record(r.Context(), sale); err != nil && !errors.Is(err, fprom.ErrConflict) { // a conflict would come again
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
	for _, middleware := range []func(http.Handler) http.Handler{
		nethttpadapter.Middleware(tracker),
		nethttpadapter.Middleware(tracker, fprom.WithFailClosed()),
	} {
		answer := httptest.NewRecorder()
		middleware(http.HandlerFunc(webhook)).ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/webhook", http.NoBody))
		fmt.Println(answer.Code)
	}
	// Output:
	// 204
	// 503
}

// fullQueue has no place.
type fullQueue struct{ sink }

func (fullQueue) Put(context.Context, ...fprom.Message) error { return fprom.ErrQueueFull }

// A refund has an id of its own, and names the sale that it takes back. Its amount is positive.
func ExampleRefund() {
	cfg, fake := fakeConfig()
	defer fake.Close()
	tracker, err := fprom.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = tracker.Shutdown(context.Background()) }()

	for _, event := range []fprom.Event{
		fprom.Sale{EventID: "ch_1", Email: "jane@example.com", Amount: 4900, Currency: "USD"},
		fprom.Refund{EventID: "re_1", SaleEventID: "ch_1", Email: "jane@example.com", Amount: 4900, Currency: "USD"},
	} {
		result, err := tracker.Track(context.Background(), event)
		fmt.Println(result.Outcome, err)
	}
	// Output:
	// tracked <nil>
	// tracked <nil>
}
