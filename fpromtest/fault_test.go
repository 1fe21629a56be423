package fpromtest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fprom-go/fprom/fpromtest"
)

const janeBuys = `{"email":"jane@example.com","event_id":"1","amount":100}`

// outcome is what a client sees of a fault, and what the server did.
type outcome struct {
	status    int
	err       error // that the client's error wraps; io.EOF stands for any
	bodyHas   string
	processed bool
	answered  int // Request.Status
}

func TestFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault fpromtest.Fault
		want  outcome
	}{
		{"status 500", fpromtest.Status(500), outcome{500, nil, "<!DOCTYPE html>", false, 500}},
		{"status 500 after processing", fpromtest.Status(500).AfterProcessing(), outcome{500, nil, "<!DOCTYPE html>", true, 500}},
		{"status 503", fpromtest.Status(503).RetryAfter("7"), outcome{503, nil, "", false, 503}},
		{"status 429", fpromtest.Status(429), outcome{429, nil, "", false, 429}},
		{"status 401", fpromtest.Status(401), outcome{401, nil, "", false, 401}},
		{"status 403", fpromtest.Status(403), outcome{403, nil, `{"message":`, false, 403}},
		{"status 400", fpromtest.Status(400), outcome{400, nil, amount, false, 400}},
		{"status 404", fpromtest.Status(404), outcome{404, nil, `"code":"not_found"`, false, 404}},
		{"status 409", fpromtest.Status(409), outcome{409, nil, "The 'sale' event with the id '1' already exists.", false, 409}},
		{"status 204", fpromtest.Status(204), outcome{204, nil, "", false, 204}},
		{"status 200", fpromtest.Status(200), outcome{200, nil, "{}", false, 200}},
		{"html 404", fpromtest.NotFoundPage(), outcome{404, nil, "<!DOCTYPE html>", false, 404}},
		{"garbage", fpromtest.Garbage(), outcome{200, nil, "<html>", false, 200}},
		{"redirect 307", fpromtest.Redirect(307), outcome{307, nil, "", false, 307}},
		{"reset", fpromtest.Reset(), outcome{0, syscall.ECONNRESET, "", false, 0}},
		{"reset after processing", fpromtest.Reset().AfterProcessing(), outcome{0, syscall.ECONNRESET, "", true, 0}},
		{"truncated body", fpromtest.TruncatedBody(), outcome{0, io.ErrUnexpectedEOF, "", true, 200}},
		{"slow body", fpromtest.SlowBody(50 * time.Millisecond), outcome{200, nil, `"etype":"sale"`, true, 200}},
		{"delay 50ms", fpromtest.Delay(50 * time.Millisecond), outcome{200, nil, `"etype":"sale"`, true, 200}},
		{"huge body", fpromtest.HugeBody(1 << 20), outcome{200, nil, "xxxxxxxxxx\"}", false, 200}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for mode, opts := range map[string][]fpromtest.Option{"socket": nil, "memory": {fpromtest.InMemory()}} {
				s := fpromtest.NewServer(t, opts...)
				s.AddLead("jane@example.com")
				in := s.Inject(tt.fault.Times(1))
				a, err := do(t, s, newRequest(t, s, "/sale", janeBuys))
				if !errors.Is(err, tt.want.err) || err == nil && (a.status != tt.want.status || !strings.Contains(a.body, tt.want.bodyHas)) {
					t.Errorf("%s: %d %.200q, %v; want %+v", mode, a.status, a.body, err, tt.want)
				}
				r := s.Requests()[0]
				if r.Accepted != tt.want.processed || r.Status != tt.want.answered || r.Fault != tt.name || in.Hits() != 1 {
					t.Errorf("%s: journal has accepted %v, status %d, fault %q; %d hits; want %+v", mode, r.Accepted, r.Status, r.Fault, in.Hits(), tt.want)
				}
				want := http.StatusOK
				if tt.want.processed {
					want = http.StatusConflict
				}
				if again := post(t, s, "/sale", janeBuys); again.status != want {
					t.Errorf("%s: sent again: %d, want %d", mode, again.status, want)
				}
				if n := len(s.Commissions()); n != 1 {
					t.Errorf("%s: %d commissions, want 1", mode, n)
				}
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t)
	for _, value := range []string{"30", "-1", "99999999999999999999", "soon", "Wed, 21 Oct 2065 07:28:00 GMT"} {
		s.Inject(fpromtest.Status(429).RetryAfter(value).Times(1))
		if a := post(t, s, "/sale", janeBuys); a.status != 429 || a.header.Get("Retry-After") != value || a.body != "" {
			t.Errorf("%d, Retry-After %q, want 429 and %q", a.status, a.header.Get("Retry-After"), value)
		}
	}
}

func TestRedirectTrap(t *testing.T) {
	t.Parallel()
	for mode, opts := range map[string][]fpromtest.Option{"socket": nil, "memory": {fpromtest.InMemory()}} {
		s := fpromtest.NewServer(t, opts...)
		s.Inject(fpromtest.Redirect(302).Times(1))
		tr := &http.Transport{}
		defer tr.CloseIdleConnections()
		c := &http.Client{Transport: tr}
		if mode == "memory" {
			c.Transport = s.Transport()
		}
		resp, err := c.Do(newRequest(t, s, "/sale", janeBuys))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		got := s.Trapped()
		if resp.StatusCode != http.StatusOK || len(got) != 1 || got[0].Method != http.MethodGet || got[0].Header.Get("Account-ID") != s.AccountID {
			t.Errorf("%s: a client that follows redirects: %d, trapped %+v", mode, resp.StatusCode, got)
		}
		if n := s.Count("", ""); n != 1 {
			t.Errorf("%s: the trap's visitors are in the journal: %d requests", mode, n)
		}
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithAllLeads(), fpromtest.WithRateLimit(0))
	sale := func(id string) int {
		return post(t, s, "/sale", `{"email":"jane@example.com","event_id":"`+id+`","amount":100}`).status
	}
	s.Inject(
		fpromtest.Status(501).OnEvent("a").Times(2),
		fpromtest.Status(502).OnEvent("a").Times(1),
		fpromtest.Status(503).OnKind("refund"),
		fpromtest.Status(504).OnKind("signup").OnEvent("jane@example.com"),
	)
	for i, tt := range []struct{ got, want int }{
		{sale("b"), 200},
		{sale("a"), 501},
		{sale("a"), 501},
		{sale("a"), 502},
		{sale("a"), 200},
		{post(t, s, "/refund", `{"email":"jane@example.com","event_id":"a","amount":"100"}`).status, 503},
		{post(t, s, "/signup", `{"email":"Jane@Example.com","ref_id":"ada"}`).status, 504},
		{post(t, s, "/signup", `{"email":"joe@example.com","ref_id":"ada"}`).status, 200},
	} {
		if tt.got != tt.want {
			t.Errorf("request %d: %d, want %d", i, tt.got, tt.want)
		}
	}
	s.Heal()
	if got := post(t, s, "/refund", `{"email":"jane@example.com","event_id":"a","amount":"100"}`).status; got != 200 {
		t.Errorf("after Heal: %d", got)
	}
	in := s.Inject(fpromtest.Status(500))
	in.Remove()
	in.Remove()
	if got := sale("c"); got != 200 {
		t.Errorf("after Remove: %d", got)
	}
	if s.Inject() != nil {
		t.Error("Inject of nothing returned an Injection")
	}
}

func TestChance(t *testing.T) {
	t.Parallel()
	failures := func(seed uint64, p float64) string {
		s := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithAllLeads(), fpromtest.WithRateLimit(0), fpromtest.WithSeed(seed))
		s.Inject(fpromtest.Status(500).Chance(p))
		var b strings.Builder
		for range 200 {
			if post(t, s, "/sale", janeBuys).status == 500 {
				b.WriteByte('x')
			} else {
				b.WriteByte('.')
			}
		}
		return b.String()
	}
	a := failures(1, 0.3)
	if a != failures(1, 0.3) {
		t.Error("the same seed gave other failures")
	}
	if a == failures(2, 0.3) {
		t.Error("another seed gave the same failures")
	}
	if n := strings.Count(a, "x"); n < 40 || n > 80 { // 60 ± 3 standard deviations of 6.5
		t.Errorf("%d of 200 failed with a chance of 0.3", n)
	}
	if failures(1, 0) != strings.Repeat(".", 200) || failures(1, 1) != strings.Repeat("x", 200) {
		t.Error("a chance of 0 or 1 is no certainty")
	}
}

// TestHangOverSocket shows that a hanging request ends with its client, with the fault, and with the server.
func TestHangOverSocket(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t, fpromtest.WithAllLeads())
	type result struct {
		status int
		err    error
	}
	arrived := 0
	send := func(ctx context.Context) <-chan result { // returns when the request hangs
		c := make(chan result, 1)
		go func() {
			a, err := do(t, s, newRequest(t, s, "/sale", janeBuys).WithContext(ctx))
			c <- result{a.status, err}
		}()
		arrived++
		wait(t, s, func(s *fpromtest.Server) bool { return s.Count("sale", "1") == arrived })
		return c
	}
	s.Inject(fpromtest.Hang().Times(1))
	ctx, cancel := context.WithCancel(t.Context())
	gone := send(ctx)
	cancel()
	if r := <-gone; !errors.Is(r.err, context.Canceled) {
		t.Errorf("a hanging request whose client goes: %v", r.err)
	}
	hang := s.Inject(fpromtest.Hang())
	let := send(t.Context())
	hang.Remove()
	if r := <-let; r.err != nil || r.status != 200 {
		t.Errorf("a request that was let go: %+v", r)
	}
	if rs := s.Requests(); rs[0].Status != 0 || rs[0].Accepted || rs[1].Status != 200 || !rs[1].Accepted {
		t.Errorf("journal: %+v", rs)
	}
	s.Inject(fpromtest.Hang())
	cut := send(t.Context())
	s.Close()
	if r := <-cut; !errors.Is(r.err, syscall.ECONNRESET) {
		t.Errorf("a hanging request when the server closes: %v", r.err)
	}
}

func wait(t *testing.T, s *fpromtest.Server, cond func(*fpromtest.Server) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Wait(ctx, cond); err != nil {
		t.Fatal(err)
	}
}
