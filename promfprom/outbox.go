package promfprom

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/figures"
)

var (
	lost        = desc("fprom_lost_total", "Events that could not be stored. Must be 0.")
	size        = desc("fprom_outbox_size", "Events of the outbox by state.", "state")
	unreadable  = desc("fprom_outbox_unreadable", "1 while the outbox gives no figures.")
	unwritable  = desc("fprom_outbox_unwritable", "1 while the last event could not be stored.")
	delivering  = desc("fprom_outbox_delivering", "1 while some process delivers the events of the outbox.")
	oldestAge   = desc("fprom_outbox_oldest_age_seconds", "How long the oldest event has waited.")
	breaker     = desc("fprom_breaker_status", "1 for the present state of the circuit breaker.", "state")
	paused      = desc("fprom_paused", "1 while all delivery is paused.")
	lastSuccess = desc("fprom_last_success_timestamp_seconds", "When the last event was done, in seconds since 1970.")
	limit       = desc("fprom_rate_limit_limit", "Calls a minute that are allowed.")
	missing     = desc("fprom_reconcile_missing", "Commissions that the last comparison with FirstPromoter found missing.")
	differences = desc("fprom_reconcile_differences", "Events that differ in the last comparison with FirstPromoter.", "verdict")
	failed      = desc("fprom_reconcile_failed", "1 if the last comparison with FirstPromoter failed.")
	compared    = desc("fprom_reconcile_timestamp_seconds", "When the last comparison with FirstPromoter ended, in seconds since 1970.")
	panics      = desc("fprom_panics_total", "Panics of the service's own code that fprom calls.")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

func gauges(ch chan<- prometheus.Metric) func(d *prometheus.Desc, v float64, labels ...string) {
	return func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
}

// collect sends the metrics of the Tracker's Stats.
func collect(ch chan<- prometheus.Metric, s fprom.Stats) {
	gauge := gauges(ch)
	ch <- prometheus.MustNewConstMetric(lost, prometheus.CounterValue, float64(s.Lost))
	gauge(unreadable, float64(figures.Bit(s.QueueError != "")))
	gauge(unwritable, float64(figures.Bit(s.PutError != "")))
	if s.QueueError == "" { // zeros would end the alarms
		for state, n := range figures.Sizes(s.Queue) {
			gauge(size, float64(n), state)
		}
		gauge(delivering, float64(figures.Bit(s.Queue.Delivering)))
		gauge(oldestAge, s.OldestAge.Seconds())
	}
	for _, state := range figures.BreakerStates {
		gauge(breaker, float64(figures.Bit(s.Breaker == state)), state)
	}
	gauge(paused, float64(figures.Bit(figures.Paused(s))))
	if at, ok := figures.LastSuccess(s); ok {
		gauge(lastSuccess, at)
	}
	gauge(limit, float64(s.RequestsPerMinute))
	ch <- prometheus.MustNewConstMetric(panics, prometheus.CounterValue, float64(s.Panics))
}

func collectCompared(ch chan<- prometheus.Metric, last func() (time.Time, map[string]int, error)) {
	at, found, err := last()
	if at.IsZero() {
		return
	}
	gauge := gauges(ch)
	gauge(compared, float64(at.UnixMilli())/1000)
	gauge(failed, float64(figures.Bit(err != nil)))
	if err != nil {
		return
	}
	gauge(missing, float64(found["missing"]))
	for _, verdict := range figures.Verdicts {
		gauge(differences, float64(found[verdict]), verdict)
	}
}
