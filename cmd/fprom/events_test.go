package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	root "github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/fpromtest"
)

// Events that are named are all shown, also where there are more than a list has by default; one that is not there is an error.
func TestNamedEvents(t *testing.T) {
	t.Parallel()
	p := inFile(t)
	var sales []root.Event
	keys := []string{}
	for i := range 60 {
		keys = append(keys, "ch_"+strconv.Itoa(i))
		sales = append(sales, sale(keys[i], "jane@example.com", 100, "USD"))
	}
	put(t, p, nil, sales...)
	e := env{"FPROM_OUTBOX": p.where}
	var l list
	fprom(t, e, append([]string{"events", "-o", "json"}, keys...)...).want(t, 0).object(t, &l)
	if len(l.Events) != 60 {
		t.Errorf("%d of 60 events", len(l.Events))
	}
	for _, args := range [][]string{{"events", "ch_1", "ch_99"}, {"dead", "list", "ch_1"}} {
		if r := fprom(t, e, args...).want(t, 1); !strings.Contains(r.err, args[len(args)-1]) {
			t.Error(r)
		}
	}
}

// FirstPromoter's answer to a duplicate does not say how many commissions there are, so the text shows no 0.
func TestDuplicateHasNoNumberOfCommissions(t *testing.T) {
	t.Parallel()
	p := inFile(t)
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0))
	fake.AddPastSale(fpromtest.PastSale{EventID: "ch_1", Email: "jane@example.com", Amount: 100})
	tracker, stop := serve(t, p, fake)
	enqueue(t, tracker, sale("ch_1", "jane@example.com", 100, "USD"))
	flush(t, tracker)
	stop()
	if r := fprom(t, env{"FPROM_OUTBOX": p.where}, "events", "ch_1").want(t, 0); !strings.Contains(r.out, "duplicate") || strings.Contains(r.out, "commissions") {
		t.Error(r)
	}
}

type list struct {
	Events []struct{ Key, Customer string }
	Next   *string
}

func (l list) keys() (keys []string) {
	for _, e := range l.Events {
		keys = append(keys, e.Key)
	}
	return keys
}

func TestEvents(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		_, e := filled(t, p)
		fprom(t, e, "events").want(t, 0).golden(t, "events.txt")
		fprom(t, e, "events", "--limit", "2").want(t, 0).golden(t, "events_more.txt")
		fprom(t, e, "events", "ch_1", "sale:bad_1").want(t, 0).golden(t, "events_shown.txt")
		fprom(t, e, "events", "--kind", "refund", "-o", "json").want(t, 0).golden(t, "events.json")
		for _, c := range []struct{ args, want string }{
			{"--state done", "sale:ch_1 sale:ch_2 refund:rf_1"},
			{"--state dead", "sale:bad_1 sale:bad_2"},
			{"--state waiting --kind sale", "sale:ch_3"},
			{"--outcome not-referral", "sale:ch_2"},
			{"--status 400", "sale:bad_1 sale:bad_2"},
			{"--state dead --customer JANE@example.com", "sale:bad_1"},
			{"--since 1h --kind sale", "sale:ch_1 sale:ch_2 sale:bad_1 sale:bad_2 sale:ch_3"},
			{"--until 1h", ""},
			{"--since 2020-01-01 --until 2020-01-02", ""},
			{"bad_2 ch_2", "sale:ch_2 sale:bad_2"},
		} {
			var l list
			fprom(t, e, append([]string{"events", "-o", "json"}, strings.Fields(c.args)...)...).want(t, 0).object(t, &l)
			if got := strings.Join(l.keys(), " "); got != c.want {
				t.Errorf("events %s: %q, want %q", c.args, got, c.want)
			}
		}
		pages(t, e)
		if r := fprom(t, e, "events", "ch_1", "ch_404", "-o", "json").want(t, 1); !strings.Contains(r.err, "ch_404") || !strings.Contains(r.out, "ch_1") {
			t.Error(r)
		}
		for _, c := range []struct {
			personal bool
			args     []string
		}{{false, nil}, {true, []string{"--personal"}}} {
			r := fprom(t, e, append([]string{"events", "--state", "dead"}, c.args...)...).want(t, 0)
			if strings.Contains(r.out, "jane@example.com") != c.personal {
				t.Errorf("%s", r)
			}
		}
	})
}

// pages goes through all events two at a time.
func pages(t *testing.T, e env) {
	t.Helper()
	var all list
	fprom(t, e, "events", "-o", "json").want(t, 0).object(t, &all)
	if len(all.Events) != 7 || all.Next != nil {
		t.Fatalf("%+v", all)
	}
	var got []string
	for after := []string{}; ; {
		var l list
		fprom(t, e, append([]string{"events", "--limit", "2", "-o", "json"}, after...)...).want(t, 0).object(t, &l)
		got = append(got, l.keys()...)
		if l.Next == nil {
			break
		}
		after = []string{"--after", *l.Next}
	}
	if !slices.Equal(got, all.keys()) {
		t.Errorf("in pages %q, at once %q", got, all.keys())
	}
	lines := strings.Split(strings.TrimSpace(fprom(t, e, "events", "-o", "jsonl").want(t, 0).out), "\n")
	for i, line := range lines {
		want := "result"
		if i == len(lines)-1 {
			want = "summary"
		}
		var v struct{ Type string }
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Type != want {
			t.Errorf("%v: %s", err, line)
		}
	}
	if len(lines) != 8 {
		t.Errorf("%d lines", len(lines))
	}
}

// What FirstPromoter's webhooks said of the commissions is shown with the events, and by reconcile.
func TestDeniedAndDeletedCommissions(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		fake, e := filled(t, p)
		file := filepath.Join(t.TempDir(), "changes.jsonl")
		changes, err := firstpromoter.OpenChanges(file)
		if err != nil {
			t.Fatal(err)
		}
		defer changes.Close()
		commission := fake.Commissions()[0].ID
		denied := firstpromoter.Webhook{ID: "w1", Type: "commission.denied", EntityID: commission, At: time.Now(), Commission: firstpromoter.Commission{Status: firstpromoter.StatusDenied}}
		if err := changes.Add(denied); err != nil {
			t.Fatal(err)
		}
		if r := fprom(t, e, "events").want(t, 0); strings.Contains(r.out, "denied") {
			t.Error(r)
		}
		for _, args := range [][]string{{"events", "--changes", file}, {"events", "ch_1", "--changes", file}} {
			if r := fprom(t, e, args...).want(t, 0); strings.Count(r.out, "tracked, denied") != 1 {
				t.Error(r)
			}
		}
		id := strconv.FormatInt(commission, 10)
		var v struct {
			Events []struct {
				Status map[string]string `json:"commission_status"`
			}
		}
		fprom(t, e.with(env{"FPROM_CHANGES": file}), "events", "ch_1", "-o", "json").want(t, 0).object(t, &v)
		if len(v.Events) != 1 || v.Events[0].Status[id] != "denied" {
			t.Errorf("%+v", v)
		}
		var report struct {
			Dead   int
			Denied []struct {
				EventID string `json:"event_id"`
				Status  string
			}
		}
		fprom(t, e, "reconcile", "--from", today(-1), "--to", today(0), "--changes", file, "--rate", "6000", "-o", "json").want(t, 3).object(t, &report) // there are dead letters
		if report.Dead != 2 || len(report.Denied) != 1 || report.Denied[0].EventID != "ch_1" || report.Denied[0].Status != "denied" {
			t.Errorf("%+v", report)
		}
		deleted := denied
		deleted.ID, deleted.Commission.Status = "w2", firstpromoter.StatusDeleted
		fake.Lose("ch_1")
		if r := fprom(t, e, "why", "ch_1").want(t, 0); !strings.Contains(r.out, "commission missing") {
			t.Error(r)
		}
		if err := changes.Add(deleted); err != nil {
			t.Fatal(err)
		}
		if r := fprom(t, e, "why", "ch_1", "--changes", file).want(t, 0); !strings.Contains(r.out, "commission deleted") {
			t.Error(r)
		}
		for _, wrong := range []string{file + ".none", os.Args[0]} {
			if r := fprom(t, e, "events", "--changes", wrong).want(t, 1); !strings.Contains(r.err, "check --changes") {
				t.Error(r)
			}
		}
	})
}
