// Package deploy has nothing to import. It holds a Grafana dashboard (grafana.json), alert rules for Prometheus (alerts.yaml)
// and tests that both fit the metrics that are exported. The tests' dependencies are large, so the module is not in go.work:
// GOWORK=off go test ./...
package deploy
