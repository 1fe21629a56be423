package statuspage_test

import (
	"fmt"
	"html"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/outboxtest"
	"github.com/fprom-go/fprom/statuspage"
)

// TestCharts: each outcome has its share of a bar, one among a thousand is still visible, and the backlog rises when events come.
func TestCharts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(14*time.Hour + 7*time.Minute) // so it is 14:07
		o := &outboxtest.Outbox{Status: fprom.QueueStats{Delivering: true}}
		add := func(n int, state fprom.State, outcome fprom.Outcome, ago time.Duration) {
			for range n {
				o.Events = append(o.Events, outboxtest.Event("x", state, outcome, ago))
			}
		}
		add(1, fprom.StateDone, fprom.Duplicate, 3*time.Hour)
		add(1, fprom.StateDead, fprom.Rejected, 3*time.Hour)
		add(800, fprom.StateDone, fprom.Tracked, 20*time.Minute)
		add(200, fprom.StateDone, fprom.NotReferral, 20*time.Minute)
		add(100, fprom.StateDone, fprom.Tracked, 5*time.Minute)
		add(1, fprom.StateWaiting, fprom.Undelivered, 12*time.Hour)
		add(3, fprom.StateWaiting, fprom.Undelivered, 6*time.Hour)
		body := html.UnescapeString(get(t, handler(t, nil, statuspage.Options{Public: true, Outbox: o}), "/").Body.String())
		for _, want := range []string{
			`<small>1,000</small><svg viewBox="0 0 960 200" preserveAspectRatio="none" role="img" aria-label="Outcomes of the last 24 hours: 900 tracked, 200 not a referral, 1 duplicate, 1 dead">
<g><title>11:00–11:30 1 duplicate, 1 dead</title><rect class="u" x="820" y="197" width="17" height="3"/><rect class="d" x="820" y="194" width="17" height="3"/></g>
<g><title>13:30–14:00 800 tracked, 200 not a referral</title><rect class="t" x="920" y="40" width="17" height="160"/><rect class="n" x="920" y="0" width="17" height="40"/></g>
<g><title>14:00–14:30 100 tracked</title><rect class="t" x="940" y="180" width="17" height="20"/></g>
</svg>`,
			`aria-label="Events a minute in the last hour: at most 1,000, the limit is 400">
<g><title>13:47–13:48 1,000 events</title><rect class="t" x="624" y="0" width="13" height="200"/></g>
<g><title>14:02–14:03 100 events</title><rect class="t" x="864" y="180" width="13" height="20"/></g>
<path class="line" d="M0,120H960"/></svg>`,
			`aria-label="Backlog of the last 24 hours: now 4, at most 4">`, `L464,200L474,150L485,150L`, `L707,150L717,0L727,0L`, `L960,0L960,200Z"/>`,
		} {
			if !strings.Contains(body, want) {
				t.Errorf("the page does not contain %s", want)
			}
		}
	})
}

// TestTiles are the figures at the top of the page.
func TestTiles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // so that ages are exact
		time.Sleep(26 * time.Hour)
		waiting := outboxtest.Event("w", fprom.StateWaiting, fprom.Undelivered, 90*time.Minute)
		late := outboxtest.Event("w", fprom.StateWaiting, fprom.Undelivered, 3*time.Hour)
		bulk := outboxtest.Event("b", fprom.StateWaiting, fprom.Undelivered, time.Minute)
		bulk.Bulk = true
		done := outboxtest.Event("d", fprom.StateDone, fprom.Tracked, 10*time.Minute+time.Second)
		dead := outboxtest.Event("x", fprom.StateDead, fprom.Rejected, time.Hour)
		on, until := fprom.QueueStats{Delivering: true}, time.Now().Add(10*time.Minute)
		for name, tt := range map[string]struct {
			o     *outboxtest.Outbox
			tiles [][4]string // label, value, note, level
		}{
			"empty": {&outboxtest.Outbox{Status: on}, [][4]string{
				{"Lost", "–", "only the service knows", ""},
				{"Oldest waiting", "–", "nothing waits", "ok"},
				{"Last success", "–", "none known", ""},
				{"Waiting", "0", "to be sent", ""},
				{"Dead letters", "0", "none was given up", "ok"},
				{"Calls last minute", "–", "only the service knows", ""},
				{"Circuit breaker", "–", "only the service knows", ""},
				{"Pause", "none", "delivery is on", "ok"},
			}},
			"busy": {&outboxtest.Outbox{Status: on, Events: []fprom.Entry{waiting, bulk, bulk, done, dead}}, [][4]string{
				{"Oldest waiting", "1 h 30 min", "fine up to 2 h", "ok"},
				{"Last success", "10 min ago", "Jan 2 01:50 UTC", "ok"},
				{"Waiting", "1", "and 2 of a bulk load", ""},
				{"Dead letters", "1", "given up, see below", "warn"},
			}},
			"late": {&outboxtest.Outbox{Status: on, Events: []fprom.Entry{late}}, [][4]string{{"Oldest waiting", "3 h", "more than 2 h", "fail"}}},
			"paused": {&outboxtest.Outbox{Status: fprom.QueueStats{Delivering: true, PausedUntil: until, PauseReason: "fprom: 429 Too Many Requests"}}, [][4]string{
				{"Pause", "for another 10 min", "429 Too Many Requests", "warn"},
			}},
			"off":               {&outboxtest.Outbox{}, [][4]string{{"Delivery", "off", "no process delivers", "warn"}}},
			"off with a reason": {&outboxtest.Outbox{Status: fprom.QueueStats{PauseReason: "fprom: paused in River"}}, [][4]string{{"Delivery", "off", "paused in River", "warn"}}},
		} {
			body := html.UnescapeString(get(t, handler(t, nil, statuspage.Options{Public: true, Outbox: tt.o}), "/").Body.String())
			for _, tile := range tt.tiles {
				if want := fmt.Sprintf(`<div class="tile %s"><h2>%s</h2><p>%s</p><small>%s</small></div>`, tile[3], tile[0], tile[1], tile[2]); !strings.Contains(body, want) {
					t.Errorf("%s: no tile %q in %s", name, tile, body[strings.Index(body, `<section class="tiles"`):strings.Index(body, "<h2>Outcomes")])
				}
			}
		}
	})
}

// TestRows is what the page says about each event, and when.
func TestRows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(26 * time.Hour)
		event := func(state fprom.State, outcome fprom.Outcome, change func(*fprom.Entry)) fprom.Entry {
			e := outboxtest.Event("x", state, outcome, time.Hour)
			e.Customer, e.Reason = "", ""
			change(&e)
			return e
		}
		same := func(*fprom.Entry) {}
		for _, tt := range []struct {
			e    fprom.Entry
			want string
		}{
			{event(fprom.StateDone, fprom.Tracked, same), `<span class="state t">tracked</span> <code>sale:x</code> <span>49.00 USD</span> <span></span> <time title="2000-01-02 01:00:01 UTC">59 min ago</time>`},
			{event(fprom.StateDone, fprom.NotReferral, same), `<span class="state n">not a referral</span>`},
			{event(fprom.StateDone, fprom.Duplicate, same), `<span class="state u">duplicate</span>`},
			{event(fprom.StateDead, fprom.Rejected, same), `<span class="state d">dead letter</span>`},
			{event(fprom.StateDead, fprom.Rejected, func(e *fprom.Entry) { e.Damaged = true }), `<span class="state d">cannot be read</span>`},
			{event(fprom.StateWaiting, fprom.Undelivered, func(e *fprom.Entry) { e.Amount = 0 }), `<span class="state w">waiting</span> <code>sale:x</code> <span></span> <span></span> <time title="2000-01-02 01:00:00 UTC">1 h ago</time>`},
			{event(fprom.StateWaiting, fprom.Undelivered, func(e *fprom.Entry) { e.NextAttempt = time.Now().Add(5 * time.Minute) }), `<span class="state w">again in 5 min</span>`},
			{event(fprom.StateWaiting, fprom.Undelivered, func(e *fprom.Entry) { e.NextAttempt = time.Now() }), `<span class="state w">waiting</span>`},
		} {
			body := get(t, handler(t, nil, statuspage.Options{Public: true, Outbox: &outboxtest.Outbox{Events: []fprom.Entry{tt.e}}}), "/").Body.String()
			if _, recent, _ := strings.Cut(body, "<h2>Recent events"); !strings.Contains(recent, tt.want) {
				t.Errorf("%+v: no %s in %s", tt.e, tt.want, recent)
			}
		}
	})
}

// TestPagesOfDeadLetters: the pages show each dead letter once, and the last one leads nowhere.
func TestPagesOfDeadLetters(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 15, 16, 40} {
		o := &outboxtest.Outbox{}
		for i := range n {
			o.Events = append(o.Events, outboxtest.Event(strconv.Itoa(i), fprom.StateDead, fprom.Rejected, time.Hour))
		}
		h := handler(t, nil, statuspage.Options{Public: true, Outbox: o})
		var shown, pages int
		for at := "/"; at != ""; pages++ {
			body := get(t, h, at).Body.String()
			_, dead, _ := strings.Cut(body, "<h2>Dead letters")
			dead, _, _ = strings.Cut(dead, "<h2>Recent events")
			for strings.Contains(dead, "<code>sale:"+strconv.Itoa(shown)+"</code>") {
				shown++
			}
			_, next, _ := strings.Cut(dead, `<a href="?dead=`)
			if at, _, _ = strings.Cut(next, "#"); at != "" {
				at = "/?dead=" + at
			}
		}
		if want := (n + 14) / 15; shown != n || pages != want {
			t.Errorf("%d of %d on %d pages, want %d pages", shown, n, pages, want)
		}
	}
}
