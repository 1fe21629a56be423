//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	browserpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/gin-gonic/gin"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/outboxtest"
	"github.com/fprom-go/fprom/statuspage"
)

// busy is the outbox of a shop with a sale a minute, and some that wait.
func busy() *outboxtest.Outbox {
	o := &outboxtest.Outbox{Status: fprom.QueueStats{Delivering: true, Breaker: "closed", LastMinute: new(37)}}
	for i := range 1440 {
		outcome := fprom.Tracked
		switch {
		case i%13 == 5:
			outcome = fprom.Duplicate
		case i%3 == 1:
			outcome = fprom.NotReferral
		}
		ago := time.Duration(1440-i) * time.Minute
		for range 1 + (i/60*7)%5 {
			o.Events = append(o.Events, outboxtest.Event(fmt.Sprintf("ch_3Qx%05d", 70000+len(o.Events)), fprom.StateDone, outcome, ago))
		}
	}
	for i := range 4 {
		o.Events = append(o.Events, outboxtest.Event(fmt.Sprintf("ch_3Qw%05d", i), fprom.StateWaiting, fprom.Undelivered, time.Duration(4-i)*5*time.Second))
	}
	return o
}

// troubled has four dead letters, too.
func troubled() *outboxtest.Outbox {
	o := busy()
	for i, reason := range []string{
		"400 Bad Request: Sale amount must be a positive integer", "422 Unprocessable Content: Plan pro-2019 does not exist", "400 Bad Request: Currency XBT is not supported",
		"422 Unprocessable Content: The promoter of this customer was archived",
	} {
		e := outboxtest.Event(fmt.Sprintf("pi_3Rd%05d", 4100+i), fprom.StateDead, fprom.Rejected, time.Duration(4-i)*50*time.Minute)
		e.Reason, e.StatusCode = reason, 400
		o.Events = append(o.Events, e)
	}
	return o
}

// long has a dead letter whose texts have no place to break, and a queue that says as much.
func long() *outboxtest.Outbox {
	o, word := troubled(), strings.Repeat("W", 1024)
	e := outboxtest.Event(word[:240], fprom.StateDead, fprom.Rejected, time.Minute)
	e.Customer, e.Reason, e.Amount = word[:255], word, 1<<53-1
	o.Events = append(o.Events, e)
	o.Status.Delivering, o.Status.PauseReason = false, word
	return o
}

// page is that of a service whose Tracker has nothing to do.
func page(t *testing.T, o *outboxtest.Outbox) http.Handler {
	t.Helper()
	tracker, err := fprom.New(fprom.Config{APIKey: "key", AccountID: "account", BaseURL: "http://127.0.0.1:1", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tracker.Shutdown(context.Background()) })
	compared := statuspage.Comparison{At: time.Now().Add(-5 * time.Hour), Days: 7}
	h, err := statuspage.Handler(tracker, statuspage.Options{
		Public: true, Writable: true, Outbox: o, Name: "shop.example",
		Compared: func() statuspage.Comparison { return compared },
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// mounts are the ways in which a service mounts the page.
var mounts = map[string]func(h http.Handler) (http.Handler, string){
	"root": func(h http.Handler) (http.Handler, string) { return h, "/" },
	"kept prefix": func(h http.Handler) (http.Handler, string) {
		mux := http.NewServeMux()
		mux.Handle("/admin/fprom/", h)
		return mux, "/admin/fprom/"
	},
	"stripped prefix": func(h http.Handler) (http.Handler, string) {
		mux := http.NewServeMux()
		mux.Handle("/admin/fprom/", http.StripPrefix("/admin/fprom", h))
		return mux, "/admin/fprom/"
	},
	"gin": func(h http.Handler) (http.Handler, string) {
		gin.SetMode(gin.ReleaseMode)
		engine := gin.New()
		engine.Any("/ops/fprom/*path", gin.WrapH(h))
		return engine, "/ops/fprom/"
	},
}

// TestEveryMountAndLook opens the page in every way, and follows its links.
func TestEveryMountAndLook(t *testing.T) {
	for mount, at := range mounts {
		h, path := at(page(t, troubled()))
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		for _, l := range looks {
			t.Run(mount+", "+l.name, func(t *testing.T) {
				p := open(t, l)
				base := server.URL + path
				p.do(chromedp.Navigate(base), chromedp.WaitVisible(chromedp.CSS("h1")))
				if got := p.text("h1"); got != "Something needs a look." {
					t.Errorf("the page says %q", got)
				}
				if bars := get(p, chromedp.Evaluate[float64](`document.querySelectorAll("rect").length`)); bars < 40 {
					t.Errorf("%v bars", bars)
				}
				if got := p.text(".tile:last-child"); !strings.Contains(got, "0 missing") || !strings.Contains(got, "7 days, 5 h ago") {
					t.Errorf("of the last comparison the page says %q", got)
				}
				if wide := get(p, chromedp.Evaluate[float64](`document.documentElement.scrollWidth - innerWidth`)); wide > 0 {
					t.Errorf("the page is %v pixels wider than the screen", wide)
				}
				background := get(p, chromedp.Evaluate[string](`getComputedStyle(document.body).backgroundColor`))
				if dark := strings.HasPrefix(background, "rgb(18,"); dark != l.dark {
					t.Errorf("the background is %s", background)
				}
				p.clean(base)
				p.do(chromedp.Click(chromedp.CSS(`footer a[href="status.json"]`)))
				p.await("body", `"dead": 4`)
			})
		}
	}
}

// TestLongTexts: no text makes the page wider than the screen.
func TestLongTexts(t *testing.T) {
	for _, l := range looks {
		o := long()
		server := httptest.NewServer(page(t, o))
		t.Cleanup(server.Close)
		p := open(t, l)
		p.do(chromedp.Navigate(server.URL), chromedp.WaitVisible(chromedp.CSS("#dead")))
		wide := `[...document.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > innerWidth).map(e => e.localName + " " + e.textContent.slice(0, 20)).join(", ")`
		if got := get(p, chromedp.Evaluate[string](wide)); got != "" {
			t.Errorf("%s: wider than the screen: %s", l.name, got)
		}
	}
}

// TestRedriveAndDrop presses the buttons, with and without JavaScript.
func TestRedriveAndDrop(t *testing.T) {
	for _, l := range looks {
		t.Run(l.name, func(t *testing.T) {
			mount, path := mounts["gin"](page(t, troubled()))
			server := httptest.NewServer(mount)
			t.Cleanup(server.Close)
			p := open(t, l)
			p.do(chromedp.Navigate(server.URL+path), chromedp.WaitVisible(chromedp.CSS("#dead")))

			p.do(chromedp.Click(chromedp.CSS(`#dead li:nth-child(1) summary`)), chromedp.WaitVisible(chromedp.CSS(`#dead li:nth-child(1) button.danger`)),
				chromedp.Click(chromedp.CSS(`#dead li:nth-child(1) button.danger`)))
			p.await(".notice", "1 dead letter was dropped.")
			if got := get(p, chromedp.Evaluate[float64](`document.querySelectorAll("#dead li").length`)); got != 3.0 {
				t.Errorf("after drop %v dead letters are shown, want 3", got)
			}

			p.do(chromedp.Click(chromedp.CSS(`#dead li:nth-child(1) button[value=redrive]`)))
			p.await(".notice", "1 dead letter was put back and will be sent again.")
			p.do(chromedp.Click(chromedp.CSS(`#dead > form summary`)), chromedp.WaitVisible(chromedp.CSS(`#dead > form button`)), chromedp.Click(chromedp.CSS(`#dead > form button`)))
			p.await("#dead", "None.")
			p.await("h1", "All is well. 7 events wait to be sent.")
			p.clean(server.URL + path)
		})
	}
}

// TestStaysFresh: the page shows what is new, and says so when nobody answers it any more.
func TestStaysFresh(t *testing.T) {
	o := busy()
	server := httptest.NewServer(page(t, o))
	t.Cleanup(server.Close)
	p := open(t, looks[0])
	p.do(chromedp.Navigate(server.URL), chromedp.WaitVisible(chromedp.CSS("h1")))
	if got := p.text("h1"); !strings.HasPrefix(got, "All is well.") {
		t.Fatalf("the page says %q", got)
	}
	if shown := get(p, chromedp.Evaluate[float64](`document.getElementById("stale").offsetHeight`)); shown != 0.0 {
		t.Error("a fresh page says that it is old")
	}
	o.Change(func() { o.Err = errors.New("the disk is broken") })
	p.await("h1", "Commissions need you now.")
	p.clean(server.URL)
	if title := get(p, chromedp.Evaluate[string](`document.title`)); !strings.HasPrefix(title, "✗") {
		t.Errorf("the title is %q", title)
	}
	server.CloseClientConnections()
	server.Close()
	p.do(chromedp.WaitVisible(chromedp.CSS("#stale")))
}

// TestBlockedScript: a page that does not refresh by itself says so.
func TestBlockedScript(t *testing.T) {
	h := page(t, busy())
	for _, policy := range []string{"script-src 'none'", "frame-ancestors 'none'"} {
		back := httptest.NewServer(h)
		t.Cleanup(back.Close)
		to, err := url.Parse(back.URL)
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(&httputil.ReverseProxy{
			Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(to) },
			ModifyResponse: func(r *http.Response) error { r.Header.Add("Content-Security-Policy", policy); return nil },
		})
		t.Cleanup(server.Close)
		p := open(t, looks[0])
		p.do(chromedp.Navigate(server.URL), chromedp.WaitVisible(chromedp.CSS("h1")))
		blocked := policy == "script-src 'none'"
		if said := get(p, chromedp.Evaluate[float64](`document.getElementById("blocked")?.offsetHeight ?? 0`)); (said > 0) != blocked {
			t.Errorf("with the policy %s the hint is %v pixels high", policy, said)
		}
	}
}

// TestSlowPage: a page that comes slowly does not say meanwhile that its script is blocked.
func TestSlowPage(t *testing.T) {
	h, wait := page(t, busy()), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		whole := httptest.NewRecorder()
		h.ServeHTTP(whole, r)
		maps.Copy(w.Header(), whole.Header())
		w.Header().Del("Content-Length")
		first, rest, _ := strings.Cut(whole.Body.String(), "<footer>")
		_, _ = io.WriteString(w, first)
		_ = http.NewResponseController(w).Flush()
		<-wait
		_, _ = io.WriteString(w, rest)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(wait) })
	p := open(t, looks[0])
	get(p, chromedp.Evaluate[string](`location = "`+server.URL+`/"`))
	p.do(chromedp.WaitVisible(chromedp.CSS("h1")))
	if said := get(p, chromedp.Evaluate[bool](`document.getElementById("blocked") !== null`)); said {
		t.Error("it says so")
	}
}

// contrasts are the contrasts of what is seen with what it is seen on, by name: at least 3 for shapes and large text, 4.5 for other text.
const contrasts = `(() => {
	const rgb = s => s.match(/[\d.]+/g).map(Number);
	const light = s => rgb(s).slice(0, 3).map(c => (c /= 255) <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
	const on = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (rgb(c)[3] !== 0) return c; } return "rgb(255,255,255)"; };
	const low = [];
	const see = (what, e, colour, least) => {
		const [a, b] = [light(colour), light(on(e.parentElement))].sort();
		const n = (b + .05) / (a + .05);
		if (n < least) low.push(what + " " + e.className + ": " + n.toFixed(2));
	};
	for (const e of document.querySelectorAll(".legend i:not(.line)")) see("i", e, getComputedStyle(e).backgroundColor, 3);
	for (const e of document.querySelectorAll("h1, h2, p, small, time, code, button, summary, a, li b, .state")) {
		if (e.textContent.trim()) see(e.localName, e.firstElementChild ?? e, getComputedStyle(e).color, 4.5);
	}
	return [...new Set(low)].join(", ");
})()`

// TestAccess: who uses no mouse, hears the page or sees little can use it.
func TestAccess(t *testing.T) {
	for _, l := range looks[:2] {
		t.Run(l.name, func(t *testing.T) {
			server := httptest.NewServer(page(t, troubled()))
			t.Cleanup(server.Close)
			p := open(t, l)
			p.do(chromedp.Navigate(server.URL), chromedp.WaitVisible(chromedp.CSS("#dead")))
			if low := get(p, chromedp.Evaluate[string](contrasts)); low != "" {
				t.Errorf("too little contrast: %s", low)
			}
			const names = `[...document.querySelectorAll("button, summary")].map(e => [e.closest("form").ariaLabel, e.textContent].join())`
			if twice := get(p, chromedp.Evaluate[string](names+`.filter((n, i, all) => all.indexOf(n) !== i).join(", ")`)); twice != "" {
				t.Errorf("several buttons are named %s", twice)
			}
			p.do(chromedp.Focus(chromedp.CSS(`#dead li:nth-child(2) summary`)), chromedp.KeyEvent(kb.Enter), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
			p.await(".notice", "1 dead letter was dropped.")
		})
	}
}

// TestStaysFreshWithFocus: a page that was clicked on is not old for ever, and the focus stays where it was.
func TestStaysFreshWithFocus(t *testing.T) {
	o := troubled()
	server := httptest.NewServer(page(t, o))
	t.Cleanup(server.Close)
	p := open(t, looks[0])
	command(p, browserpage.AddScriptToEvaluateOnNewDocument, browserpage.AddScriptToEvaluateOnNewDocumentParams{
		Source: `{ const set = setInterval; window.setInterval = (f, ms) => set(f, ms / 20) }`,
	})
	p.do(chromedp.Navigate(server.URL), chromedp.WaitVisible(chromedp.CSS("#dead")), chromedp.Focus(chromedp.CSS(`#dead li:nth-child(2) summary`)), chromedp.KeyEvent(kb.Enter))
	o.Change(func() { o.Err = errors.New("the disk is broken") })
	p.await("h1", "Commissions need you now.")
	o.Change(func() { o.Err = nil })
	p.do(chromedp.WaitVisible(chromedp.CSS("#dead li:nth-child(2) summary")), chromedp.Focus(chromedp.CSS(`#dead li:nth-child(2) summary`)))
	o.Change(func() { o.Status.Conflicts = 2 })
	p.await(".banner.warn", "2 events were not tracked")
	if focus := get(p, chromedp.Evaluate[string](`document.activeElement.localName + document.activeElement.closest("form")?.ariaLabel`)); focus != "summarysale:pi_3Rd04101" {
		t.Errorf("the focus is on %q", focus)
	}
	p.do(chromedp.KeyEvent(kb.Enter), chromedp.KeyEvent(kb.Tab)) // on "Drop for good"
	o.Change(func() { o.Status.Conflicts = 3 })
	p.await(".banner.warn", "3 events were not tracked")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.await(".notice", "1 dead letter was dropped.")
}

// TestScreenshots writes the pictures of docs/operations.md, if FPROM_SCREENSHOTS names their directory.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("FPROM_SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	for name, s := range map[string]struct {
		o *outboxtest.Outbox
		l look
	}{
		"page-ok":    {busy(), looks[0]},
		"page-dead":  {troubled(), looks[1]},
		"page-phone": {troubled(), looks[2]},
	} {
		server := httptest.NewServer(page(t, s.o))
		t.Cleanup(server.Close)
		p := open(t, s.l)
		p.do(chromedp.Navigate(server.URL), chromedp.WaitVisible(chromedp.CSS("h1")))
		picture := get(p, chromedp.CaptureScreenshot())
		if len(picture) < 10_000 || len(picture) > 150_000 {
			t.Errorf("%s has %d bytes", name, len(picture))
		}
		if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
			t.Error(err)
		}
	}
}
