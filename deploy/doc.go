// Package deploy holds a Grafana dashboard (grafana.json), alert rules for Prometheus (alerts.yaml), and tests that compare both
// with the exported metrics. It has no code to import. The dependencies of the tests are large, so the module is not in go.work:
// GOWORK=off go test ./...
package deploy
