package statuspage_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/statuspage"
)

// TestVerdict is what the page says at its top, and readyz.
func TestVerdict(t *testing.T) {
	t.Parallel()
	on := fprom.QueueStats{Delivering: true, Breaker: "closed"}
	with := func(change func(*fprom.QueueStats)) fprom.QueueStats {
		q := on
		change(&q)
		return q
	}
	waiting := func(ago time.Duration) fprom.Entry {
		return entry("w", fprom.StateWaiting, fprom.Undelivered, ago)
	}
	bulk := waiting(5 * time.Hour)
	bulk.Bulk = true
	done := func(ago time.Duration) fprom.Entry { return entry("d", fprom.StateDone, fprom.Tracked, ago) }
	for _, tt := range []struct {
		name     string
		o        *outbox
		level    string
		headline string
		what     string // of the first problem
		ready    bool
	}{
		{"new", &outbox{stats: on}, "ok", "All is well. Nothing was reported yet.", "", true},
		{"idle", &outbox{stats: on, entries: []fprom.Entry{done(time.Hour)}}, "ok", "All is well. Every event has arrived.", "", true},
		{"busy", &outbox{stats: on, entries: []fprom.Entry{waiting(time.Minute)}}, "ok", "All is well. 1 event waits to be sent.", "", true},
		{"asked again", &outbox{stats: on, entries: []fprom.Entry{waiting(61 * time.Minute)}}, "ok", "All is well", "", true},
		{"late", &outbox{stats: on, entries: []fprom.Entry{waiting(3 * time.Hour)}}, "fail", "Commissions need you now.", "The oldest event has waited for 3 h.", false},
		{"bulk load", &outbox{stats: on, entries: []fprom.Entry{bulk, done(time.Minute)}}, "ok", "All is well", "", true},
		{"bulk load that stands still", &outbox{stats: on, entries: []fprom.Entry{bulk, done(3 * time.Hour)}}, "fail", "Commissions need", "has waited for 5 h", false},
		{"dead letters", &outbox{stats: on, entries: []fprom.Entry{entry("x", fprom.StateDead, fprom.Rejected, time.Hour)}}, "warn", "No commission is lost.", "1 event was given up", true},
		{"breaker", &outbox{stats: with(func(q *fprom.QueueStats) { q.Breaker = "open" }), entries: []fprom.Entry{waiting(time.Minute)}}, "warn", "No commission is lost.", "FirstPromoter does not answer as it should. 1 event waits.", true},
		{"throttled", &outbox{stats: with(func(q *fprom.QueueStats) {
			q.PausedUntil, q.PauseReason = time.Now().Add(10*time.Minute+50*time.Second), "429 Too Many Requests"
		})}, "warn", "No commission", "Delivery is paused, for another 10 min: 429 Too Many Requests.", true},
		{"paused for hours", &outbox{stats: with(func(q *fprom.QueueStats) {
			q.PausedUntil, q.PauseReason = time.Now().Add(-time.Second), "429 Too Many Requests"
		}), entries: []fprom.Entry{waiting(3 * time.Hour)}}, "fail", "Commissions need", "Delivery is paused, and a single event probes: 429 Too Many Requests.", false},
		{"refused", &outbox{stats: with(func(q *fprom.QueueStats) {
			q.PausedUntil, q.PauseReason = time.Now().Add(time.Second), "fprom: sale:x: 401: "+fprom.ErrUnauthorized.Error()
		})}, "fail", "Commissions need", "FirstPromoter refuses the API key or the account id. Nothing waits.", false},
		{"nobody delivers", &outbox{entries: []fprom.Entry{waiting(time.Minute)}}, "fail", "Commissions need", "No process delivers. 1 event waits.", true},
		{"nobody delivers, nothing waits", &outbox{}, "warn", "No commission", "No process delivers.", true},
		{"sealed", &outbox{stats: on, writable: errors.New("the disk is full")}, "fail", "Commissions need", "The outbox takes no events: the disk is full.", false},
		{"broken", &outbox{err: errors.New("connection refused")}, "fail", "Commissions need", "The outbox cannot be read: connection refused.", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := handler(t, nil, statuspage.Options{Public: true, Outbox: tt.o})
			var got struct {
				State    string
				Problems []struct{ What, Do string }
			}
			if err := json.Unmarshal(get(t, h, "/status.json").Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if got.State != tt.level || (len(got.Problems) == 0) != (tt.what == "") {
				t.Errorf("state %q with %q, want %q with %q", got.State, got.Problems, tt.level, tt.what)
			}
			if tt.what != "" && (!strings.Contains(got.Problems[0].What, tt.what) || got.Problems[0].Do == "") {
				t.Errorf("problem %q, want %q and what to do", got.Problems[0], tt.what)
			}
			if body := get(t, h, "/").Body.String(); !strings.Contains(body, tt.headline) || !strings.Contains(body, `"banner `+tt.level+`"`) {
				t.Errorf("the page does not say %q", tt.headline)
			}
			if w := get(t, h, "/readyz"); (w.Code == http.StatusOK) != tt.ready {
				t.Errorf("readyz: %d %s, want ready: %v", w.Code, w.Body, tt.ready)
			}
		})
	}
}

// TestManyPagesReadOnce: a page that is left open in many browsers must not load the outbox.
func TestManyPagesReadOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &outbox{stats: fprom.QueueStats{Delivering: true}}
		h := handler(t, nil, statuspage.Options{Public: true, Outbox: o})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { get(t, h, "/") })
		}
		wg.Wait()
		if o.reads != 1 {
			t.Errorf("50 pages at once read %d times, want once", o.reads)
		}
		time.Sleep(2 * time.Second)
		get(t, h, "/")
		if o.reads != 2 {
			t.Errorf("read %d times, want again after two seconds", o.reads)
		}
	})
}

// TestBacklogRemembersAnOutage: what waited is shown when it has gone, too.
func TestBacklogRemembersAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &outbox{stats: fprom.QueueStats{Delivering: true}}
		h := handler(t, nil, statuspage.Options{Public: true, Outbox: o})
		for i := range 40 {
			o.entries = append(o.entries, entry(string(rune('a'+i)), fprom.StateWaiting, fprom.Undelivered, time.Duration(i)*time.Minute))
		}
		for _, tt := range []struct {
			after time.Duration
			want  string
		}{{0, "now 40, at most 40"}, {3 * time.Hour, "now 0, at most 40"}, {25 * time.Hour, "now 0, at most 0"}} {
			time.Sleep(tt.after)
			if tt.after > 0 {
				o.entries = nil
			}
			if body := get(t, h, "/").Body.String(); !strings.Contains(body, "Backlog of the last 24 hours: "+tt.want) {
				t.Errorf("after %v the page does not say %q", tt.after, tt.want)
			}
		}
	})
}
