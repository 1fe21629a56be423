// Package otelfprom exports what fprom does as OpenTelemetry metrics. It needs OpenTelemetry's API only: which SDK and
// which exporter run is the service's choice.
//
//	metrics, err := otelfprom.New(nil)
//	tracker, err := fprom.New(fprom.Config{Observer: metrics.Observe})
//	registration, err := metrics.Watch(tracker.Stats)
//	handler := stripe.Handler(tracker, secret, billing.WithObserver(metrics.ObserveWebhook)) // of each provider
//
// The metrics, with their units and attributes:
//
//	fprom.enqueued                  {event}    kind             accepted
//	fprom.events                    {event}    kind, outcome    tracked, not-referral, duplicate, dead, discarded, lost, conflict
//	fprom.attempts                  {attempt}  result           tracked, not-referral, duplicate, rejected, throttled, refused, failed
//	fprom.attempt.duration          s          result           one call of FirstPromoter
//	fprom.rate_limit.wait.duration  s                           how long a call waited for the limit, a pause or the breaker
//	fprom.delivery.duration         s          kind             of a live event, from accepted to the outcome: seconds, after an outage hours
//	fprom.lost                      {event}                     events that could not be stored, since the service started
//	fprom.outbox.size               {event}    state            waiting, bulk, dead, done, conflict (refused, and remembered)
//	fprom.outbox.oldest_age         s                           age of the oldest waiting event; 0 if none waits
//	fprom.outbox.delivering         {outbox}                    1 while some process delivers; 0 also if there is no Tracker (nil)
//	fprom.outbox.unwritable         {outbox}                    1 while the last event could not be stored; until one is
//	fprom.outbox.unreadable         {outbox}                    1 while the outbox gives no figures; then the three above are absent
//	fprom.breaker.status            {state}    state            1 for the present state: closed, half-open or open
//	fprom.paused                    {pause}                     1 while all delivery is paused
//	fprom.last_success.timestamp    s                           when the last event was done; absent if unknown
//	fprom.rate_limit.limit          {attempt}                   calls a minute that are allowed
//	fprom.reconcile.missing         {event}                     commissions that were in answers and are not there now: see WatchReconcile
//	fprom.reconcile.differences     {event}       verdict       missing, foreign, amount_differs, doubled: see WatchReconcile
//	fprom.reconcile.failed          {comparison}                1 if the last comparison failed; then the two above are absent
//	fprom.reconcile.timestamp       s                           when the last comparison ended; absent before the first
//	fprom.panics                    {panic}                     panics of the service's own code that fprom calls
//	fprom.webhooks                  {webhook}  provider, result tracked, skipped, may-lose, conflict, failed, refused, stray: see docs/webhooks.md
//
// The kinds are sale, refund, signup, cancellation and other. No value comes from an event, so the number of time series
// does not grow. Through a Prometheus exporter the names are those of promfprom.
package otelfprom

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/internal/figures"
)

const scope = "github.com/fprom-go/fprom/otelfprom"

// Metrics are the instruments. Make them with New.
type Metrics struct {
	meter metric.Meter
	fixed metric.MeasurementOption

	enqueued, events, attempts, webhooks metric.Int64Counter
	attempt, wait, delivery              metric.Float64Histogram
}

// New makes the instruments from p; nil is otel.GetMeterProvider(). The attributes are added to every measurement: they
// tell several Trackers of one process apart. Errors are those of the provider.
func New(p metric.MeterProvider, fixed ...attribute.KeyValue) (*Metrics, error) {
	if p == nil {
		p = otel.GetMeterProvider()
	}
	m := &Metrics{meter: p.Meter(scope), fixed: metric.WithAttributeSet(attribute.NewSet(fixed...))}
	errs := make([]error, 7)
	m.enqueued, errs[0] = m.meter.Int64Counter("fprom.enqueued", metric.WithUnit("{event}"), metric.WithDescription("Events accepted."))
	m.events, errs[1] = m.meter.Int64Counter("fprom.events", metric.WithUnit("{event}"), metric.WithDescription("Events by what became of them."))
	m.attempts, errs[2] = m.meter.Int64Counter("fprom.attempts", metric.WithUnit("{attempt}"), metric.WithDescription("Calls of FirstPromoter by how they went."))
	m.attempt, errs[3] = m.meter.Float64Histogram("fprom.attempt.duration", metric.WithUnit("s"), metric.WithDescription("Duration of one call."),
		metric.WithExplicitBucketBoundaries(figures.AttemptBuckets...))
	m.delivery, errs[4] = m.meter.Float64Histogram("fprom.delivery.duration", metric.WithUnit("s"), metric.WithDescription("Time of a live event from accepted to the outcome."),
		metric.WithExplicitBucketBoundaries(figures.DeliveryBuckets...))
	m.wait, errs[5] = m.meter.Float64Histogram("fprom.rate_limit.wait.duration", metric.WithUnit("s"), metric.WithDescription("How long a call waited for the limit, a pause or the circuit breaker."),
		metric.WithExplicitBucketBoundaries(figures.WaitBuckets...))
	m.webhooks, errs[6] = m.meter.Int64Counter("fprom.webhooks", metric.WithUnit("{webhook}"), metric.WithDescription("Webhooks by what became of them."))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	m.start()
	return m, nil
}

// start creates every series of the counters: so the first lost event is an increase, and not a new series.
func (m *Metrics) start() {
	ctx := context.Background()
	for _, kind := range figures.Kinds {
		m.enqueued.Add(ctx, 0, m.fixed, with("kind", kind))
		for _, outcome := range figures.Outcomes {
			m.events.Add(ctx, 0, m.fixed, with("kind", kind), with("outcome", outcome))
		}
	}
	for _, result := range figures.Results {
		m.attempts.Add(ctx, 0, m.fixed, with("result", result))
	}
}

// Observe counts s. It is for Config.Observer, alone or called by an Observer of your own. It is safe for concurrent use.
func (m *Metrics) Observe(ctx context.Context, s fprom.Step) {
	kind := figures.Kind(s)
	if s.Stage == fprom.StageEnqueued {
		m.enqueued.Add(ctx, 1, m.fixed, with("kind", kind))
	}
	if outcome, ok := figures.Outcome(s); ok {
		m.events.Add(ctx, 1, m.fixed, with("kind", kind), with("outcome", outcome))
	}
	if result, ok := figures.Attempt(s); ok {
		m.attempts.Add(ctx, 1, m.fixed, with("result", result))
		m.attempt.Record(ctx, s.Elapsed.Seconds(), m.fixed, with("result", result))
		m.wait.Record(ctx, s.Waited.Seconds(), m.fixed)
	}
	if d, ok := figures.Delivery(s); ok {
		m.delivery.Record(ctx, d.Seconds(), m.fixed, with("kind", kind))
	}
}

// ObserveWebhook counts what became of a webhook, and of each event of a body with several. It is for billing.WithObserver. The
// providers are the names of the handlers' Providers: give two endpoints of one provider different names. The series of a provider are
// there from its first request on. It is safe for concurrent use.
func (m *Metrics) ObserveWebhook(ctx context.Context, x billing.Explanation) {
	for _, result := range figures.WebhookResults { // so the first refusal after another request is an increase
		m.webhooks.Add(ctx, 0, m.fixed, with("provider", x.Provider), with("result", result))
	}
	m.webhooks.Add(ctx, 1, m.fixed, with("provider", x.Provider), with("result", figures.Webhook(x)))
}

// with adds an attribute to a measurement.
func with(key, value string) metric.MeasurementOption {
	return metric.WithAttributes(attribute.String(key, value))
}
