package otelfprom_test

import (
	"context"
	"math/rand/v2"
	"net/http/httptest"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/stripe"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/figures"
	"github.com/fprom-go/fprom/otelfprom"
)

// collect returns the value of every series, named as in fprom.events{kind=sale,outcome=tracked}; of a histogram its count.
func collect(t *testing.T, reader sdk.Reader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	series := map[string]float64{}
	name := func(m metricdata.Metrics, set attribute.Set) string {
		return m.Name + "{" + set.Encoded(attribute.DefaultEncoder()) + "}"
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Unit == "" || m.Description == "" {
				t.Errorf("%s has no unit or no description", m.Name)
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					series[name(m, p.Attributes)] = float64(p.Value)
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					series[name(m, p.Attributes)] = float64(p.Value)
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					series[name(m, p.Attributes)] = p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					series[name(m, p.Attributes)] = float64(p.Count)
				}
			default:
				t.Errorf("%s is a %T", m.Name, data)
			}
		}
	}
	return series
}

func watched(t *testing.T, stats fprom.Stats, fixed ...attribute.KeyValue) (*otelfprom.Metrics, sdk.Reader) {
	t.Helper()
	reader := sdk.NewManualReader()
	m, err := otelfprom.New(sdk.NewMeterProvider(sdk.WithReader(reader)), fixed...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Watch(func() fprom.Stats { return stats }); err != nil {
		t.Fatal(err)
	}
	found := map[string]int{"missing": 4, "doubled": 5}
	if _, err := m.WatchReconcile(func() (time.Time, map[string]int, error) { return time.Unix(1_800_000_000, 0), found, nil }); err != nil {
		t.Fatal(err)
	}
	return m, reader
}

func TestFigures(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_000, 0)
	m, reader := watched(t, fprom.Stats{
		Lost: 2, Panics: 1, RequestsPerMinute: 400, OldestAge: 90 * time.Second, Breaker: "half-open", PausedUntil: at, PutError: "the disk is full",
		Queue: fprom.QueueStats{Pending: 7, Bulk: 8, Dead: 3, Ledger: 9, Conflicts: 6, LastSuccess: at, Delivering: true},
	}, attribute.String("account", "a"))
	sale := fprom.Message{Kind: fprom.KindSale, RecordedAt: time.Now()}
	for _, s := range []fprom.Step{
		{Stage: fprom.StageEnqueued, Message: sale},
		{Stage: fprom.StageRetry, Message: sale, Result: fprom.Result{Outcome: fprom.Undelivered, StatusCode: 500}, Elapsed: time.Second},
		{Stage: fprom.StageDelivered, Message: sale, Result: fprom.Result{Outcome: fprom.Tracked, StatusCode: 200}, Elapsed: time.Second, Waited: 3 * time.Second},
	} {
		m.Observe(t.Context(), s)
	}
	for _, secret := range []string{"whsec_b3RoZXI=", fpromtest.TestWebhookSecret, fpromtest.TestWebhookSecret} {
		r, err := fpromtest.Webhook("stripe", "invoice.paid", fpromtest.WebhookConfig{})
		if err != nil {
			t.Fatal(err)
		}
		h := stripe.Handler(&billingtest.Sink{}, secret, billingtest.Quiet(), billing.WithObserver(m.ObserveWebhook))
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	got := collect(t, reader)
	for series, want := range map[string]float64{
		"fprom.enqueued{account=a,kind=sale}":                 1,
		"fprom.events{account=a,kind=sale,outcome=tracked}":   1,
		"fprom.events{account=a,kind=refund,outcome=tracked}": 0,
		"fprom.attempts{account=a,result=tracked}":            1,
		"fprom.attempts{account=a,result=failed}":             1,
		"fprom.attempts{account=a,result=refused}":            0,
		"fprom.attempt.duration{account=a,result=failed}":     1,
		"fprom.delivery.duration{account=a,kind=sale}":        1,
		"fprom.lost{account=a}":                               2,
		"fprom.outbox.size{account=a,state=waiting}":          7,
		"fprom.outbox.size{account=a,state=bulk}":             8,
		"fprom.outbox.size{account=a,state=dead}":             3,
		"fprom.outbox.size{account=a,state=done}":             9,
		"fprom.outbox.size{account=a,state=conflict}":         6,
		"fprom.outbox.oldest_age{account=a}":                  90,
		"fprom.outbox.delivering{account=a}":                  1,
		"fprom.outbox.unwritable{account=a}":                  1,
		"fprom.breaker.status{account=a,state=half-open}":     1,
		"fprom.breaker.status{account=a,state=closed}":        0,
		"fprom.paused{account=a}":                             1,
		"fprom.last_success.timestamp{account=a}":             1_800_000_000,
		"fprom.rate_limit.wait.duration{account=a}":           2,
		"fprom.rate_limit.limit{account=a}":                   400,
		"fprom.panics{account=a}":                             1,
		"fprom.reconcile.missing{account=a}":                  4,

		"fprom.reconcile.differences{account=a,verdict=missing}": 4,
		"fprom.reconcile.differences{account=a,verdict=doubled}": 5,
		"fprom.reconcile.differences{account=a,verdict=foreign}": 0,
		"fprom.reconcile.failed{account=a}":                      0,
		"fprom.reconcile.timestamp{account=a}":                   1_800_000_000,

		"fprom.webhooks{account=a,provider=stripe,result=refused}": 1,
		"fprom.webhooks{account=a,provider=stripe,result=tracked}": 2,
		"fprom.webhooks{account=a,provider=stripe,result=failed}":  0,
	} {
		if v, ok := got[series]; !ok || v != want {
			t.Errorf("%s is %v (there: %v), want %v", series, v, ok, want)
		}
	}
}

// TestSeriesDoNotGrow: 10,000 events of all sorts make no series that as many before did not.
func TestSeriesDoNotGrow(t *testing.T) {
	t.Parallel()
	m, reader := watched(t, fprom.Stats{Breaker: "closed", Queue: fprom.QueueStats{LastSuccess: time.Now()}})
	r := rand.New(rand.NewPCG(1, 2))
	sent := func(n int) int {
		for range n {
			m.Observe(context.Background(), figures.Random(r))
			m.ObserveWebhook(context.Background(), figures.RandomWebhook(r))
		}
		return len(collect(t, reader))
	}
	if before, after := sent(10_000), sent(10_000); before != after || after > 100 {
		t.Errorf("%d series after 10,000 events, %d after 10,000 more, want as many and at most 100", before, after)
	}
}

func TestUnregister(t *testing.T) {
	t.Parallel()
	reader := sdk.NewManualReader()
	m, err := otelfprom.New(sdk.NewMeterProvider(sdk.WithReader(reader)))
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	registration, err := m.Watch(func() fprom.Stats { asked++; return fprom.Stats{} })
	if err != nil {
		t.Fatal(err)
	}
	collect(t, reader)
	if err := registration.Unregister(); err != nil {
		t.Fatal(err)
	}
	collect(t, reader)
	if asked != 1 {
		t.Errorf("asked %d times, want once: not after Unregister", asked)
	}
}
