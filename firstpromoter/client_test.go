package firstpromoter_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/fpromtest"
)

// newClient is a client of a fake in memory, so that a bubble's clock rules both.
func newClient(t *testing.T, s *fpromtest.Server, change ...func(*firstpromoter.Config)) *firstpromoter.Client {
	t.Helper()
	cfg := firstpromoter.Config{BaseURL: s.URL, APIKey: s.APIKey, AccountID: s.AccountID, HTTPClient: s.Config().HTTPClient}
	for _, c := range change {
		c(&cfg)
	}
	c, err := firstpromoter.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCompanyURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, want string
		v1       bool
	}{
		{in: fprom.DefaultBaseURL, want: "https://api.firstpromoter.com/api/v2/company"},
		{in: "https://v2.firstpromoter.com/api/v2/track/", want: "https://v2.firstpromoter.com/api/v2/company"},
		{in: "https://api.firstpromoter.com/api/v2/company", want: "https://api.firstpromoter.com/api/v2/company"},
		{in: "http://127.0.0.1:8812/api/v2/track", want: "http://127.0.0.1:8812/api/v2/company"},
		{in: "https://firstpromoter.com/api/v1/track", v1: true},
		{in: "http://localhost:1/api/v1/track/sale", v1: true},
		{in: "https://www.firstpromoter.com/api/v2/track", v1: true},
		{in: "http://api.firstpromoter.com/api/v2/track"},
		{in: "https://user:pass@api.firstpromoter.com/api/v2/track"},
		{in: "https://api.firstpromoter.com/"},
		{in: "api.firstpromoter.com"},
		{in: "https://api.firstpromoter.com/api/v2/track?x=1"},
		{in: "https://api.firstpromoter.com/api/v2/track?"},
		{in: "https://api.firstpromoter.com/api/v2/track#x"},
		{in: "https://api.firstpromoter.com/api/v2 /track"},
		{in: "https://api.firstpromoter.com/api/v2\n/track"},
		{in: "https://api.firstpromoter.com/api/v2\x7f/track"},
		{in: "https:///api/v2/track"},
		{in: "ftp://api.firstpromoter.com/api/v2/track"},
	} {
		got, err := firstpromoter.CompanyURL(c.in)
		if got != c.want || (err == nil) != (c.want != "") || errors.Is(err, firstpromoter.ErrV1) != c.v1 {
			t.Errorf("%s: %q, %v", c.in, got, err)
		}
	}
}

func TestErrorsCanBeToldApart(t *testing.T) {
	t.Parallel()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.Split(fpromtest.NewServer(t).URL, "/")[2])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	nobody := "http://" + conn.LocalAddr().String() + "/api/v2/track" // while it is in use, nobody else listens there
	for _, c := range []struct {
		name   string
		fault  *fpromtest.Fault
		change func(*firstpromoter.Config)
		want   error
		api    int
	}{
		{name: "key", change: func(c *firstpromoter.Config) { c.APIKey = "other" }, want: fprom.ErrUnauthorized, api: 401},
		{name: "account", change: func(c *firstpromoter.Config) { c.AccountID = "other" }, want: fprom.ErrUnauthorized, api: 403},
		{name: "closed port", change: func(c *firstpromoter.Config) { c.BaseURL, c.HTTPClient = nobody, nil }, want: firstpromoter.ErrUnreachable},
		{name: "time-out", fault: new(fpromtest.Hang()), change: func(c *firstpromoter.Config) { c.Timeout = 10 * time.Millisecond }, want: firstpromoter.ErrUnreachable},
		{name: "HTML 404", fault: new(fpromtest.NotFoundPage()), want: firstpromoter.ErrNotFirstPromoter},
		{name: "portal", fault: new(fpromtest.Garbage()), want: firstpromoter.ErrNotFirstPromoter},
		{name: "redirect", fault: new(fpromtest.Redirect(302)), want: firstpromoter.ErrNotFirstPromoter},
		{name: "redirect with JSON", change: func(c *firstpromoter.Config) {
			c.HTTPClient = &http.Client{Transport: answering(func(*http.Request) (int, string) { return 302, `{"message":"moved"}` })}
		}, want: firstpromoter.ErrNotFirstPromoter},
		{name: "more than 16 MiB", fault: new(fpromtest.HugeBody(16 << 20)), want: firstpromoter.ErrUnreachable},
		{name: "no record", fault: new(fpromtest.Status(404)), want: firstpromoter.ErrNotFound, api: 404},
		{name: "500", fault: new(fpromtest.Status(500)), api: 500},
		{name: "400", fault: new(fpromtest.Status(400)), api: 400},
		{name: "422", fault: new(fpromtest.Status(422)), api: 422},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := fpromtest.NewServer(t, fpromtest.InMemory())
			if c.fault != nil {
				s.Inject(*c.fault)
			}
			client := newClient(t, s, func(cfg *firstpromoter.Config) {
				cfg.Attempts = 1
				if c.change != nil {
					c.change(cfg)
				}
			})
			_, err := client.Campaigns(t.Context())
			for _, known := range []error{fprom.ErrUnauthorized, firstpromoter.ErrUnreachable, firstpromoter.ErrNotFirstPromoter, firstpromoter.ErrNotFound} {
				if errors.Is(err, known) != (known == c.want) { //nolint:errorlint // the table's own value
					t.Errorf("%v, want %v", err, c.want)
				}
			}
			status := 0
			if a, ok := errors.AsType[*fprom.APIError](err); ok {
				status = a.StatusCode
			}
			if status != c.api {
				t.Errorf("status %d, want %d: %v", status, c.api, err)
			}
			if len(s.Trapped()) > 0 {
				t.Error("a redirect was followed")
			}
		})
	}
}

func TestNoSecretIsQuoted(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t, fpromtest.InMemory())
	client := newClient(t, s, func(c *firstpromoter.Config) {
		c.Attempts = 1
		c.HTTPClient = &http.Client{Transport: answering(func(r *http.Request) (int, string) {
			return 500, `{"message":"failed for ann@example.com with ` + s.APIKey + `","promoter":{"auth_token":"` + fpromtest.PromoterSecret + `"}}`
		})}
	})
	_, err := client.Referral(t.Context(), "email", "bob@example.com")
	text := fmt.Sprintf("%v %+v %+v", err, client, firstpromoter.Config{APIKey: s.APIKey, AccountID: s.AccountID})
	for _, secret := range []string{"ann@", "bob", s.APIKey, fpromtest.PromoterSecret} {
		if err == nil || strings.Contains(text, secret) {
			t.Errorf("%q in %q", secret, text)
		}
	}
	for _, said := range []string{"firstpromoter.Client(http", "APIKey:[redacted] AccountID:" + s.AccountID} {
		if !strings.Contains(text, said) {
			t.Errorf("no %q in %q", said, text)
		}
	}
	if text := fmt.Sprint(firstpromoter.Config{}); !strings.Contains(text, "APIKey: ") {
		t.Errorf("a Config without a key: %s", text)
	}
}

func Test429IsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		retryAfter string
		want       time.Duration
	}{
		{"none", "", time.Minute}, {"seconds", "7", 7 * time.Second}, {"date", "Sat, 01 Jan 2000 00:00:40 GMT", 40 * time.Second}, // a bubble begins at midnight
		{"nonsense", "soon", time.Minute}, {"years", "99999999", 15 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := fpromtest.NewServer(t, fpromtest.InMemory())
				for i := range 150 {
					s.AddPastSale(fpromtest.PastSale{EventID: fmt.Sprint("s", i), Email: "ann@example.com", Amount: 100})
				}
				fault := fpromtest.Status(429).OnKind("company").Times(1)
				if c.retryAfter != "" {
					fault = fault.RetryAfter(c.retryAfter)
				}
				start, n := time.Now(), 0
				for _, err := range newClient(t, s).Commissions(t.Context(), firstpromoter.CommissionQuery{}) {
					if err != nil {
						t.Fatal(err)
					}
					if n++; n == 100 {
						s.Inject(fault) // in the middle
					}
				}
				if took := time.Since(start); n != 150 || took < c.want || took > c.want+5*time.Second {
					t.Errorf("%d rows after %v, want 150 after %v", n, took, c.want)
				}
			})
		})
	}
}

// What may pass is tried again, later and later, and only so often. A 429 is waited for: it is no attempt.
func TestRetries(t *testing.T) {
	t.Parallel()
	status := fpromtest.Status
	for name, c := range map[string]struct {
		faults []fpromtest.Fault
		calls  int
		took   time.Duration
		says   string        // empty: it works in the end
		asked  time.Duration // what the error says of Retry-After
	}{
		"500":                          {[]fpromtest.Fault{status(500)}, 4, 7 * time.Second, "500", 0},
		"500, twice":                   {[]fpromtest.Fault{status(500).Times(2)}, 3, 3 * time.Second, "", 0},
		"408":                          {[]fpromtest.Fault{status(408)}, 4, 7 * time.Second, "408", 0},
		"425":                          {[]fpromtest.Fault{status(425)}, 4, 7 * time.Second, "425", 0},
		"503 with Retry-After":         {[]fpromtest.Fault{status(503).RetryAfter("30")}, 4, 90 * time.Second, "503", 30 * time.Second},
		"503":                          {[]fpromtest.Fault{status(503)}, 4, 7 * time.Second, "503", 0},
		"500 with Retry-After":         {[]fpromtest.Fault{status(500).RetryAfter("30")}, 4, 7 * time.Second, "500", 0},
		"400":                          {[]fpromtest.Fault{status(400)}, 1, 0, "400", 0},
		"no answer in time":            {[]fpromtest.Fault{fpromtest.Hang()}, 4, 27 * time.Second, "no answer within 5s", 0},
		"no connection":                {[]fpromtest.Fault{fpromtest.Reset()}, 4, 7 * time.Second, "reset", 0},
		"a body that breaks off":       {[]fpromtest.Fault{fpromtest.TruncatedBody().Times(1)}, 2, time.Second, "", 0},
		"429, ten times":               {[]fpromtest.Fault{status(429).Times(10)}, 11, 10 * time.Minute, "", 0},
		"429, for ever":                {[]fpromtest.Fault{status(429)}, 11, 10 * time.Minute, "limit of calls", time.Minute},
		"429 with Retry-After 0":       {[]fpromtest.Fault{status(429).RetryAfter("0").Times(3)}, 4, 3 * time.Second, "", 0},
		"broken, then 429 at the last": {[]fpromtest.Fault{status(500).Times(3), status(429).Times(1)}, 5, 67 * time.Second, "", 0},
		"429 five times, then broken":  {[]fpromtest.Fault{status(429).Times(5), status(500)}, 9, 5*time.Minute + 7*time.Second, "500", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := fpromtest.NewServer(t, fpromtest.InMemory())
				s.Inject(c.faults...)
				client := newClient(t, s, func(cfg *firstpromoter.Config) { cfg.Rate, cfg.Timeout = 400, 5*time.Second })
				start := time.Now()
				_, err := client.Campaigns(t.Context())
				if took := time.Since(start); took < c.took || took > c.took+time.Second || client.Calls() != c.calls {
					t.Errorf("%d calls in %v, want %d in %v", client.Calls(), took, c.calls, c.took)
				}
				if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v, want %q", err, c.says)
				}
				if a, ok := errors.AsType[*fprom.APIError](err); ok && a.RetryAfter != c.asked {
					t.Errorf("RetryAfter is %v, want %v", a.RetryAfter, c.asked)
				}
			})
		})
	}
}

func TestARateIsKept(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{1, 7, 60, 400} {
		t.Run(strconv.Itoa(rate), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithRateLimit(0))
				client := newClient(t, s, func(c *firstpromoter.Config) { c.Rate = rate })
				start := time.Now()
				for range 3 * rate {
					if _, err := client.Campaigns(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if n := s.MaxInWindow(time.Minute); n > rate {
					t.Errorf("%d calls in a minute, want at most %d", n, rate)
				}
				if took := time.Since(start); took > 4*time.Minute {
					t.Errorf("%d calls took %v", 3*rate, took)
				}
			})
		})
	}
}

func TestContextEndsWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fpromtest.NewServer(t, fpromtest.InMemory())
		s.Inject(fpromtest.Status(429).RetryAfter("600"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := newClient(t, s).Campaigns(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		client := newClient(t, s, func(c *firstpromoter.Config) { c.Attempts = 1 })
		for range 20 {
			if _, err := client.Campaigns(ctx); !errors.Is(err, context.DeadlineExceeded) || client.Calls() > 0 {
				t.Fatalf("a context that has ended: %v, %d calls", err, client.Calls())
			}
		}
		s.Heal()
		s.Inject(fpromtest.Hang())
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		client = newClient(t, s, func(c *firstpromoter.Config) { c.Attempts = 1 })
		if _, err := client.Campaigns(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, firstpromoter.ErrUnreachable) {
			t.Errorf("it ends during the last attempt: %v", err)
		}
	})
}

// Admit is asked before each call, and Observer told after it. Without Admit there is no call.
func TestAdmitAndObserver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fpromtest.NewServer(t, fpromtest.InMemory())
		s.Inject(fpromtest.Status(503).RetryAfter("30").Times(1))
		full := errors.New("the shared limit is used up")
		admitted := 0
		var calls []firstpromoter.Call
		client := newClient(t, s, func(c *firstpromoter.Config) {
			c.Admit = func(context.Context) error {
				if admitted++; admitted == 3 {
					return full
				}
				return nil
			}
			c.Observer = func(call firstpromoter.Call) { calls = append(calls, call) }
		})
		if _, err := client.Campaigns(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := client.Campaigns(t.Context())
		if want := []firstpromoter.Call{{Status: 503, Wait: 30 * time.Second}, {Status: 200}}; !errors.Is(err, full) || !slices.Equal(calls, want) || client.Calls() != 2 {
			t.Errorf("%v; %+v, %d calls", err, calls, client.Calls())
		}
	})
}

// answering is a transport with one answer for all.
type answering func(*http.Request) (status int, body string)

func (f answering) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := f(r)
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: stringBody(body), Request: r}, nil
}
