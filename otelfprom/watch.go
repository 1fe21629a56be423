package otelfprom

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/figures"
)

// gauges are the instruments that are read at each collection.
type gauges struct {
	lost, panics                 metric.Int64ObservableCounter
	size, breaker, paused, limit metric.Int64ObservableGauge
	unreadable, unwritable       metric.Int64ObservableGauge
	delivering                   metric.Int64ObservableGauge
	oldestAge, lastSuccess       metric.Float64ObservableGauge
}

// Watch calls stats, which is the Tracker's Stats, at each collection. Unregister the Registration before you make a new
// Tracker. Errors are those of the provider.
func (m *Metrics) Watch(stats func() fprom.Stats) (metric.Registration, error) {
	g, err := m.gauges()
	if err != nil {
		return nil, err
	}
	return m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		m.observe(o, g, stats())
		return nil
	}, g.lost, g.size, g.breaker, g.paused, g.oldestAge, g.lastSuccess, g.panics, g.limit, g.unreadable, g.unwritable, g.delivering)
}

func (m *Metrics) gauges() (gauges, error) {
	var g gauges
	errs := make([]error, 11)
	g.lost, errs[0] = m.meter.Int64ObservableCounter("fprom.lost", metric.WithUnit("{event}"), metric.WithDescription("Events that could not be stored. Must be 0."))
	g.size, errs[1] = m.meter.Int64ObservableGauge("fprom.outbox.size", metric.WithUnit("{event}"), metric.WithDescription("Events of the outbox by state."))
	g.breaker, errs[2] = m.meter.Int64ObservableGauge("fprom.breaker.status", metric.WithUnit("{state}"), metric.WithDescription("1 for the present state of the circuit breaker."))
	g.paused, errs[3] = m.meter.Int64ObservableGauge("fprom.paused", metric.WithUnit("{pause}"), metric.WithDescription("1 while all delivery is paused."))
	g.oldestAge, errs[4] = m.meter.Float64ObservableGauge("fprom.outbox.oldest_age", metric.WithUnit("s"), metric.WithDescription("How long the oldest event has waited."))
	g.lastSuccess, errs[5] = m.meter.Float64ObservableGauge("fprom.last_success.timestamp", metric.WithUnit("s"), metric.WithDescription("When the last event was done, in seconds since 1970."))
	g.panics, errs[6] = m.meter.Int64ObservableCounter("fprom.panics", metric.WithUnit("{panic}"), metric.WithDescription("Panics of the service's own code that fprom calls."))
	g.limit, errs[7] = m.meter.Int64ObservableGauge("fprom.rate_limit.limit", metric.WithUnit("{attempt}"), metric.WithDescription("Calls a minute that are allowed."))
	g.unreadable, errs[8] = m.meter.Int64ObservableGauge("fprom.outbox.unreadable", metric.WithUnit("{outbox}"), metric.WithDescription("1 while the outbox gives no figures."))
	g.delivering, errs[9] = m.meter.Int64ObservableGauge("fprom.outbox.delivering", metric.WithUnit("{outbox}"), metric.WithDescription("1 while some process delivers the events of the outbox."))
	g.unwritable, errs[10] = m.meter.Int64ObservableGauge("fprom.outbox.unwritable", metric.WithUnit("{outbox}"), metric.WithDescription("1 while the last event could not be stored."))
	return g, errors.Join(errs...)
}

func (m *Metrics) observe(o metric.Observer, g gauges, s fprom.Stats) {
	o.ObserveInt64(g.lost, int64(s.Lost), m.fixed)
	o.ObserveInt64(g.unreadable, figures.Bit(s.QueueError != ""), m.fixed)
	o.ObserveInt64(g.unwritable, figures.Bit(s.PutError != ""), m.fixed)
	if s.QueueError == "" { // zeros would end the alarms
		for state, n := range figures.Sizes(s.Queue) {
			o.ObserveInt64(g.size, int64(n), m.fixed, with("state", state))
		}
		o.ObserveInt64(g.delivering, figures.Bit(s.Queue.Delivering), m.fixed)
		o.ObserveFloat64(g.oldestAge, s.OldestAge.Seconds(), m.fixed)
	}
	for _, state := range figures.BreakerStates {
		o.ObserveInt64(g.breaker, figures.Bit(s.Breaker == state), m.fixed, with("state", state))
	}
	o.ObserveInt64(g.paused, figures.Bit(figures.Paused(s)), m.fixed)
	if at, ok := figures.LastSuccess(s); ok {
		o.ObserveFloat64(g.lastSuccess, at, m.fixed)
	}
	o.ObserveInt64(g.panics, int64(s.Panics), m.fixed)
	o.ObserveInt64(g.limit, int64(s.RequestsPerMinute), m.fixed)
}

// WatchReconcile calls last, which is the Figures of a reconcile.Nightly, at each collection. It exports the last comparison with
// FirstPromoter. Errors are those of the provider.
func (m *Metrics) WatchReconcile(last func() (at time.Time, differences map[string]int, err error)) (metric.Registration, error) {
	var errs [4]error
	missing, err := m.meter.Int64ObservableGauge("fprom.reconcile.missing", metric.WithUnit("{event}"), metric.WithDescription("Commissions that the last comparison with FirstPromoter found missing."))
	errs[0] = err
	differences, err := m.meter.Int64ObservableGauge("fprom.reconcile.differences", metric.WithUnit("{event}"), metric.WithDescription("Events that differ in the last comparison with FirstPromoter."))
	errs[1] = err
	failed, err := m.meter.Int64ObservableGauge("fprom.reconcile.failed", metric.WithUnit("{comparison}"), metric.WithDescription("1 if the last comparison with FirstPromoter failed."))
	errs[2] = err
	compared, err := m.meter.Float64ObservableGauge("fprom.reconcile.timestamp", metric.WithUnit("s"), metric.WithDescription("When the last comparison with FirstPromoter ended, in seconds since 1970."))
	errs[3] = err
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		at, found, err := last()
		if at.IsZero() {
			return nil
		}
		o.ObserveFloat64(compared, float64(at.UnixMilli())/1000, m.fixed)
		o.ObserveInt64(failed, figures.Bit(err != nil), m.fixed)
		if err != nil {
			return nil //nolint:nilerr // the comparison's error is a metric
		}
		o.ObserveInt64(missing, int64(found["missing"]), m.fixed)
		for _, verdict := range figures.Verdicts {
			o.ObserveInt64(differences, int64(found[verdict]), m.fixed, with("verdict", verdict))
		}
		return nil
	}, missing, differences, failed, compared)
}
