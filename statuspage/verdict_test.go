package statuspage_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/outboxtest"
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
		return outboxtest.Event("w", fprom.StateWaiting, fprom.Undelivered, ago)
	}
	failing := func(times int, ago time.Duration) fprom.Entry {
		e := waiting(ago)
		e.Attempts, e.Reason = times, "fprom: sale:w: 404 Not Found: no answer of FirstPromoter's API."
		return e
	}
	refused := failing(1, 3*time.Minute)
	refused.StatusCode, refused.Reason = http.StatusForbidden, "fprom: sale:w: 403 Forbidden"
	bulk := waiting(5 * time.Hour)
	bulk.Bulk = true
	done := func(ago time.Duration) fprom.Entry { return outboxtest.Event("d", fprom.StateDone, fprom.Tracked, ago) }
	for _, tt := range []struct {
		name     string
		o        *outboxtest.Outbox
		level    string
		headline string
		what     string // of the first problem
		ready    bool
	}{
		{"new", &outboxtest.Outbox{Status: on}, "ok", "All is well. Nothing was reported yet.", "", true},
		{"idle", &outboxtest.Outbox{Status: on, Events: []fprom.Entry{done(time.Hour)}}, "ok", "All is well. Every event has arrived.", "", true},
		{"busy", &outboxtest.Outbox{Status: on, Events: []fprom.Entry{waiting(time.Minute)}}, "ok", "All is well. 1 event waits to be sent.", "", true},
		{"asked again", &outboxtest.Outbox{Status: on, Events: []fprom.Entry{waiting(61 * time.Minute)}}, "ok", "All is well", "", true},
		{"late", &outboxtest.Outbox{Status: on, Events: []fprom.Entry{waiting(3 * time.Hour)}}, "fail", "Commissions need you now.", "The oldest event has waited for 3 h.", false},
		{"late, while others arrive", &outboxtest.Outbox{Status: on, Events: []fprom.Entry{waiting(3 * time.Hour), done(time.Minute)}}, "fail", "Commissions need", "The oldest event has waited for 3 h.", false},
		{"one event failed twice", &outboxtest.Outbox{Status: on, Events: []fprom.Entry{failing(2, 3*time.Minute)}}, "ok", "All is well", "", true},
		{"one event keeps failing", &outboxtest.Outbox{Status: on, Events: []fprom.Entry{done(time.Hour), waiting(30 * time.Minute), failing(3, 3*time.Minute)}}, "warn", "Something needs a look.", "An event fails again and again, and no other has arrived meanwhile: 404 Not Found: no answer of FirstPromoter's API. 2 events wait.", true},
		{"refused, in a pause of another process", &outboxtest.Outbox{Status: on, Events: []fprom.Entry{refused, waiting(3 * time.Minute)}}, "warn", "Something needs", "meanwhile: 403 Forbidden. 2 events wait.", true},
		{"one event keeps failing, and the clock was ahead at the last success", &outboxtest.Outbox{Status: on, Events: []fprom.Entry{failing(3, 3*time.Minute), done(-time.Hour)}}, "warn", "Something needs", "An event fails again and again", true},
		{"it keeps failing for hours", &outboxtest.Outbox{Status: on, Events: []fprom.Entry{failing(90, 3*time.Hour)}}, "fail", "Commissions need", "An event fails again and again", false},
		{"a short fault", &outboxtest.Outbox{Status: on, Events: []fprom.Entry{failing(7, time.Minute)}}, "ok", "All is well", "", true},
		{"one event keeps failing, others arrive", &outboxtest.Outbox{Status: on, Events: []fprom.Entry{failing(7, 10*time.Minute), done(5 * time.Minute)}}, "ok", "All is well", "", true},
		{"bulk load", &outboxtest.Outbox{Status: on, Events: []fprom.Entry{bulk, done(time.Minute)}}, "ok", "All is well", "", true},
		{"bulk load that stands still", &outboxtest.Outbox{Status: on, Events: []fprom.Entry{bulk, done(3 * time.Hour)}}, "fail", "Commissions need", "has waited for 5 h", false},
		{"bulk load that stands still, and the clock was ahead at the last success", &outboxtest.Outbox{Status: on, Events: []fprom.Entry{bulk, done(-3 * time.Hour)}}, "fail", "Commissions need", "has waited for 5 h", false},
		{"bulk events paused in the job engine", &outboxtest.Outbox{Status: with(func(q *fprom.QueueStats) { q.PauseReason = "the queue fprom_bulk is paused in River: resume it" }), Events: []fprom.Entry{bulk, done(time.Minute)}}, "warn", "Something needs a look.", "Some events are not delivered: the queue fprom_bulk is paused in River: resume it. 1 event waits.", true},
		{"dead letters", &outboxtest.Outbox{Status: on, Events: []fprom.Entry{outboxtest.Event("x", fprom.StateDead, fprom.Rejected, time.Hour)}}, "warn", "Something needs a look.", "1 event was given up", true},
		{"conflicts", &outboxtest.Outbox{Status: with(func(q *fprom.QueueStats) { q.Conflicts = 2 })}, "warn", "Something needs a look.", "2 events were not tracked: the event id", true},
		{"breaker", &outboxtest.Outbox{Status: with(func(q *fprom.QueueStats) { q.Breaker = "open" }), Events: []fprom.Entry{waiting(time.Minute)}}, "warn", "Something needs a look.", "FirstPromoter does not answer as it should. 1 event waits.", true},
		{"breaker, and the reason", &outboxtest.Outbox{Status: with(func(q *fprom.QueueStats) { q.Breaker = "half-open" }), Events: []fprom.Entry{failing(5, 3*time.Minute)}}, "warn", "Something needs", "FirstPromoter does not answer as it should: 404 Not Found: no answer", true},
		{"throttled", &outboxtest.Outbox{Status: with(func(q *fprom.QueueStats) {
			q.PausedUntil, q.PauseReason = time.Now().Add(10*time.Minute+50*time.Second), "fprom: sale:x: fprom: 429 Too Many Requests"
		})}, "warn", "Something needs", "Delivery is paused, for another 10 min: sale:x: 429 Too Many Requests.", true},
		{"paused for hours", &outboxtest.Outbox{Status: with(func(q *fprom.QueueStats) {
			q.PausedUntil, q.PauseReason = time.Now().Add(-time.Second), "429 Too Many Requests"
		}), Events: []fprom.Entry{waiting(3 * time.Hour)}}, "fail", "Commissions need", "Delivery is paused, until a probe succeeds: 429 Too Many Requests.", false},
		{"refused", &outboxtest.Outbox{Status: with(func(q *fprom.QueueStats) {
			q.PausedUntil, q.PauseReason = time.Now().Add(time.Second), "fprom: sale:x: 401: "+fprom.ErrUnauthorized.Error()
		})}, "fail", "Commissions need", "FirstPromoter refuses the API key or the account id. Nothing waits.", false},
		{"nobody delivers", &outboxtest.Outbox{Events: []fprom.Entry{waiting(time.Minute)}}, "fail", "Commissions need", "No process delivers. 1 event waits.", true},
		{"paused in the job engine", &outboxtest.Outbox{Status: fprom.QueueStats{PauseReason: "the queue fprom is paused in River: resume it"}, Events: []fprom.Entry{waiting(time.Minute)}}, "fail", "Commissions need", "Nothing is delivered: the queue fprom is paused in River: resume it. 1 event waits.", false},
		{"nobody delivers what failed", &outboxtest.Outbox{Events: []fprom.Entry{failing(3, 3*time.Minute)}}, "fail", "Commissions need", "No process delivers. 1 event waits.", true},
		{"nobody delivers a bulk load", &outboxtest.Outbox{Events: []fprom.Entry{bulk, done(time.Minute)}}, "fail", "Commissions need", "No process delivers. 1 event waits.", true},
		{"the worst comes first", &outboxtest.Outbox{Status: fprom.QueueStats{Conflicts: 2}, Events: []fprom.Entry{waiting(time.Minute)}}, "fail", "Commissions need", "No process delivers. 1 event waits.", true},
		{"nobody delivers, nothing waits", &outboxtest.Outbox{}, "warn", "Something needs", "No process delivers.", true},
		{"broken", &outboxtest.Outbox{Err: errors.New("fprom: connection refused")}, "fail", "Commissions need", "The outbox cannot be read: connection refused.", false},
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
			if tt.what != "" && (!strings.Contains(got.Problems[0].What, tt.what) || got.Problems[0].Do == "" ||
				strings.Contains(tt.what, "in River") && strings.Contains(got.Problems[0].Do, "by itself")) { // somebody must resume the queue
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
		o := &outboxtest.Outbox{Status: fprom.QueueStats{Delivering: true}}
		h := handler(t, nil, statuspage.Options{Public: true, Outbox: o})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { get(t, h, "/") })
		}
		wg.Wait()
		if o.Reads != 1 {
			t.Errorf("50 pages at once read %d times, want once", o.Reads)
		}
		time.Sleep(2 * time.Second)
		get(t, h, "/")
		if o.Reads != 2 {
			t.Errorf("read %d times, want again after two seconds", o.Reads)
		}
	})
}

// TestBacklogRemembersAnOutage: what waited is shown when it has gone, too, also if somebody looked before, while the clock was ahead.
func TestBacklogRemembersAnOutage(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{0, 6 * time.Hour} {
		o := &outboxtest.Outbox{Status: fprom.QueueStats{Delivering: true}}
		h := handler(t, nil, statuspage.Options{Public: true, Writable: true, Outbox: o})
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(ahead)
			get(t, h, "/")
		})
		synctest.Test(t, func(t *testing.T) { // the clock begins anew
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("do=redrive&all=1")) // so that the page does not keep what it read
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			h.ServeHTTP(httptest.NewRecorder(), r)
			for i := range 40 {
				o.Events = append(o.Events, outboxtest.Event(string(rune('a'+i)), fprom.StateWaiting, fprom.Undelivered, time.Duration(i)*time.Minute))
			}
			for _, tt := range []struct {
				after time.Duration
				want  string
			}{{0, "now 40, at most 40"}, {3 * time.Hour, "now 0, at most 40"}, {25 * time.Hour, "now 0, at most 0"}} {
				time.Sleep(tt.after)
				if tt.after > 0 {
					o.Events = nil
				}
				if body := get(t, h, "/").Body.String(); !strings.Contains(body, "Backlog of the last 24 hours: "+tt.want) {
					t.Errorf("%v ahead, after %v the page does not say %q", ahead, tt.after, tt.want)
				}
			}
		})
	}
}

// TestAWrongAddressIsSeen: a lone sale that a wrong address refuses is seen after two minutes, and why. A lone sale that waits for its
// sign-up is not.
func TestAWrongAddressIsSeen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, state, what string
		faults            []fpromtest.Fault
	}{
		{"wrong address", "warn", ": 404 Not Found", []fpromtest.Fault{fpromtest.NotFoundPage()}},
		{"no such host", "warn", "FirstPromoter does not answer as it should: ", []fpromtest.Fault{fpromtest.Reset()}},
		{"sign-up on its way", "ok", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fake := fpromtest.NewServer(t, fpromtest.InMemory())
				fake.Inject(tt.faults...)
				cfg := fake.Config()
				q, err := boltqueue.Open(filepath.Join(t.TempDir(), "fprom.db"), boltqueue.WithoutSocket(), boltqueue.WithLogger(slog.New(slog.DiscardHandler)))
				if err != nil {
					t.Fatal(err)
				}
				cfg.Queue = q
				tr := tracker(t, cfg)
				h := handler(t, tr, statuspage.Options{Public: true})
				s := sale("ch_1")
				s.TID = "visitor-1"
				if err := tr.Enqueue(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				var got struct {
					State    string
					Problems []struct{ What string }
				}
				for _, after := range []time.Duration{130 * time.Second, 50 * time.Minute} {
					time.Sleep(after)
					got.Problems = nil
					if err := json.Unmarshal(get(t, h, "/status.json").Body.Bytes(), &got); err != nil {
						t.Fatal(err)
					}
					if got.State != tt.state || !strings.Contains(fmt.Sprint(got.Problems), tt.what) {
						t.Errorf("%v later: %q: %q, want %q: %q", after, got.State, got.Problems, tt.state, tt.what)
					}
				}
			})
		})
	}
}
