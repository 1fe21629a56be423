package promfprom_test

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/stripe"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/promfprom"
)

func Example() {
	fake := fpromtest.Start(fpromtest.WithAllLeads()) // in production: FirstPromoter
	defer fake.Close()

	metrics := promfprom.New()
	cfg := fake.Config()
	cfg.Observer = metrics.Observe
	tracker, err := fprom.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	metrics.Watch(tracker.Stats)
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))

	ctx := context.Background()
	if err := tracker.Enqueue(ctx, fprom.Sale{EventID: "ch_1", Email: "jane@example.com", Amount: 4900}); err != nil {
		log.Fatal(err)
	}
	if err := tracker.Flush(ctx); err != nil {
		log.Fatal(err)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for lines := bufio.NewScanner(w.Body); lines.Scan(); {
		if l := lines.Text(); strings.Contains(l, `_total{`) && strings.HasSuffix(l, " 1") || strings.HasPrefix(l, "fprom_lost_total") {
			fmt.Println(l)
		}
	}
	_ = tracker.Shutdown(ctx)
	// Output:
	// fprom_attempts_total{result="tracked"} 1
	// fprom_enqueued_total{kind="sale"} 1
	// fprom_events_total{kind="sale",outcome="tracked"} 1
	// fprom_lost_total 0
}

// The block of docs/operations.md: it is enough that it compiles.
func documented(mux *http.ServeMux, secret string) (*fprom.Tracker, error) {
	metrics := promfprom.New() // or metrics, err := otelfprom.New(nil)
	tracker, err := fprom.New(fprom.Config{Observer: metrics.Observe})
	metrics.Watch(tracker.Stats)
	prometheus.MustRegister(metrics)
	mux.Handle("GET /metrics", promhttp.Handler())
	handler := stripe.Handler(tracker, secret, billing.WithObserver(metrics.ObserveWebhook)) // of each provider
	mux.Handle("POST /webhooks/stripe", handler)
	return tracker, err
}

var _ = documented
