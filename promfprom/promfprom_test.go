package promfprom_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/stripe"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/figures"
	"github.com/fprom-go/fprom/promfprom"
)

func TestFigures(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_000, 0)
	m := promfprom.New()
	m.Watch(func() fprom.Stats {
		return fprom.Stats{
			Lost: 2, Panics: 1, RequestsPerMinute: 400, OldestAge: 90 * time.Second, Breaker: "half-open", PausedUntil: at, PutError: "the disk is full",
			Queue: fprom.QueueStats{Pending: 7, Bulk: 8, Dead: 3, Ledger: 9, Conflicts: 6, LastSuccess: at, Delivering: true},
		}
	})
	m.WatchReconcile(func() (time.Time, map[string]int, error) { return at, map[string]int{"missing": 4, "doubled": 5}, nil })
	sale := fprom.Message{Kind: fprom.KindSale, RecordedAt: time.Now()}
	for _, s := range []fprom.Step{
		{Stage: fprom.StageEnqueued, Message: sale},
		{Stage: fprom.StageRetry, Message: sale, Result: fprom.Result{Outcome: fprom.Undelivered, StatusCode: 500}, Elapsed: 2 * time.Second},
		{Stage: fprom.StageDelivered, Message: sale, Result: fprom.Result{Outcome: fprom.Tracked, StatusCode: 200}, Elapsed: time.Second, Waited: 3 * time.Second},
	} {
		m.Observe(t.Context(), s)
	}
	want := `
# HELP fprom_attempts_total Calls of FirstPromoter by how they went.
# TYPE fprom_attempts_total counter
fprom_attempts_total{result="duplicate"} 0
fprom_attempts_total{result="failed"} 1
fprom_attempts_total{result="not-referral"} 0
fprom_attempts_total{result="refused"} 0
fprom_attempts_total{result="rejected"} 0
fprom_attempts_total{result="throttled"} 0
fprom_attempts_total{result="tracked"} 1
# HELP fprom_breaker_status 1 for the present state of the circuit breaker.
# TYPE fprom_breaker_status gauge
fprom_breaker_status{state="closed"} 0
fprom_breaker_status{state="half-open"} 1
fprom_breaker_status{state="open"} 0
# HELP fprom_enqueued_total Events accepted.
# TYPE fprom_enqueued_total counter
fprom_enqueued_total{kind="cancellation"} 0
fprom_enqueued_total{kind="other"} 0
fprom_enqueued_total{kind="refund"} 0
fprom_enqueued_total{kind="sale"} 1
fprom_enqueued_total{kind="signup"} 0
# HELP fprom_last_success_timestamp_seconds When the last event was done, in seconds since 1970.
# TYPE fprom_last_success_timestamp_seconds gauge
fprom_last_success_timestamp_seconds 1.8e+09
# HELP fprom_lost_total Events that could not be stored. Must be 0.
# TYPE fprom_lost_total counter
fprom_lost_total 2
# HELP fprom_outbox_delivering 1 while some process delivers the events of the outbox.
# TYPE fprom_outbox_delivering gauge
fprom_outbox_delivering 1
# HELP fprom_outbox_oldest_age_seconds How long the oldest event has waited.
# TYPE fprom_outbox_oldest_age_seconds gauge
fprom_outbox_oldest_age_seconds 90
# HELP fprom_outbox_size Events of the outbox by state.
# TYPE fprom_outbox_size gauge
fprom_outbox_size{state="bulk"} 8
fprom_outbox_size{state="conflict"} 6
fprom_outbox_size{state="dead"} 3
fprom_outbox_size{state="done"} 9
fprom_outbox_size{state="waiting"} 7
# HELP fprom_outbox_unwritable 1 while the last event could not be stored.
# TYPE fprom_outbox_unwritable gauge
fprom_outbox_unwritable 1
# HELP fprom_panics_total Panics of the service's own code that fprom calls.
# TYPE fprom_panics_total counter
fprom_panics_total 1
# HELP fprom_paused 1 while all delivery is paused.
# TYPE fprom_paused gauge
fprom_paused 1
# HELP fprom_reconcile_differences Events that differ in the last comparison with FirstPromoter.
# TYPE fprom_reconcile_differences gauge
fprom_reconcile_differences{verdict="amount_differs"} 0
fprom_reconcile_differences{verdict="doubled"} 5
fprom_reconcile_differences{verdict="foreign"} 0
fprom_reconcile_differences{verdict="missing"} 4
# HELP fprom_reconcile_failed 1 if the last comparison with FirstPromoter failed.
# TYPE fprom_reconcile_failed gauge
fprom_reconcile_failed 0
# HELP fprom_reconcile_timestamp_seconds When the last comparison with FirstPromoter ended, in seconds since 1970.
# TYPE fprom_reconcile_timestamp_seconds gauge
fprom_reconcile_timestamp_seconds 1.8e+09
# HELP fprom_reconcile_missing Commissions that the last comparison with FirstPromoter found missing.
# TYPE fprom_reconcile_missing gauge
fprom_reconcile_missing 4
# HELP fprom_rate_limit_limit Calls a minute that are allowed.
# TYPE fprom_rate_limit_limit gauge
fprom_rate_limit_limit 400
# HELP fprom_rate_limit_wait_duration_seconds How long a call waited for the limit, a pause or the circuit breaker.
# TYPE fprom_rate_limit_wait_duration_seconds histogram
fprom_rate_limit_wait_duration_seconds_bucket{le="0.01"} 1
fprom_rate_limit_wait_duration_seconds_bucket{le="0.1"} 1
fprom_rate_limit_wait_duration_seconds_bucket{le="0.25"} 1
fprom_rate_limit_wait_duration_seconds_bucket{le="0.5"} 1
fprom_rate_limit_wait_duration_seconds_bucket{le="1"} 1
fprom_rate_limit_wait_duration_seconds_bucket{le="2.5"} 1
fprom_rate_limit_wait_duration_seconds_bucket{le="5"} 2
fprom_rate_limit_wait_duration_seconds_bucket{le="10"} 2
fprom_rate_limit_wait_duration_seconds_bucket{le="30"} 2
fprom_rate_limit_wait_duration_seconds_bucket{le="60"} 2
fprom_rate_limit_wait_duration_seconds_bucket{le="300"} 2
fprom_rate_limit_wait_duration_seconds_bucket{le="+Inf"} 2
fprom_rate_limit_wait_duration_seconds_sum 3
fprom_rate_limit_wait_duration_seconds_count 2
`
	err := testutil.CollectAndCompare(m, strings.NewReader(want), "fprom_attempts_total", "fprom_breaker_status", "fprom_enqueued_total",
		"fprom_last_success_timestamp_seconds", "fprom_lost_total", "fprom_outbox_delivering", "fprom_outbox_unwritable", "fprom_outbox_oldest_age_seconds", "fprom_outbox_size", "fprom_paused", "fprom_panics_total",
		"fprom_reconcile_differences", "fprom_reconcile_failed", "fprom_reconcile_timestamp_seconds", "fprom_reconcile_missing", "fprom_rate_limit_limit", "fprom_rate_limit_wait_duration_seconds")
	if err != nil {
		t.Error(err)
	}
	registry, seconds := prometheus.NewPedanticRegistry(), map[string]float64{}
	registry.MustRegister(m)
	families, err := registry.Gather()
	for _, f := range families {
		for _, x := range f.GetMetric() {
			if sum := x.GetHistogram().GetSampleSum(); f.GetName() == "fprom_attempt_duration_seconds" && sum > 0 {
				seconds[x.GetLabel()[0].GetValue()] = sum
			}
		}
	}
	if want := map[string]float64{"failed": 2, "tracked": 1}; err != nil || !maps.Equal(seconds, want) {
		t.Errorf("attempts took %v, want %v; %v", seconds, want, err)
	}
	if problems, err := testutil.CollectAndLint(m); err != nil || len(problems) > 0 {
		t.Errorf("Prometheus' own rules for names: %v, %v", problems, err)
	}
}

// A comparison that failed has found nothing, and one that was not made is not there.
func TestComparisonThatFailed(t *testing.T) {
	t.Parallel()
	m := promfprom.New()
	at := time.Time{}
	m.WatchReconcile(func() (time.Time, map[string]int, error) { return at, nil, errors.New("503") })
	names := []string{"fprom_reconcile_differences", "fprom_reconcile_failed", "fprom_reconcile_timestamp_seconds", "fprom_reconcile_missing"}
	if n := testutil.CollectAndCount(m, names...); n != 0 {
		t.Errorf("%d series before the first one", n)
	}
	at = time.Unix(1_800_000_000, 0)
	if err := testutil.CollectAndCompare(m, strings.NewReader(`
# HELP fprom_reconcile_failed 1 if the last comparison with FirstPromoter failed.
# TYPE fprom_reconcile_failed gauge
fprom_reconcile_failed 1
# HELP fprom_reconcile_timestamp_seconds When the last comparison with FirstPromoter ended, in seconds since 1970.
# TYPE fprom_reconcile_timestamp_seconds gauge
fprom_reconcile_timestamp_seconds 1.8e+09
`), names...); err != nil {
		t.Error(err)
	}
}

// unreadable is a queue whose database does not answer.
type unreadable struct{ fprom.Queue }

func (unreadable) Stats(context.Context) (fprom.QueueStats, error) {
	return fprom.QueueStats{}, errors.New("the database does not answer")
}

// While the outbox cannot be read, nobody knows what waits: it is not 0, which would end the alarms.
func TestOutboxThatCannotBeRead(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t)
	for _, c := range []struct {
		queue fprom.Queue
		size  int
		want  string
	}{{unreadable{fprom.NewMemoryQueue(0)}, 0, "1"}, {nil, 7, "0"}} {
		cfg := fake.Config()
		cfg.Queue, cfg.Logger = c.queue, slog.New(slog.DiscardHandler)
		tracker, err := fprom.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tracker.Shutdown(context.Background()) })
		m := promfprom.New()
		m.Watch(tracker.Stats)
		if n := testutil.CollectAndCount(m, "fprom_outbox_size", "fprom_outbox_oldest_age_seconds", "fprom_outbox_delivering"); n != c.size {
			t.Errorf("%d series of what waits, want %d", n, c.size)
		}
		if err := testutil.CollectAndCompare(m, strings.NewReader(`
# HELP fprom_outbox_unreadable 1 while the outbox gives no figures.
# TYPE fprom_outbox_unreadable gauge
fprom_outbox_unreadable `+c.want+"\n"), "fprom_outbox_unreadable"); err != nil {
			t.Error(err)
		}
	}
}

// TestSeriesDoNotGrow: 10,000 events of all sorts make no series that is not there from the start.
func TestSeriesDoNotGrow(t *testing.T) {
	t.Parallel()
	m := promfprom.New()
	m.Watch(func() fprom.Stats {
		return fprom.Stats{Breaker: "closed", Queue: fprom.QueueStats{LastSuccess: time.Now()}}
	})
	for _, provider := range figures.Providers {
		m.ObserveWebhook(t.Context(), billing.Explanation{Provider: provider})
	}
	before := testutil.CollectAndCount(m)
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		m.Observe(t.Context(), figures.Random(r))
		m.ObserveWebhook(t.Context(), figures.RandomWebhook(r))
	}
	if after := testutil.CollectAndCount(m); after != before || after > 100 {
		t.Errorf("%d series before, %d after 10,000 events, want as many and at most 100", before, after)
	}
}

// TestWebhooks: all results of a provider are there from its first request on.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	m := promfprom.New()
	for _, secret := range []string{"whsec_b3RoZXI=", fpromtest.TestWebhookSecret, fpromtest.TestWebhookSecret} {
		r, err := fpromtest.Webhook("stripe", "invoice.paid", fpromtest.WebhookConfig{})
		if err != nil {
			t.Fatal(err)
		}
		h := stripe.Handler(&billingtest.Sink{}, secret, billingtest.Quiet(), billing.WithObserver(m.ObserveWebhook))
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	if err := testutil.CollectAndCompare(m, strings.NewReader(`
# HELP fprom_webhooks_total Webhooks by what became of them.
# TYPE fprom_webhooks_total counter
fprom_webhooks_total{provider="stripe",result="conflict"} 0
fprom_webhooks_total{provider="stripe",result="failed"} 0
fprom_webhooks_total{provider="stripe",result="may-lose"} 0
fprom_webhooks_total{provider="stripe",result="refused"} 1
fprom_webhooks_total{provider="stripe",result="skipped"} 0
fprom_webhooks_total{provider="stripe",result="stray"} 0
fprom_webhooks_total{provider="stripe",result="tracked"} 2
`), "fprom_webhooks_total"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.CollectAndLint(m); err != nil || len(problems) > 0 {
		t.Errorf("Prometheus' own rules for names: %v, %v", problems, err)
	}
}

// TestTwoTrackers: one process, two accounts, one registry.
func TestTwoTrackers(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	for _, account := range []string{"a", "b"} {
		m := promfprom.New()
		m.Watch(func() fprom.Stats { return fprom.Stats{} })
		prometheus.WrapRegistererWith(prometheus.Labels{"account": account}, registry).MustRegister(m)
	}
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
}
