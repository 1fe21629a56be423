package deploy_test

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/util/teststorage"
)

func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile("alerts.yaml", false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Fatal(err)
	}
	return groups.Groups[0].Rules
}

func TestAlertsUseWhatIsExported(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	known := fromPrometheus(t)
	for _, a := range alerts(t) {
		if len(check(t, a.Alert, a.Expr, known)) == 0 {
			t.Errorf("%s asks for no series", a.Alert)
		}
		if !strings.Contains(string(manual), "\n### "+a.Alert+"\n") || a.Annotations["runbook"] != "docs/operations.md#"+strings.ToLower(a.Alert) {
			t.Errorf("docs/operations.md does not explain %s, or its runbook does not lead there", a.Alert)
		}
		if a.Labels["severity"] == "" || a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
			t.Errorf("%s has no severity, summary or description", a.Alert)
		}
	}
}

// healthy are the series of a shop with a sale now and then, minute by minute for four hours.
var healthy = map[string]string{
	`fprom_lost_total`:                                   "0x240",
	`fprom_paused`:                                       "0x240",
	`fprom_breaker_status{state="closed"}`:               "1x240",
	`fprom_outbox_oldest_age_seconds`:                    "0x240",
	`fprom_outbox_unreadable`:                            "0x240",
	`fprom_outbox_delivering`:                            "1x240",
	`fprom_outbox_unwritable`:                            "0x240",
	`fprom_outbox_size{state="waiting"}`:                 "0x240",
	`fprom_outbox_size{state="bulk"}`:                    "0x240",
	`fprom_outbox_size{state="dead"}`:                    "0x240",
	`fprom_outbox_size{state="conflict"}`:                "7x240",
	`fprom_last_success_timestamp_seconds`:               "0+60x240",
	`fprom_attempts_total{result="refused"}`:             "0x240",
	`fprom_events_total{kind="sale",outcome="conflict"}`: "0x240",
	hooks + `"stray"}`:                                   "0+3x240",
	hooks + `"tracked"}`:                                 "0x100 1x140",
	hooks + `"refused"}`:                                 "0x240",
	hooks + `"failed"}`:                                  "0x240",
}

// hooks are the webhooks of Stripe with the result that follows.
const hooks = `fprom_webhooks_total{provider="stripe",result=`

// TestAlertsFire plays four hours and looks at which alarms are on at the end.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change map[string]string // "" removes the series
		want   []string
	}{
		{"healthy", nil, nil},
		{"lost once, three hours ago, and restarted", map[string]string{`fprom_lost_total`: "0x60 1x60 0x120"}, []string{"FpromLost"}},
		{"wrong key", map[string]string{
			`fprom_paused`: "0x236 1x4", `fprom_attempts_total{result="refused"}`: "0x236 1+1x4", `fprom_outbox_size{state="waiting"}`: "0x236 5x4",
		}, []string{"FpromRefused"}},
		{"lost before the first scrape", map[string]string{`fprom_lost_total`: "1x240"}, []string{"FpromLost"}},
		{"429 for half an hour", map[string]string{`fprom_paused`: "0x210 1x30"}, []string{"FpromPaused"}},
		{"429 for a minute", map[string]string{`fprom_paused`: "0x238 1x2"}, nil},
		{"outage of half an hour", map[string]string{
			`fprom_breaker_status{state="closed"}`: "1x210 0x30", `fprom_outbox_size{state="waiting"}`: "0x210 1x30",
		}, []string{"FpromBreakerOpen"}},
		{"outage of half an hour in a bulk load", map[string]string{
			`fprom_breaker_status{state="closed"}`: "1x210 0x30", `fprom_outbox_size{state="bulk"}`: "0x210 9x30",
		}, []string{"FpromBreakerOpen"}},
		{"the last answer of an outage rejects the only event", map[string]string{
			`fprom_breaker_status{state="closed"}`: "1x180 0x60", `fprom_outbox_size{state="waiting"}`: "0x180 1x5 0x55",
		}, nil},
		{"a lone sale that a wrong address refuses", map[string]string{
			`fprom_attempts_total{result="failed"}`: "0x215 0+1x25", `fprom_outbox_size{state="waiting"}`: "0x215 1x25", `fprom_last_success_timestamp_seconds`: "0x240",
		}, []string{"FpromFailing"}},
		{"a lone sale that a wrong address refuses, and the clock was ahead at the last success", map[string]string{
			`fprom_attempts_total{result="failed"}`: "0x215 0+1x25", `fprom_outbox_size{state="waiting"}`: "0x215 1x25", `fprom_last_success_timestamp_seconds`: "90000x240",
		}, []string{"FpromFailing"}},
		{"a fault of some minutes at night", map[string]string{
			`fprom_attempts_total{result="failed"}`: "0x230 0+1x10", `fprom_outbox_size{state="waiting"}`: "0x230 1x10", `fprom_last_success_timestamp_seconds`: "0x240",
		}, nil},
		{"an event that always fails, others arrive", map[string]string{
			`fprom_attempts_total{result="failed"}`: "0+1x240",
			`fprom_outbox_oldest_age_seconds`:       "0+60x240", `fprom_outbox_size{state="waiting"}`: "1x240",
		}, []string{"FpromOldest"}},
		{"bulk load under way", map[string]string{
			`fprom_outbox_oldest_age_seconds`: "0+60x240", `fprom_outbox_size{state="bulk"}`: "50000x240",
		}, nil},
		{"bulk load that stands still, and the clock was ahead at the last success", map[string]string{
			`fprom_outbox_oldest_age_seconds`: "0+60x240", `fprom_outbox_size{state="bulk"}`: "50000x240", `fprom_last_success_timestamp_seconds`: "90000x240",
		}, []string{"FpromOldest"}},
		{"bulk load that stands still", map[string]string{
			`fprom_outbox_oldest_age_seconds`: "0+60x240", `fprom_outbox_size{state="bulk"}`: "50000x240", `fprom_last_success_timestamp_seconds`: "0x240",
		}, []string{"FpromOldest"}},
		{"nothing arrives", map[string]string{
			`fprom_outbox_size{state="waiting"}`: "0x130 3x110", `fprom_last_success_timestamp_seconds`: "0+60x120 7200x120",
		}, []string{"FpromNoSuccess"}},
		{"nothing ever arrived", map[string]string{
			`fprom_outbox_size{state="waiting"}`: "0x130 3x110", `fprom_last_success_timestamp_seconds`: "",
		}, []string{"FpromNoSuccess"}},
		{"nothing arrives, and the clock was ahead at the last success", map[string]string{
			`fprom_outbox_size{state="waiting"}`: "0x130 3x110", `fprom_last_success_timestamp_seconds`: "90000x240",
		}, []string{"FpromNoSuccess"}},
		{"a sale that is asked about again, at night", map[string]string{
			`fprom_outbox_size{state="waiting"}`: "0x180 1x60", `fprom_last_success_timestamp_seconds`: "0x240",
			`fprom_outbox_oldest_age_seconds`: "0x180 0+60x60",
		}, nil},
		{"nobody delivers", map[string]string{`fprom_outbox_delivering`: "1x220 0x20"}, []string{"FpromNotDelivering"}},
		{"a restart of two minutes", map[string]string{`fprom_outbox_delivering`: "1x231 0 stale 1x8"}, nil},
		{"the disk is full", map[string]string{`fprom_outbox_unwritable`: "0x220 1x20"}, []string{"FpromUnwritable"}},
		{"the disk was full for a minute", map[string]string{`fprom_outbox_unwritable`: "0x231 1 0x8"}, nil},
		{"the database is down", map[string]string{
			`fprom_outbox_unreadable`: "0x200 1x40", `fprom_outbox_oldest_age_seconds`: "0x200 stale", `fprom_outbox_delivering`: "1x200 stale",
			`fprom_outbox_size{state="waiting"}`: "0x200 stale", `fprom_outbox_size{state="bulk"}`: "0x200 stale", `fprom_outbox_size{state="dead"}`: "0x200 stale",
		}, []string{"FpromUnreadable"}},
		{"nothing arrives, and the database is slow at times", map[string]string{
			`fprom_outbox_size{state="waiting"}`: "0x130 3x30 stale 3x30 stale 3x47", `fprom_last_success_timestamp_seconds`: "0+60x120 7200x120",
		}, []string{"FpromNoSuccess"}},
		{"a quiet night", map[string]string{`fprom_last_success_timestamp_seconds`: "0x240"}, nil},
		{"dead letters", map[string]string{`fprom_outbox_size{state="dead"}`: "0x200 2x40"}, []string{"FpromDeadLetters"}},
		{"dead letters, and the database is slow at times", map[string]string{
			`fprom_outbox_size{state="dead"}`: "0x200 " + strings.Repeat("2x2 stale ", 10),
		}, []string{"FpromDeadLetters"}},
		{"dead letters that were redriven a minute ago", map[string]string{`fprom_outbox_size{state="dead"}`: "0x200 2x38 0x2"}, nil},
		{"a commission is missing", map[string]string{`fprom_reconcile_missing`: "0x220 1x20"}, []string{"FpromMissing"}},
		{"a commission is doubled", map[string]string{
			`fprom_reconcile_differences{verdict="doubled"}`: "0x220 2x20", `fprom_reconcile_differences{verdict="missing"}`: "0x240",
		}, []string{"FpromDiffers"}},
		{"the comparison fails", map[string]string{`fprom_reconcile_failed`: "0x200 1x40"}, []string{"FpromNotCompared"}},
		{"no comparison last night", map[string]string{`fprom_reconcile_failed`: "0x240", `fprom_reconcile_timestamp_seconds`: "-90000x240"}, []string{"FpromNotCompared"}},
		{"compared last night", map[string]string{`fprom_reconcile_failed`: "0x240", `fprom_reconcile_timestamp_seconds`: "-70000x240"}, nil},
		{"conflict", map[string]string{`fprom_events_total{kind="sale",outcome="conflict"}`: "0x220 1x20"}, []string{"FpromConflict"}},
		{"conflict that the outbox shows too", map[string]string{
			`fprom_events_total{kind="sale",outcome="conflict"}`: "0x220 1x20", `fprom_outbox_size{state="conflict"}`: "7x220 8x20",
		}, []string{"FpromConflict"}},
		{"conflict of EnqueueTx", map[string]string{`fprom_outbox_size{state="conflict"}`: "7x220 8x20"}, []string{"FpromConflict"}},
		{"conflict of EnqueueTx, and the database is slow at times", map[string]string{`fprom_outbox_size{state="conflict"}`: "7x179 stale 7x39 8x18 stale"}, []string{"FpromConflict"}},
		{"conflict of 400 days ago is forgotten", map[string]string{`fprom_outbox_size{state="conflict"}`: "7x220 6x20"}, nil},
		{"the secret of the webhook was changed", map[string]string{hooks + `"refused"}`: "0x200 0+1x40"}, []string{"FpromNoWebhookAccepted"}},
		{"a deploy with a wrong secret, and one sale", map[string]string{
			hooks + `"refused"}`: "_x200 1x5 2x20 3x15", hooks + `"tracked"}`: "_x200 0x40", hooks + `"stray"}`: "_x200 1+1x40",
		}, []string{"FpromNoWebhookAccepted"}},
		{"a wrong secret, and a restart", map[string]string{
			hooks + `"refused"}`: "7x190 8x5 9x5 stale _x5 1x30", hooks + `"tracked"}`: "9x202 stale _x5 0x30",
		}, []string{"FpromNoWebhookAccepted"}},
		{"a wrong secret that a restart mended", map[string]string{
			hooks + `"refused"}`: "7x150 7+1x60 stale _x5 0x24", hooks + `"tracked"}`: "9x210 stale _x5 1x24",
		}, nil},
		{"a wrong secret that another process mended", map[string]string{
			hooks + `"refused"}`: "_x200 1x5 2x5 3x30", hooks + `"tracked"}`: "_x215 1x25",
		}, nil},
		{"the secret of another provider", map[string]string{
			`fprom_webhooks_total{provider="paddle",result="refused"}`: "0x200 0+1x40", hooks + `"tracked"}`: "0+1x240",
		}, []string{"FpromNoWebhookAccepted"}},
		{"webhooks of which some are forged", map[string]string{hooks + `"refused"}`: "0+1x240", hooks + `"tracked"}`: "0x220 1x20"}, nil},
		{"a forged webhook at night, the first of the process", map[string]string{hooks + `"refused"}`: "_x220 1x20", hooks + `"tracked"}`: ""}, nil},
		{"an old webhook that is sent again twice", map[string]string{hooks + `"refused"}`: "7x200 8x10 9x30"}, nil},
		{"webhooks that were refused some hours ago, by a process that ran then", map[string]string{hooks + `"refused"}`: "7x100 7+1x40 47x40 stale"}, nil},
		{"no webhook can be stored", map[string]string{hooks + `"failed"}`: "0x200 0+1x40"}, []string{"FpromNoWebhookAccepted"}},
		{"no webhook can be stored, since a deploy", map[string]string{
			hooks + `"failed"}`: "_x200 3x40", hooks + `"tracked"}`: "_x200 0x40",
		}, []string{"FpromNoWebhookAccepted"}},
		{"webhooks that cannot be stored for two minutes", map[string]string{hooks + `"failed"}`: "0x237 9x3"}, nil},
		{"webhooks that could not be stored at first", map[string]string{hooks + `"failed"}`: "0x229 9x11", hooks + `"tracked"}`: "0x232 9x8"}, nil},
		{"service of a release before the rules", map[string]string{`fprom_outbox_unwritable`: "", `fprom_outbox_delivering`: ""}, []string{"FpromOldRelease"}},
		{"service is down", map[string]string{
			`fprom_outbox_unreadable`: "0x200 stale", `fprom_outbox_delivering`: "1x200 stale", `fprom_outbox_size{state="bulk"}`: "", `fprom_outbox_size{state="dead"}`: "",
		}, []string{"FpromAbsent"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			series := maps.Clone(healthy)
			maps.Copy(series, tt.change)
			if got := firing(t, time.Minute, 240, map[string]map[string]string{`instance="a"`: series}); !slices.Equal(got, tt.want) {
				t.Errorf("on: %q, want %q", got, tt.want)
			}
			replica := maps.Clone(healthy)
			for name, values := range series {
				if strings.HasPrefix(name, "fprom_outbox_") || strings.HasPrefix(name, "fprom_last_success_") {
					replica[name] = values
				}
			}
			want := slices.DeleteFunc(slices.Clone(tt.want), func(name string) bool { return name == "FpromAbsent" })
			if got := firing(t, time.Minute, 240, map[string]map[string]string{
				`instance="a",pod="a",account="a"`: series, `instance="b",pod="b",account="a"`: replica, `instance="a",pod="a",account="b"`: healthy,
			}); !slices.Equal(got, want) {
				t.Errorf("with a replica, and an account that is well, on: %q, want %q", got, want)
			}
		})
	}
}

// TestLostEnds: a day after the last loss, also if the service still runs.
func TestLostEnds(t *testing.T) {
	t.Parallel()
	series := map[string]string{`fprom_lost_total`: "0x60 3x1600", `fprom_outbox_unreadable`: "0x1660"}
	for minutes, want := range map[int64][]string{1490: {"FpromLost"}, 1510: nil} {
		if got := firing(t, time.Minute, minutes, map[string]map[string]string{`instance="a"`: series}); !slices.Equal(got, want) {
			t.Errorf("after %d minutes on: %q, want %q", minutes, got, want)
		}
	}
}

// played has the series of all, step by step. all has those of each process or account by its labels, for the job shop unless they name another.
func played(t *testing.T, step time.Duration, all map[string]map[string]string) *teststorage.TestStorage {
	t.Helper()
	var input strings.Builder
	fmt.Fprintf(&input, "load %v\n", model.Duration(step))
	for ours, series := range all {
		if !strings.Contains(ours, "job=") {
			ours = `job="shop",` + ours
		}
		for name, values := range series {
			if values == "" {
				continue
			}
			metric, rest, _ := strings.Cut(name, "{")
			sep := "}"
			if rest != "" {
				sep = ","
			}
			fmt.Fprintf(&input, "  %s{%s%s%s %s\n", metric, ours, sep, rest, values)
		}
	}
	storage := promqltest.LoadedStorage(t, input.String())
	t.Cleanup(func() { storage.Close() })
	return storage
}

// TestOneServiceOfTwo: beside one that runs, the other is missed, for a day.
func TestOneServiceOfTwo(t *testing.T) {
	t.Parallel()
	all := map[string]map[string]string{
		`instance="a"`: {`fprom_outbox_unreadable`: "0x1660"}, `job="b",instance="b"`: {`fprom_outbox_unreadable`: "0x60 stale"},
	}
	for minutes, want := range map[int64][]string{1490: {"FpromAbsent"}, 1510: nil} {
		if got := firing(t, time.Minute, minutes, all); !slices.Equal(got, want) {
			t.Errorf("after %d minutes on: %q, want %q", minutes, got, want)
		}
	}
}

// TestAlertsCompareWithEarlierDays plays nine days, of which each has 144 samples.
func TestAlertsCompareWithEarlierDays(t *testing.T) {
	t.Parallel()
	const (
		enqueued = `fprom_enqueued_total{kind="sale"}`
		tracked  = `fprom_events_total{kind="sale",outcome="tracked"}`
		nobodys  = `fprom_events_total{kind="sale",outcome="not-referral"}`
		done     = `fprom_outbox_size{state="done"}`
	)
	for _, tt := range []struct {
		name   string
		series map[string]string
		want   []string
	}{
		{"sales at all times", map[string]string{enqueued: "0+1x1296", tracked: "0+1x1296", nobodys: "0+9x1296", done: "0+1x1296"}, nil},
		{"none for a day", map[string]string{enqueued: "0+1x1150 1150x146"}, []string{"FpromSilent"}},
		{"none for half a day", map[string]string{enqueued: "0+1x1230 1230x66"}, nil},
		{"a sale a day, and none for two", map[string]string{enqueued: "0x144 1x144 2x144 3x144 4x144 5x144 6x432"}, nil},
		{"none, as on this day a week ago", map[string]string{enqueued: "0+1x140 140x148 141+1x860 1001x148"}, nil},
		{"none is of a referral any more", map[string]string{tracked: "0+1x1005 1005x291", nobodys: "0+1x1296"}, []string{"FpromNoReferral"}},
		{"no sale for two days", map[string]string{tracked: "0+1x1005 1005x291", nobodys: "0+1x1005 1005x291"}, nil},
		{"few are of a referral", map[string]string{tracked: "0x288 1x288 2x720", nobodys: "0+1x1296"}, nil},
		{"another file since an hour", map[string]string{done: "5000+1x1290 0+1x6"}, []string{"FpromOtherOutbox"}},
		{"another file since two days", map[string]string{done: "5000x1008 0+1x288"}, nil},
		{"retention", map[string]string{done: "50000-30x1296"}, nil},
		{"the first sales", map[string]string{done: "0x1200 0+1x96"}, nil},
		{"the queue in memory", map[string]string{done: "0x1296"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.series[`fprom_outbox_unreadable`] = "0x1296"
			if got := firing(t, 10*time.Minute, 12960, map[string]map[string]string{`instance="a"`: tt.series}); !slices.Equal(got, tt.want) {
				t.Errorf("on: %q, want %q", got, tt.want)
			}
		})
	}
}

// firing returns the alarms that are on after so many minutes, with a sample and an evaluation at each step; none needs more than two hours.
func firing(t *testing.T, step time.Duration, minutes int64, all map[string]map[string]string) (names []string) {
	t.Helper()
	storage := played(t, step, all)
	engine := promqltest.NewTestEngine(t, false, 0, 1_000_000)
	query := rules.EngineQueryFunc(engine, storage)
	for _, a := range alerts(t) {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(a.Expr)
		if err != nil {
			t.Fatal(err)
		}
		rule := rules.NewAlertingRule(a.Alert, expr, time.Duration(a.For), 0, labels.FromMap(a.Labels), labels.FromMap(a.Annotations), labels.EmptyLabels(), "", true, nil)
		for at := time.Unix((minutes-120)*60, 0); !at.After(time.Unix(minutes*60, 0)); at = at.Add(step) {
			if _, err := rule.Eval(t.Context(), 0, at, query, nil, 0); err != nil {
				t.Fatalf("%s: %v", a.Alert, err)
			}
			rule.SetEvaluationTimestamp(at)
		}
		if rule.State() == rules.StateFiring {
			names = append(names, a.Alert)
			for _, active := range rule.ActiveAlerts() {
				if text := active.Annotations.String(); strings.Contains(text, "error expanding") || strings.Contains(text, "{{") {
					t.Errorf("%s: %s", a.Alert, text)
				}
			}
		}
	}
	return names
}
