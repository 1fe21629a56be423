package deploy_test

import (
	"cmp"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	otelexporter "go.opentelemetry.io/otel/exporters/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/internal/figures"
	"github.com/fprom-go/fprom/otelfprom"
	"github.com/fprom-go/fprom/promfprom"
)

// exported is, for each name of a series, the values of each label.
type exported map[string]map[string][]string

var stats = fprom.Stats{Breaker: "closed", Queue: fprom.QueueStats{LastSuccess: time.Now()}}

var webhook = billing.Explanation{Provider: "stripe"}

func compared() (time.Time, map[string]int, error) { return time.Now(), nil, nil }

func gather(t *testing.T, g prometheus.Gatherer) exported {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := exported{}
	for _, f := range families {
		names := []string{f.GetName()}
		if f.GetType() == dto.MetricType_HISTOGRAM {
			names = []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
		}
		values := map[string][]string{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if v := l.GetValue(); !strings.HasPrefix(l.GetName(), "otel_scope_") && !slices.Contains(values[l.GetName()], v) {
					values[l.GetName()] = append(values[l.GetName()], v)
				}
			}
		}
		for _, name := range names {
			if strings.HasPrefix(name, "fprom_") {
				out[name] = values
			}
		}
	}
	return out
}

// fromPrometheus is what promfprom exports.
func fromPrometheus(t *testing.T) exported {
	t.Helper()
	m := promfprom.New()
	m.Watch(func() fprom.Stats { return stats })
	m.WatchReconcile(compared)
	m.ObserveWebhook(t.Context(), webhook)
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	return gather(t, registry)
}

// fromOpenTelemetry is what otelfprom exports through OpenTelemetry's exporter for Prometheus.
func fromOpenTelemetry(t *testing.T) exported {
	t.Helper()
	registry := prometheus.NewRegistry()
	exporter, err := otelexporter.New(otelexporter.WithRegisterer(registry))
	if err != nil {
		t.Fatal(err)
	}
	m, err := otelfprom.New(sdk.NewMeterProvider(sdk.WithReader(exporter)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Watch(func() fprom.Stats { return stats }); err != nil {
		t.Fatal(err)
	}
	if _, err := m.WatchReconcile(compared); err != nil {
		t.Fatal(err)
	}
	m.ObserveWebhook(t.Context(), webhook)
	// OpenTelemetry has no histogram before its first value.
	for _, kind := range figures.Kinds {
		m.Observe(t.Context(), fprom.Step{
			Stage: fprom.StageDelivered, Elapsed: 1, Result: fprom.Result{Outcome: fprom.Tracked},
			Message: fprom.Message{Kind: kind, RecordedAt: time.Now()},
		})
	}
	for _, s := range []fprom.Step{
		{Result: fprom.Result{Outcome: fprom.NotReferral}},
		{Result: fprom.Result{Outcome: fprom.Duplicate}},
		{Result: fprom.Result{Outcome: fprom.Rejected}},
		{Result: fprom.Result{StatusCode: 429}},
		{Result: fprom.Result{StatusCode: 401}},
		{Result: fprom.Result{StatusCode: 500}},
	} {
		s.Elapsed = 1
		m.Observe(t.Context(), s)
	}
	return gather(t, registry)
}

// TestBothExportersAgree: one dashboard serves both.
func TestBothExportersAgree(t *testing.T) {
	t.Parallel()
	prom, otel := fromPrometheus(t), fromOpenTelemetry(t)
	for name, labels := range prom {
		for label, values := range labels {
			got := otel[name][label]
			slices.Sort(values)
			slices.Sort(got)
			if !slices.Equal(values, got) {
				t.Errorf("%s: %s is %q, through OpenTelemetry %q", name, label, values, got)
			}
		}
	}
	for name := range otel {
		if _, ok := prom[name]; !ok {
			t.Errorf("%s comes from OpenTelemetry only", name)
		}
	}
	if len(prom) != len(otel) {
		t.Errorf("%d names, through OpenTelemetry %d", len(prom), len(otel))
	}
}

// ours are the labels that a scrape adds.
var ours = []string{"job", "instance", model.MetricNameLabel}

// filledIn is a query of the dashboard as Grafana sends it.
func filledIn(query string) string {
	return strings.NewReplacer("$__rate_interval", "5m", "$__range", "24h", "$job", "shop").Replace(query)
}

// check says which names and label values of a query are not exported, and returns the names that it asks for.
func check(t *testing.T, where, query string, known exported) (used []string) {
	t.Helper()
	query = filledIn(query)
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Errorf("%s: %q: %v", where, query, err)
		return nil
	}
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		used = append(used, v.Name)
		values, ok := known[v.Name]
		if !ok {
			t.Errorf("%s: nothing exports %s", where, v.Name)
		}
		for _, m := range v.LabelMatchers {
			if !slices.Contains(ours, m.Name) && !slices.ContainsFunc(values[m.Name], m.Matches) {
				t.Errorf("%s: no series of %s has %s", where, v.Name, m)
			}
		}
		return nil
	})
	return used
}

type panel struct {
	Title, Description string
	Targets            []struct{ Expr, LegendFormat string }
	FieldConfig        struct{ Defaults struct{ Unit string } }
}

func panels(t *testing.T) []panel {
	t.Helper()
	raw, err := os.ReadFile("grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal(raw, &dashboard); err != nil {
		t.Fatal(err)
	}
	return dashboard.Panels
}

// TestDashboardShowsWhatIsExported: all of it, and nothing else.
func TestDashboardShowsWhatIsExported(t *testing.T) {
	t.Parallel()
	known := fromPrometheus(t)
	shown := map[string]bool{}
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			names := check(t, p.Title, target.Expr, known)
			if len(names) == 0 {
				t.Errorf("%s: %q asks for no series", p.Title, target.Expr)
			}
			for _, name := range names {
				shown[name] = true
			}
		}
		if len(p.Targets) == 0 || p.Description == "" || p.FieldConfig.Defaults.Unit == "" {
			t.Errorf("%s has no query, no description or no unit", p.Title)
		}
	}
	for name := range known {
		if part := strings.HasSuffix(name, "_sum") || strings.HasSuffix(name, "_count"); !shown[name] && !part {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// TestDashboardAdds: a figure of an outbox counts once for all replicas, and those of several outboxes are added. A loss stays in sight
// when its process has been restarted.
func TestDashboardAdds(t *testing.T) {
	t.Parallel()
	with := func(changes map[string]string) map[string]string {
		series := maps.Clone(healthy)
		maps.Copy(series, changes)
		return series
	}
	a := with(map[string]string{
		`fprom_outbox_size{state="waiting"}`: "5x240", `fprom_outbox_size{state="dead"}`: "3x240", `fprom_rate_limit_limit`: "400x240",
		`fprom_reconcile_missing`: "4x240", `fprom_reconcile_differences{verdict="foreign"}`: "6x240",
	})
	b := with(map[string]string{
		`fprom_outbox_size{state="waiting"}`: "1x240", `fprom_outbox_size{state="dead"}`: "2x240", `fprom_rate_limit_limit`: "100x240",
		`fprom_reconcile_missing`: "1x240", `fprom_reconcile_differences{verdict="foreign"}`: "1x240", `fprom_lost_total`: "0x60 7x60 0x120",
	})
	storage := played(t, time.Minute, map[string]map[string]string{`instance="a",pod="a",account="a"`: a, `instance="b",pod="b",account="a"`: a, `instance="a",pod="a",account="b"`: b})
	engine := promqltest.NewTestEngine(t, false, 0, 1_000_000)
	want := map[string]float64{"Lost": 7, "Dead letters": 5, "Outbox waiting": 6, "Outbox dead": 5, "Calls a minute limit": 500, "Missing commissions": 5, "Differences foreign": 7}
	got := map[string]float64{}
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			query, err := engine.NewInstantQuery(t.Context(), storage, nil, filledIn(target.Expr), time.Unix(240*60, 0))
			if err != nil {
				t.Fatal(err)
			}
			found, err := query.Exec(t.Context()).Vector()
			if err != nil {
				t.Fatal(err)
			}
			for _, sample := range found {
				name := p.Title
				if label, _ := strings.CutSuffix(strings.TrimPrefix(target.LegendFormat, "{{"), "}}"); len(p.Targets) > 1 || len(sample.Metric.Map()) > 0 {
					name += " " + cmp.Or(sample.Metric.Get(label), label)
				}
				if _, asked := want[name]; asked {
					got[name] = sample.F
				}
			}
			query.Close()
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
