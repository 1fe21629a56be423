package statuspage_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/outboxtest"
	"github.com/fprom-go/fprom/statuspage"
)

func handler(t *testing.T, tr *fprom.Tracker, o statuspage.Options) http.Handler {
	t.Helper()
	h, err := statuspage.Handler(tr, o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestIsNotBuiltForEverybodyByMistake(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]statuspage.Options{
		"Options.Auth":              {},
		"Options.OldestAge":         {Public: true, OldestAge: -1},
		"Options.RequestsPerMinute": {Public: true, RequestsPerMinute: -1},
	} {
		h, err := statuspage.Handler(nil, o)
		if invalid := new(fprom.ValidationError); h != nil || !errors.As(err, &invalid) || invalid.Field != name {
			t.Errorf("%v, %v, want an error that names %s", h, err, name)
		}
	}
}

// full is an outbox with as much as a page shows, and with text that comes from outside.
func full() *outboxtest.Outbox {
	o := &outboxtest.Outbox{Status: fprom.QueueStats{Delivering: true, LastMinute: new(123), Breaker: "closed"}}
	for i := range 3000 {
		outcome := []fprom.Outcome{fprom.Tracked, fprom.NotReferral, fprom.Duplicate}[i%3]
		o.Events = append(o.Events, outboxtest.Event(fmt.Sprintf("%s%d", strings.Repeat("k", 60), i), fprom.StateDone, outcome, time.Duration(3000-i)*29*time.Second))
	}
	for i := range 200 {
		e := outboxtest.Event(fmt.Sprintf("<script>alert(%d)</script>%s", i, strings.Repeat("d", 200)), fprom.StateDead, fprom.Rejected, time.Duration(i)*7*time.Minute)
		e.Reason = "fprom: " + e.Key + ": " + strings.Repeat(`400: "</script><img src=//evil.example/x onerror=alert(1)>" `, 17)
		o.Events = append(o.Events, e)
	}
	for i := range 500 {
		o.Events = append(o.Events, outboxtest.Event(fmt.Sprintf("w_%d", i), fprom.StateWaiting, fprom.Undelivered, time.Duration(500-i)*time.Second))
	}
	return o
}

func TestPageIsSmallClosedAndMasked(t *testing.T) {
	t.Parallel()
	w := get(t, handler(t, nil, statuspage.Options{Public: true, Writable: true, Outbox: full(), Name: "<b>shop"}), "/fprom/")
	body := w.Body.String()
	if w.Code != http.StatusOK || w.Body.Len() > 60<<10 {
		t.Errorf("status %d, %d bytes, want 200 and at most 60 KB", w.Code, w.Body.Len())
	}
	for _, banned := range []string{"jane@example.com", "<script>alert", "<img", "<b>shop", ` style="`, " onclick", "ZgotmplZ", "fprom: sale:"} {
		if strings.Contains(body, banned) {
			t.Errorf("the page contains %q", banned)
		}
	}
	for _, wanted := range []string{"j***@e***", "49.00 USD", "<summary>Redrive all 200 dead letters…", "500", "more dead letters"} {
		if !strings.Contains(body, wanted) {
			t.Errorf("the page does not contain %q", wanted)
		}
	}
	for _, m := range regexp.MustCompile(`(?:src|href|action)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		if u, err := url.Parse(m[1]); err != nil || u.Host != "" || strings.HasPrefix(u.Path, "/") || u.Scheme != "" && u.Scheme != "data" {
			t.Errorf("the link %q is not relative", m[1])
		}
	}
	policy := w.Header().Get("Content-Security-Policy")
	nonce := regexp.MustCompile(`nonce-([A-Z0-9]{20,})'`).FindStringSubmatch(policy)
	if nonce == nil || !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") || !strings.Contains(body, `<style nonce="`+nonce[1]) {
		t.Errorf("policy %q", policy)
	}
	if again := get(t, handler(t, nil, statuspage.Options{Public: true, Outbox: full()}), "/"); again.Header().Get("Content-Security-Policy") == policy {
		t.Error("two answers have the same nonce")
	}
}

// TestAnyLimit: the line of the limit is drawn, also for a number that stands for no limit.
func TestAnyLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{0, 400, math.MaxInt} {
		body := get(t, handler(t, nil, statuspage.Options{Public: true, Outbox: &outboxtest.Outbox{}, RequestsPerMinute: limit}), "/").Body.String()
		if !strings.Contains(body, `<path class="line" d="M0,34H960"/>`) {
			t.Errorf("limit %d: no line", limit)
		}
	}
}

// TestAnyMount follows the page's links under each way of mounting it.
func TestAnyMount(t *testing.T) {
	t.Parallel()
	gin.SetMode(gin.TestMode)
	page := handler(t, nil, statuspage.Options{Public: true, Outbox: full()})
	mux := http.NewServeMux()
	mux.Handle("/kept/", page)
	mux.Handle("/stripped/", http.StripPrefix("/stripped", page))
	mux.Handle("/exact", http.StripPrefix("/exact", page))
	mux.Handle("/exact/", page)
	mux.Handle("/deep/er/pre%20fix", page)
	mux.Handle("/deep/er/pre%20fix/", page)
	engine := gin.New()
	engine.Any("/gin/*path", gin.WrapH(page))
	mux.Handle("/gin", engine)
	mux.Handle("/gin/", engine)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	root := httptest.NewServer(page)
	t.Cleanup(root.Close)
	for _, at := range []string{
		root.URL, root.URL + "/", server.URL + "/kept", server.URL + "/kept/", server.URL + "/stripped/", server.URL + "/exact",
		server.URL + "/deep/er/pre%20fix", server.URL + "/gin", server.URL + "/gin/", server.URL + "/gin/?dead=3003",
	} {
		resp, err := server.Client().Get(at)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: status %d, %s", at, resp.StatusCode, resp.Header)
		}
		for _, link := range []string{"status.json", "healthz", "readyz", "?dead=3003"} {
			u, _ := resp.Request.URL.Parse(link)
			got, err := server.Client().Get(u.String())
			if err != nil {
				t.Fatal(err)
			}
			got.Body.Close()
			if got.StatusCode != http.StatusOK {
				t.Errorf("%s → %s: status %d", at, u, got.StatusCode)
			}
		}
	}
}

func TestAuth(t *testing.T) {
	t.Parallel()
	broken := &outboxtest.Outbox{Err: errors.New("secret detail")}
	never := func(*http.Request) bool { return false }
	for _, tt := range []struct {
		name, path string
		o          statuspage.Options
		want       int
	}{
		{"page", "/", statuspage.Options{Auth: never, Outbox: full()}, http.StatusForbidden},
		{"status", "/status.json", statuspage.Options{Auth: never, Outbox: full()}, http.StatusForbidden},
		{"challenge", "/", statuspage.Options{Auth: never, Outbox: full(), Challenge: `Basic realm="x"`}, http.StatusUnauthorized},
		{"no slash", "/fprom", statuspage.Options{Auth: never, Outbox: full()}, http.StatusForbidden},
		{"healthz", "/healthz", statuspage.Options{Auth: never, Outbox: broken}, http.StatusOK},
		{"readyz", "/readyz", statuspage.Options{Auth: never, Outbox: full()}, http.StatusOK},
		{"not ready", "/readyz", statuspage.Options{Auth: never, Outbox: broken}, http.StatusServiceUnavailable},
	} {
		w := get(t, handler(t, nil, tt.o), tt.path)
		if w.Code != tt.want || w.Header().Get("WWW-Authenticate") != tt.o.Challenge || w.Body.Len() > 40 {
			t.Errorf("%s: status %d, want %d; body %q", tt.name, w.Code, tt.want, w.Body)
		}
	}
	w := get(t, handler(t, nil, statuspage.Options{Auth: func(*http.Request) bool { return true }, Outbox: broken}), "/readyz")
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "secret detail") {
		t.Errorf("status %d, body %q, want the reason for those who may see it", w.Code, w.Body)
	}
}

func TestStatusJSON(t *testing.T) {
	t.Parallel()
	o := full()
	w := get(t, handler(t, nil, statuspage.Options{Public: true, Outbox: o}), "/status.json")
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]any{"pending": 500.0, "bulk": 0.0, "dead": 200.0, "ledger": 3000.0, "delivering": true, "state": "warn", "ready": true} {
		if got[field] != want {
			t.Errorf("%s is %v, want %v", field, got[field], want)
		}
	}
	for _, field := range []string{"oldest", "last_success", "problems", "at"} {
		if got[field] == nil {
			t.Errorf("%s is missing: %s", field, w.Body)
		}
	}
	for want, o := range map[string]*outboxtest.Outbox{
		`"problems": [],`: {Status: fprom.QueueStats{Delivering: true}},
		"\"ready\": false,\n  \"why\": \"the outbox cannot be read: the disk is gone\"": {Err: errors.New("the disk is gone")},
	} {
		w := get(t, handler(t, nil, statuspage.Options{Public: true, Outbox: o}), "/status.json")
		if w.Header().Get("Content-Type") != "application/json" || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%v, %s, want %s", w.Header(), w.Body, want)
		}
	}
}

// TestHeaders: no answer is kept by a cache or taken for another kind of file, and what cannot be asked is said.
func TestHeaders(t *testing.T) {
	t.Parallel()
	h := handler(t, nil, statuspage.Options{Public: true, Outbox: full()})
	for path, kind := range map[string]string{"/": "text/html; charset=utf-8", "/status.json": "application/json", "/healthz": "text/plain; charset=utf-8", "/readyz": "text/plain; charset=utf-8"} {
		w := get(t, h, path)
		for name, want := range map[string]string{"Content-Type": kind, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if strings.HasPrefix(kind, "text/plain") && w.Body.String() != "ok\n" {
			t.Errorf("%s says %q", path, w.Body)
		}
	}
	for _, tt := range []struct {
		path     string
		writable bool
		allow    string
	}{{"/", false, "GET, HEAD"}, {"/", true, "GET, HEAD, POST"}, {"/status.json", true, "GET, HEAD"}} {
		w := httptest.NewRecorder()
		handler(t, nil, statuspage.Options{Public: true, Writable: tt.writable, Outbox: full()}).ServeHTTP(w, httptest.NewRequest(http.MethodPut, tt.path, nil))
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != tt.allow {
			t.Errorf("PUT %s: status %d, Allow %q, want 405 and %q", tt.path, w.Code, w.Header().Get("Allow"), tt.allow)
		}
	}
}

// TestRecentEvents: the newest are shown, however many there are, and each time the newest.
func TestRecentEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &outboxtest.Outbox{Status: fprom.QueueStats{Delivering: true}}
		h := handler(t, nil, statuspage.Options{Public: true, Outbox: o})
		shown := func() string {
			time.Sleep(time.Minute)
			var keys []string
			for _, m := range regexp.MustCompile(`<code>sale:(\d+)</code>`).FindAllStringSubmatch(get(t, h, "/").Body.String(), -1) {
				keys = append(keys, m[1])
			}
			return strings.Join(keys, " ")
		}
		for _, tt := range []struct {
			add  int
			ago  time.Duration
			want string
		}{
			{0, 0, ""},
			{2, 20 * day, "2 1"},
			{1, 20 * day, "3 2 1"},
			{20, 0, "23 22 21 20 19 18 17 16 15 14 13 12 11 10 9"},
			{0, 0, "23 22 21 20 19 18 17 16 15 14 13 12 11 10 9"},
			{1, 0, "24 23 22 21 20 19 18 17 16 15 14 13 12 11 10"},
			{10_000, 0, "10024 10023 10022 10021 10020 10019 10018 10017 10016 10015 10014 10013 10012 10011 10010"},
			{1, 0, "10025 10024 10023 10022 10021 10020 10019 10018 10017 10016 10015 10014 10013 10012 10011"},
		} {
			for range tt.add {
				o.Events = append(o.Events, outboxtest.Event(strconv.Itoa(len(o.Events)+1), fprom.StateDone, fprom.Tracked, tt.ago))
			}
			if got := shown(); got != tt.want {
				t.Errorf("after %d more: %s, want %s", tt.add, got, tt.want)
			}
		}
	})
}

// TestLargeLedger: the page is there in time although the recent events cannot be read in time; the next looks read on.
// file is an Outbox that takes a while to open, as a file does.
type file struct {
	*outboxtest.Outbox
}

func (file) Close() error { return nil }

// TestFileIsFree: however often somebody asks for the page, the file is free most of the time, so that its service can start.
func TestFileIsFree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var held time.Duration
		h := handler(t, nil, statuspage.Options{Public: true, Open: func() (fprom.Outbox, error) {
			const takes = 50 * time.Millisecond
			time.Sleep(takes)
			held += takes
			return file{three()}, nil
		}})
		start := time.Now()
		for range 100 {
			if w := get(t, h, "/?dead=1"); !strings.Contains(w.Body.String(), "sale:b") {
				t.Fatal(w.Body)
			}
		}
		if all := time.Since(start); held == 0 || held > all/4 {
			t.Errorf("the file was open for %v of %v", held, all)
		}
		if w := get(t, h, "/"); !strings.Contains(w.Body.String(), "sale:a") {
			t.Errorf("no dead letters: %s", w.Body)
		}
	})
}

func TestLargeLedger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := full()
		o.Slow = time.Millisecond
		h := handler(t, nil, statuspage.Options{Public: true, Outbox: o})
		begin := time.Now()
		body := get(t, h, "/").Body.String()
		if took := time.Since(begin); took > 5*time.Second || !strings.Contains(body, "so large that they are not read yet") || !strings.Contains(body, "Something needs a look.") {
			t.Errorf("after %v the page is as if it had been read", took)
		}
		for range 2 {
			time.Sleep(time.Minute)
			body = get(t, h, "/").Body.String()
		}
		if newest := o.Events[len(o.Events)-1].Key; strings.Contains(body, "so large that they are not read") || !strings.Contains(body, newest) {
			t.Errorf("after two more looks %s is not there", newest)
		}
	})
}

// TestBacklogOfABulkLoad: what is not read for the picture waits since then too, and has not come just now.
func TestBacklogOfABulkLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // the page reads for some seconds only
		o := &outboxtest.Outbox{Status: fprom.QueueStats{Delivering: true}}
		for i := range 25_000 {
			o.Events = append(o.Events, outboxtest.Event(strconv.Itoa(i), fprom.StateWaiting, fprom.Undelivered, 12*time.Hour))
		}
		body := get(t, handler(t, nil, statuspage.Options{Public: true, Outbox: o}), "/").Body.String()
		// the area is at its top, y = 0, from the middle on
		if !regexp.MustCompile(`L4[5-9]\d,200L\d+,0L`).MatchString(body) {
			t.Errorf("the backlog does not rise once, 12 hours ago: %s", regexp.MustCompile(`d="M0,200[^"]*"`).FindString(body))
		}
	})
}

const day = 24 * time.Hour
