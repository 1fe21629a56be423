package nethttpadapter_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/nethttpadapter"
)

// firstPromoter is a fake; in production the Config is fprom.Config{} with the credentials in the environment.
var firstPromoter = fpromtest.Start(fpromtest.InMemory(), fpromtest.WithAllLeads())

func checkout(w http.ResponseWriter, r *http.Request) {
	// Here the card was charged.
	sale := fprom.Sale{EventID: "ch_1", Email: "ann@example.com", Amount: 4900, Currency: "USD"}
	if err := fprom.Record(r.Context(), sale); err != nil {
		slog.Error("payment is not reported", "payment", sale.EventID, "error", err) // the customer has paid: that is no reason to fail
	}
	fmt.Fprintln(w, "Thank you!")
}

func Example() {
	tracker, err := fprom.New(firstPromoter.Config())
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /checkout", nethttpadapter.Middleware(tracker)(http.HandlerFunc(checkout)))

	// A customer buys.
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/checkout", http.NoBody))
	fmt.Print(answer.Body)

	// At the end, what is queued is delivered.
	if err := tracker.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(firstPromoter.Commissions()), "commission")
	// Output:
	// Thank you!
	// 1 commission
}

// A webhook answers 503 if the sale cannot be stored, so that the provider delivers it again.
func ExampleMiddleware_webhook() {
	full := fprom.NewMemoryQueue(1)
	event, err := fprom.NewMessage(fprom.Sale{EventID: "ch_0", Email: "bob@example.com", Amount: 100})
	if err != nil {
		log.Fatal(err)
	}
	if err := full.Put(context.Background(), event); err != nil {
		log.Fatal(err)
	}

	webhook := func(w http.ResponseWriter, r *http.Request) {
		// Here the signature was verified.
		err := fprom.Record(r.Context(), fprom.Sale{EventID: "ch_1", Email: "ann@example.com", Amount: 4900, Currency: "USD"})
		if err != nil && !errors.Is(err, fprom.ErrConflict) { // a conflict is logged, and would come again
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
	wrapped := nethttpadapter.Middleware(putOnly{full}, fprom.WithFailClosed())(http.HandlerFunc(webhook))

	answer := httptest.NewRecorder()
	wrapped.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/webhook", http.NoBody))
	fmt.Println(answer.Code)
	// Output: 503
}

// putOnly is an Enqueuer of one's own: it stores events for another process to deliver.
type putOnly struct{ queue fprom.Queue }

func (p putOnly) Enqueue(ctx context.Context, events ...fprom.Event) error {
	var ms []fprom.Message
	for _, e := range events {
		m, err := fprom.NewMessage(e)
		if err != nil {
			return err
		}
		ms = append(ms, m)
	}
	return p.queue.Put(ctx, ms...)
}
