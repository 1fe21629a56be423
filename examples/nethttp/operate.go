package main

import (
	"net"
	"net/http"
	"net/url"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/promfprom"
	"github.com/fprom-go/fprom/statuspage"
)

// operations are what the operator of the shop looks at.
type operations struct {
	page    http.Handler // whether commissions arrive, for people
	metrics http.Handler // the same for Prometheus
}

// operate makes them. The metrics must be the Observer of the Tracker.
func operate(tracker *fprom.Tracker, metrics *promfprom.Metrics) (operations, error) {
	page, err := statuspage.Handler(tracker, statuspage.Options{Auth: fromHere, Writable: true, Name: "example shop"})
	if err != nil {
		return operations{}, err
	}
	metrics.Watch(tracker.Stats)
	registry := prometheus.NewRegistry() // the one of the service, if it has one
	registry.MustRegister(metrics)
	return operations{page, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})}, nil
}

// fromHere lets in who sits at this machine. A shop in production looks at the session of its administrator: behind a
// proxy every request seems to come from here. The Host, too, must be this machine: otherwise a site whose name leads here could
// use the page through the operator's browser.
func fromHere(r *http.Request) bool { return isHere(r.RemoteAddr) && isHere(r.Host) }

func isHere(address string) bool {
	host := (&url.URL{Host: address}).Hostname() // the Host of a request has no port if that is 80 or 443
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
