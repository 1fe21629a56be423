package firstpromoter_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom/firstpromoter"
)

// hook is a webhook's body.
func hook(id, event string, commission int, at string) string {
	return fmt.Sprintf(`{"event_id":%q,"event_type":%q,"action":"updated","entity_type":"commission","entity_id":%d,"changes":{"status":["pending","approved"]},`+
		`"data":{"id":%d,"status":"pending","amount":980,"unit":"cash","referral":{"id":9,"email":"ann@example.com","uid":null},"created_at":"2026-03-10T12:00:00Z"},"timestamp":%q}`, id, event, commission, commission, at)
}

func deliver(t *testing.T, h http.Handler, body string, change ...func(*http.Request)) int {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/fp", strings.NewReader(body))
	r.Header.Set("X-Fprom-Secret", "s3cret")
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

func receiver(t *testing.T, o firstpromoter.WebhookOptions) http.Handler {
	t.Helper()
	if o.Header == "" && o.User == "" {
		o.Header, o.Value = "X-Fprom-Secret", "s3cret"
	}
	h, err := firstpromoter.WebhookHandler(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestWebhooksAreRefusedWithoutTheSecret(t *testing.T) {
	t.Parallel()
	body := hook("w1", "commission.created", 7, "2026-03-10T12:00:00Z")
	sign := func(secret string) func(*http.Request) {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(body))
		return func(r *http.Request) { r.Header.Set("X-Webhook-Signature", hex.EncodeToString(mac.Sum(nil))) }
	}
	signed := firstpromoter.WebhookOptions{SigningSecrets: []string{"new", "old"}}
	demanded := signed
	demanded.RequireSignature = true
	basic := firstpromoter.WebhookOptions{User: "fp", Password: "pw"}
	both := firstpromoter.WebhookOptions{Header: "X-Fprom-Secret", Value: "s3cret", User: "fp", Password: "pw"}
	for _, c := range []struct {
		name   string
		o      firstpromoter.WebhookOptions
		change func(*http.Request)
		want   int
	}{
		{"right header", firstpromoter.WebhookOptions{}, nil, 200},
		{"no header", firstpromoter.WebhookOptions{}, func(r *http.Request) { r.Header.Del("X-Fprom-Secret") }, 401},
		{"wrong header", firstpromoter.WebhookOptions{}, func(r *http.Request) { r.Header.Set("X-Fprom-Secret", "s3cre") }, 401},
		{"right Basic Auth", basic, func(r *http.Request) { r.SetBasicAuth("fp", "pw") }, 200},
		{"wrong Basic Auth", basic, func(r *http.Request) { r.SetBasicAuth("fp", "wp") }, 401},
		{"wrong user", basic, func(r *http.Request) { r.SetBasicAuth("pf", "pw") }, 401},
		{"no Basic Auth", basic, nil, 401},
		{"Basic Auth beside the header", firstpromoter.WebhookOptions{}, func(r *http.Request) { r.SetBasicAuth("fp", "pw") }, 200},
		{"both demanded, only the header", both, nil, 401},
		{"both demanded, only Basic Auth", both, func(r *http.Request) { r.SetBasicAuth("fp", "pw"); r.Header.Del("X-Fprom-Secret") }, 401},
		{"both demanded, both there", both, func(r *http.Request) { r.SetBasicAuth("fp", "pw") }, 200},
		{"a signature, and no secret for it", firstpromoter.WebhookOptions{}, sign("any"), 200},
		{"no signature, none demanded", signed, nil, 200},
		{"no signature, but demanded", demanded, nil, 401},
		{"right signature", demanded, sign("new"), 200},
		{"signature by the old secret", demanded, sign("old"), 200},
		{"wrong signature", signed, sign("other"), 401},
		{"GET", firstpromoter.WebhookOptions{}, func(r *http.Request) { r.Method = http.MethodGet }, 405},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			c.o.On = func(context.Context, firstpromoter.Webhook) error { calls++; return nil }
			c.o.Logger = slog.New(slog.DiscardHandler)
			change := c.change
			if change == nil {
				change = func(*http.Request) {}
			}
			if got := deliver(t, receiver(t, c.o), body, change); got != c.want || (calls == 1) != (c.want == 200) {
				t.Errorf("%d, %d calls", got, calls)
			}
		})
	}
	for _, o := range []firstpromoter.WebhookOptions{{}, {Header: "X"}, {User: "u"}, {SigningSecrets: []string{"s"}}, {Header: "X", Value: "v", RequireSignature: true}, {Header: "X", Value: "v", SigningSecrets: []string{"s", ""}}} {
		if _, err := firstpromoter.WebhookHandler(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// Anyone can send webhooks without the secret: one line a minute and reason counts them all.
func TestRefusedWebhooksAreLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		h := receiver(t, firstpromoter.WebhookOptions{SigningSecrets: []string{"s"}, RequireSignature: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for range 100 {
			deliver(t, h, "{}")
			deliver(t, h, "{}", func(r *http.Request) { r.Header.Del("X-Fprom-Secret") })
			deliver(t, h, "{}", func(r *http.Request) { r.Method = http.MethodGet })
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		for text, n := range map[string]int{"level=WARN": 6, "provider=firstpromoter": 6, "reason=secret": 2, "reason=signature": 2, "reason=method": 2, "count=1\n": 3, "count=99\n": 3} {
			if got := strings.Count(log.String(), text); got != n {
				t.Errorf("logged %q %d times, want %d:\n%s", text, got, n, log.String())
			}
		}
	})
}

func TestWebhookIsTakenOnce(t *testing.T) {
	t.Parallel()
	var got []firstpromoter.Webhook
	fail := true
	var log bytes.Buffer
	h := receiver(t, firstpromoter.WebhookOptions{Logger: slog.New(slog.NewTextHandler(&log, nil)), On: func(_ context.Context, w firstpromoter.Webhook) error {
		if fail {
			return errors.New("later")
		}
		got = append(got, w)
		return nil
	}})
	body := hook("w1", "commission.denied", 7, "2026-03-10T12:00:00Z")
	if code := deliver(t, h, body); code != 500 {
		t.Errorf("a failed one: %d", code)
	}
	fail = false
	for range 3 {
		if code := deliver(t, h, body); code != 200 {
			t.Error(code)
		}
	}
	for _, b := range []string{hook("w2", "promoter.something_new", 1, ""), `{"event_id":"w3","event_type":"commission.created","data":{"test":true}}`} {
		if code := deliver(t, h, b); code != 200 {
			t.Error(code)
		}
	}
	for _, b := range []string{"", "x", "[]", "null", "{}", `{"event_type":5`} {
		if code := deliver(t, h, b); code != 400 {
			t.Errorf("%q: %d", b, code)
		}
	}
	if code := deliver(t, h, strings.Repeat(" ", 2<<20)); code != 413 {
		t.Errorf("2 MiB: %d", code)
	}
	for range 2 { // the header has the id, and the commission its own
		deliver(t, h, `{"event_type":"commission.approved","data":{"id":12}}`, func(r *http.Request) { r.Header.Set("X-Event-Id", "w9") })
	}
	// Fields of another form are left out.
	deliver(t, h, `{"event_id":"w10","event_type":"commission.denied","entity_id":13,"changes":[],"data":[]}`)
	deliver(t, h, `{"event_id":"w11","event_type":"commission.denied","entity_id":14,"changes":{"status":[]}}`)
	if code := deliver(t, h, body); code != 200 {
		t.Errorf("the first one, after others: %d", code)
	}
	if len(got) != 5 || got[1].Type != "promoter.something_new" || got[1].Commission.ID != 0 || got[2].ID != "w9" || got[2].EntityID != 12 || got[2].Commission.ID != 12 {
		t.Fatalf("%+v", got)
	}
	if w := got[0]; w.ID != "w1" || w.EntityID != 7 || w.Was != "pending" || w.At.IsZero() ||
		w.Commission.ID != 7 || w.Commission.Status != firstpromoter.StatusDenied || w.Commission.Amount != 980 || w.Commission.Email != "ann@example.com" {
		t.Errorf("%+v", w)
	}
	for i, id := range map[int]int64{3: 13, 4: 14} {
		if w := got[i]; w.EntityID != id || w.Commission.ID != id || w.Commission.Status != firstpromoter.StatusDenied || w.Was != "" {
			t.Errorf("%+v", w)
		}
	}
	if s := log.String(); strings.Contains(s, "@") || !strings.Contains(s, "was not handled") || !strings.Contains(s, "no JSON object of the documented form") {
		t.Error(s)
	}
}

// Without a file the last 10,000 webhooks are remembered, and not all for ever.
func TestRememberedWebhooks(t *testing.T) {
	t.Parallel()
	calls := map[string]int{}
	h := receiver(t, firstpromoter.WebhookOptions{On: func(_ context.Context, w firstpromoter.Webhook) error { calls[w.ID]++; return nil }})
	for _, c := range []struct{ upTo, calls int }{{1, 1}, {10_000, 1}, {20_002, 2}} {
		for i := len(calls); i < c.upTo; i++ {
			deliver(t, h, hook(strconv.Itoa(i), "payout.created", 1, ""))
		}
		if code := deliver(t, h, hook("0", "payout.created", 1, "")); code != 200 || calls["0"] != c.calls {
			t.Errorf("the first of %d came again: %d; handled %d times, want %d", c.upTo, code, calls["0"], c.calls)
		}
	}
}

// A webhook that comes again while it is handled is not handled twice. It gets no success either, since the first one may fail yet, with
// an error or a panic: then FirstPromoter must send it again.
func TestConcurrentDeliveriesOfOneWebhook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		h := receiver(t, firstpromoter.WebhookOptions{On: func(context.Context, firstpromoter.Webhook) error {
			n++
			time.Sleep(time.Minute)
			switch n {
			case 1:
				return errors.New("later")
			case 2:
				panic("a mistake of the service")
			}
			return nil
		}})
		body := hook("w1", "commission.created", 7, "")
		for i, want := range []int{500, 0, 200} {
			first := 0 // after a panic
			var both sync.WaitGroup
			both.Go(func() {
				defer func() { _ = recover() }() // as net/http does
				first = deliver(t, h, body)
			})
			synctest.Wait()
			for range 2 {
				if code := deliver(t, h, body); code != 503 {
					t.Errorf("a repeat while call %d is under way: %d", i+1, code)
				}
			}
			both.Wait()
			if first != want || n != i+1 {
				t.Errorf("call %d: %d, want %d; handled %d times", i+1, first, want, n)
			}
		}
		if code := deliver(t, h, body); code != 200 || n != 3 {
			t.Errorf("a repeat after the success: %d; handled %d times", code, n)
		}
	})
}

// What webhooks said survives a restart, a torn last line, and any order.
func TestChanges(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "changes.jsonl")
	open := func() *firstpromoter.Changes {
		t.Helper()
		c, err := firstpromoter.OpenChanges(path)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := open()
	calls := 0
	on := func(context.Context, firstpromoter.Webhook) error { calls++; return nil }
	h := receiver(t, firstpromoter.WebhookOptions{Changes: c, On: on})
	for _, body := range []string{
		hook("w1", "commission.created", 7, "2026-03-10T12:00:00Z"),
		hook("w3", "commission.denied", 7, "2026-03-10T14:00:00Z"),
		hook("w2", "commission.approved", 7, "2026-03-10T13:00:00Z"), // late
		hook("w4", "commission.deleted", 8, "2026-03-10T12:00:00Z"),
		hook("w5", "commission.updated", 8, "2026-03-10T15:00:00Z"),
		hook("w6", "referral.created", 9, "2026-03-10T15:00:00Z"),
		hook("w8", "commission.denied", 10, "2020-01-01T12:00:00Z"),
		hook("w9", "commission.approved", 10, ""),                                  // it came just now
		`{"event_type":"commission.denied"}`, `{"event_type":"commission.denied"}`, // two, since neither has an id
	} {
		if code := deliver(t, h, body); code != 200 {
			t.Fatal(code)
		}
	}
	check := func(c *firstpromoter.Changes) {
		t.Helper()
		for id, want := range map[int64]string{7: firstpromoter.StatusDenied, 8: firstpromoter.StatusDeleted, 9: "", 10: firstpromoter.StatusApproved, 0: ""} {
			if got := c.Status(id); got != want {
				t.Errorf("commission %d: %q, want %q", id, got, want)
			}
		}
	}
	check(c)
	for range 2 {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	check(c)
	if code := deliver(t, h, hook("w7", "commission.approved", 7, "2026-03-10T16:00:00Z")); code != 500 {
		t.Errorf("after Close: %d", code)
	}
	f, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
	fmt.Fprint(f, `{"webhook":"w7","commission":7,"sta`+strings.Repeat("x", 500)) // the process was killed
	f.Close()
	read, err := firstpromoter.ReadChanges(path)
	if err != nil {
		t.Fatal(err)
	}
	check(read)
	if err := read.Add(firstpromoter.Webhook{Type: "commission.denied"}); err == nil || !strings.Contains(err.Error(), "for reading") || read.Close() != nil {
		t.Errorf("an Add to what was only read: %v", err)
	}
	c = open()
	defer c.Close()
	check(c)
	h = receiver(t, firstpromoter.WebhookOptions{Changes: c, On: on})
	deliver(t, h, hook("w3", "commission.denied", 7, "2026-03-10T14:00:00Z"))
	deliver(t, h, hook("w7", "commission.approved", 7, "2026-03-10T16:00:00Z"))
	if c.Status(7) != firstpromoter.StatusApproved || calls != 12 {
		t.Errorf("%q after %d calls", c.Status(7), calls)
	}
	if read, err = firstpromoter.ReadChanges(path); err != nil || read.Status(7) != firstpromoter.StatusApproved {
		t.Errorf("what came behind the torn line: %q %v", read.Status(7), err)
	}
	b, _ := os.ReadFile(path)
	if n := strings.Count(string(b), "\n"); n != 10 || !strings.HasSuffix(string(b), "\n") || strings.Contains(string(b), "@") {
		t.Errorf("%d lines: %s", n, b)
	}
	none := filepath.Join(path+".none", "changes.jsonl")
	_, openErr := firstpromoter.OpenChanges(none)
	if _, err := firstpromoter.ReadChanges(none); !errors.Is(err, fs.ErrNotExist) || !errors.Is(openErr, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v, %v", err, openErr)
	}
	if _, err := firstpromoter.ReadChanges(t.TempDir()); err == nil {
		t.Error("a folder is read")
	}
}

// A path that was mistyped must not cost the file that is there.
func TestChangesLeavesOtherFilesAlone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"event_id,amount\nch_1,100\nch_2,", "one line, and no end", `{"type":"commission.denied"}` + "\n"} {
		path := filepath.Join(t.TempDir(), "sales.csv")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, openErr := firstpromoter.OpenChanges(path)
		_, readErr := firstpromoter.ReadChanges(path)
		if b, _ := os.ReadFile(path); openErr == nil || readErr == nil || string(b) != text {
			t.Errorf("%q: %v, %v, now %q", text, openErr, readErr, b)
		}
	}
}

func FuzzWebhook(f *testing.F) {
	f.Add([]byte(hook("w1", "commission.created", 7, "2026-03-10T12:00:00Z")))
	f.Add([]byte(`{"event_type":"commission.x","data":[],"changes":{"status":[null,1]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := firstpromoter.WebhookHandler(firstpromoter.WebhookOptions{Header: "X-Fprom-Secret", Value: "s3cret", Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if code := deliver(t, h, string(body)); code != 200 && code != 400 && code != 413 {
			t.Errorf("%d", code)
		}
	})
}
