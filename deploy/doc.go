// Package deploy has nothing to import: it is the place of a Grafana dashboard (grafana.json) and of alert rules for
// Prometheus (alerts.yaml), and of the tests that say that both fit the metrics that are exported. Their dependencies are
// large, so the module is not in go.work: GOWORK=off go test ./...
package deploy
