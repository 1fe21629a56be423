// Package promfprom exports what fprom does as Prometheus metrics.
//
//	metrics := promfprom.New()
//	tracker, err := fprom.New(fprom.Config{Observer: metrics.Observe})
//	metrics.Watch(tracker.Stats)
//	prometheus.MustRegister(metrics)
//	handler := stripe.Handler(tracker, secret, billing.WithObserver(metrics.ObserveWebhook)) // of each provider
//
// The metrics and their labels:
//
//	fprom_enqueued_total                     kind              accepted
//	fprom_events_total                       kind, outcome     tracked, not-referral, duplicate, dead, discarded, lost, conflict
//	fprom_attempts_total                     result            tracked, not-referral, duplicate, rejected, throttled, refused, failed
//	fprom_attempt_duration_seconds           result            one call of FirstPromoter
//	fprom_rate_limit_wait_duration_seconds                     how long a call waited for the limit, a pause or the breaker
//	fprom_delivery_duration_seconds          kind              of a live event, from accepted to the outcome: seconds, after an outage hours
//	fprom_lost_total                                           events that could not be stored, since the service started
//	fprom_outbox_size                        state             waiting, bulk, dead, done, conflict (refused, and remembered)
//	fprom_outbox_oldest_age_seconds                            age of the oldest waiting event; 0 if none waits
//	fprom_outbox_delivering                                    1 while some process delivers; 0 also if there is no Tracker (nil)
//	fprom_outbox_unwritable                                    1 while the last event could not be stored; until one is
//	fprom_outbox_unreadable                                    1 while the outbox gives no figures; then the three above are absent
//	fprom_breaker_status                     state             1 for the present state: closed, half-open or open
//	fprom_paused                                               1 while all delivery is paused
//	fprom_last_success_timestamp_seconds                       when the last event was done; absent if unknown
//	fprom_rate_limit_limit                                     calls a minute that are allowed
//	fprom_reconcile_missing                                    commissions that were in answers and are not there now: see WatchReconcile
//	fprom_reconcile_differences              verdict           missing, foreign, amount_differs, doubled: see WatchReconcile
//	fprom_reconcile_failed                                     1 if the last comparison failed; then the two above are absent
//	fprom_reconcile_timestamp_seconds                          when the last comparison ended; absent before the first
//	fprom_panics_total                                         panics of the service's own code that fprom calls
//	fprom_webhooks_total                     provider, result  tracked, skipped, may-lose, conflict, failed, refused, stray: see docs/webhooks.md
//
// The kinds are sale, refund, signup, cancellation and other. No value comes from an event, so the number of time series
// does not grow. Several Trackers of one process are told apart by prometheus.WrapRegistererWith.
package promfprom

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/internal/figures"
)

// Metrics is a prometheus.Collector. Make it with New.
type Metrics struct {
	enqueued, events, attempts *prometheus.CounterVec
	webhooks                   *prometheus.CounterVec
	attempt, delivery          *prometheus.HistogramVec
	wait                       prometheus.Histogram
	stats                      atomic.Pointer[func() fprom.Stats]
	compared                   atomic.Pointer[func() (time.Time, map[string]int, error)]
}

var _ prometheus.Collector = (*Metrics)(nil)

// New makes the metrics. They are not registered.
func New() *Metrics {
	m := &Metrics{
		enqueued: counter("fprom_enqueued_total", "Events accepted.", "kind"),
		events:   counter("fprom_events_total", "Events by what became of them.", "kind", "outcome"),
		attempts: counter("fprom_attempts_total", "Calls of FirstPromoter by how they went.", "result"),
		webhooks: counter("fprom_webhooks_total", "Webhooks by what became of them.", "provider", "result"),
		attempt:  histogram("fprom_attempt_duration_seconds", "Duration of one call.", figures.AttemptBuckets, "result"),
		wait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "fprom_rate_limit_wait_duration_seconds", Help: "How long a call waited for the limit, a pause or the circuit breaker.", Buckets: figures.WaitBuckets,
		}),
		delivery: histogram("fprom_delivery_duration_seconds", "Time of a live event from accepted to the outcome.", figures.DeliveryBuckets, "kind"),
	}
	// Create every series: so the first lost event is an increase, and not a new series.
	for _, kind := range figures.Kinds {
		m.enqueued.WithLabelValues(kind)
		m.delivery.WithLabelValues(kind)
		for _, outcome := range figures.Outcomes {
			m.events.WithLabelValues(kind, outcome)
		}
	}
	for _, result := range figures.Results {
		m.attempts.WithLabelValues(result)
		m.attempt.WithLabelValues(result)
	}
	return m
}

// Observe counts s. It is for Config.Observer, alone or called by an Observer of your own. It is safe for concurrent use.
func (m *Metrics) Observe(_ context.Context, s fprom.Step) {
	kind := figures.Kind(s)
	if s.Stage == fprom.StageEnqueued {
		m.enqueued.WithLabelValues(kind).Inc()
	}
	if outcome, ok := figures.Outcome(s); ok {
		m.events.WithLabelValues(kind, outcome).Inc()
	}
	if result, ok := figures.Attempt(s); ok {
		m.attempts.WithLabelValues(result).Inc()
		m.attempt.WithLabelValues(result).Observe(s.Elapsed.Seconds())
		m.wait.Observe(s.Waited.Seconds())
	}
	if d, ok := figures.Delivery(s); ok {
		m.delivery.WithLabelValues(kind).Observe(d.Seconds())
	}
}

// ObserveWebhook counts what became of a webhook, and of each event of a body with several. It is for billing.WithObserver. The
// providers are the names of the handlers' Providers: give two endpoints of one provider different names. The series of a provider are
// there from its first request on. It is safe for concurrent use.
func (m *Metrics) ObserveWebhook(_ context.Context, x billing.Explanation) {
	for _, result := range figures.WebhookResults { // so the first refusal after another request is an increase
		m.webhooks.WithLabelValues(x.Provider, result)
	}
	m.webhooks.WithLabelValues(x.Provider, figures.Webhook(x)).Inc()
}

// Watch makes each collection call stats, which is the Tracker's Stats. Without Watch the metrics of the outbox are absent.
func (m *Metrics) Watch(stats func() fprom.Stats) { m.stats.Store(&stats) }

// WatchReconcile makes each collection call last, which is the Figures of a reconcile.Nightly, for the last comparison with
// FirstPromoter. Without WatchReconcile the metrics of the comparison are absent.
func (m *Metrics) WatchReconcile(last func() (at time.Time, differences map[string]int, err error)) {
	m.compared.Store(&last)
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(ch)
	}
	for _, d := range []*prometheus.Desc{lost, size, unreadable, unwritable, delivering, oldestAge, breaker, paused, lastSuccess, panics, limit, missing, differences, failed, compared} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.collectors() {
		c.Collect(ch)
	}
	if stats := m.stats.Load(); stats != nil {
		collect(ch, (*stats)())
	}
	if last := m.compared.Load(); last != nil {
		collectCompared(ch, *last)
	}
}

func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.enqueued, m.events, m.attempts, m.webhooks, m.attempt, m.wait, m.delivery}
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}
