package fprom_test

import (
	"cmp"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
)

func TestWrongConfigs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		field, name string
		change      func(*fprom.Config)
	}{
		{"Timeout", "negative", func(c *fprom.Config) { c.Timeout = -1 }},
		{"Timeout", "without a unit", func(c *fprom.Config) { c.Timeout = 10 }},
		{"RequestsPerMinute", "negative", func(c *fprom.Config) { c.RequestsPerMinute = -1 }},
		{"RequestsPerMinute", "one", func(c *fprom.Config) { c.RequestsPerMinute, c.Burst = 1, 0 }},
		{"Burst", "negative", func(c *fprom.Config) { c.Burst = -1 }},
		{"Burst", "the whole minute", func(c *fprom.Config) { c.RequestsPerMinute, c.Burst = 60, 60 }},
		{"Workers", "negative", func(c *fprom.Config) { c.Workers = -1 }},
		{"Queue", "a nil pointer, not a nil interface", func(c *fprom.Config) { c.Queue = (*recorder)(nil) }},
		{"Breaker.Failures", "negative", func(c *fprom.Config) { c.Breaker.Failures = -1 }},
		{"Breaker.OpenFor", "negative", func(c *fprom.Config) { c.Breaker.OpenFor = -1 }},
		{"Dedupe.TTL", "negative", func(c *fprom.Config) { c.Dedupe.TTL = -1 }},
		{"Dedupe.MaxEntries", "negative", func(c *fprom.Config) { c.Dedupe.MaxEntries = -1 }},
		{"Retry.Base", "negative", func(c *fprom.Config) { c.Retry.Base = -1 }},
		{"Retry.Max", "negative", func(c *fprom.Config) { c.Retry.Max = -1 }},
		{"Retry.Max", "below Base", func(c *fprom.Config) { c.Retry.Base, c.Retry.Max = time.Minute, time.Second }},
		{"Retry.NotFound", "negative", func(c *fprom.Config) { c.Retry.NotFound = []time.Duration{-1} }},
		{"Retry.NotFound", "out of order", func(c *fprom.Config) { c.Retry.NotFound = []time.Duration{time.Hour, time.Minute} }},
	}
	for _, test := range tests {
		t.Run(test.field+" "+test.name, func(t *testing.T) {
			t.Parallel()
			cfg := config(always(ok()))
			test.change(&cfg)
			checkRefused(t, cfg, test.field)
		})
	}
	for name, value := range map[string]string{
		"line end": "key\n", "CRLF and a header": "abc\r\nX: y", "blank": "a b", "blanks around": " key ", "quotes": `"abc"`, "single quotes": "'abc'",
		"placeholder": "<your-key>", "unexpanded": "${API_KEY}", "template": "{{key}}", "not ASCII": "kéy", "NUL": "a\x00", "DEL": "a\x7f", "byte-order mark": "\ufeffkey",
	} {
		t.Run("credential "+name, func(t *testing.T) {
			t.Parallel()
			cfg := config(always(ok()))
			cfg.APIKey = value
			checkRefused(t, cfg, "APIKey")
			cfg = config(always(ok()))
			cfg.AccountID = value
			checkRefused(t, cfg, "AccountID")
		})
	}
}

// checkRefused checks that New names the field, and does not show a value that may be a secret.
func checkRefused(t *testing.T, cfg fprom.Config, field string) {
	t.Helper()
	tracker, err := fprom.New(cfg)
	var invalid *fprom.ValidationError
	if !errors.As(err, &invalid) || invalid.Field != "Config."+field || invalid.Reason == "" || tracker != nil {
		t.Fatalf("New: %v, want an error of Config.%s", err, field)
	}
	for _, value := range []string{cfg.APIKey, cfg.AccountID} {
		if strings.Contains(err.Error(), value) {
			t.Errorf("the error %q shows %q", err, value)
		}
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"http://api.firstpromoter.com", "https://api.firstpromoter.com/?key=x", "https://api.firstpromoter.com?", "//api.firstpromoter.com",
		"api.firstpromoter.com", "/api", "https://", "https://:443", "https://user:pw@api.firstpromoter.com", "https://user@api.firstpromoter.com",
		"https://api.firstpromoter.com/#x", "ftp://api.firstpromoter.com", "https:api.firstpromoter.com", "https://a b", "https://a\n", "https://[::1",
		"https://a:port", "https://a/track ", "http://127.0.0.1.example.com", "http://localhost.example.com", "http://0.0.0.0", "http://10.0.0.1", "http://[::2]",
		"http://127.1", "http://2130706433", "http://0x7f000001", "javascript:alert(1)", "http://user@localhost", "https://a/%zz",
		"https://api.firstpromoter.com", "https://api.firstpromoter.com/api/v2", "https://api.firstpromoter.com/api/v2/track/sale",
		"https://API.firstpromoter.com/track", "https://firstpromoter.com/api/v1", "https://v2.firstpromoter.com/api/v1/track",
	} {
		cfg := config(always(ok()))
		cfg.BaseURL = bad
		checkRefused(t, cfg, "BaseURL")
	}
	cfg := config(always(ok()))
	cfg.BaseURL = "localhost:8080"
	if _, err := fprom.New(cfg); err == nil || !strings.Contains(err.Error(), "or http:// for a loopback host") {
		t.Errorf("the error does not say that http may do: %v", err)
	}
	for good, want := range map[string]string{
		"https://api.firstpromoter.com/api/v2/track/": "https://api.firstpromoter.com/api/v2/track/sale",
		"https://v2.firstpromoter.com/api/v2/track":   "https://v2.firstpromoter.com/api/v2/track/sale",
		"https://notfirstpromoter.com":                "https://notfirstpromoter.com/sale",
		"https://proxy.example:8443":                  "https://proxy.example:8443/sale",
		"HTTPS://proxy.example//":                     "https://proxy.example/sale",
		"http://127.0.0.1:8080":                       "http://127.0.0.1:8080/sale",
		"http://127.9.9.9":                            "http://127.9.9.9/sale",
		"http://[::1]:80/x":                           "http://[::1]:80/x/sale",
		"http://localhost:1":                          "http://localhost:1/sale",
		"http://LocalHost.":                           "http://LocalHost./sale",
		"http://[::ffff:127.0.0.1]":                   "http://[::ffff:127.0.0.1]/sale",
	} {
		f := always(ok())
		cfg := config(f)
		cfg.BaseURL = good
		tracker := start(t, cfg)
		if _, err := tracker.Track(t.Context(), sale("x")); err != nil || f.seen()[0].url != want {
			t.Errorf("%s: called %v (%v), want %s", good, f.seen(), err, want)
		}
	}
}

// The environment fills in what Config leaves out. Not parallel: it sets it.
func TestEnvironment(t *testing.T) {
	t.Setenv("FIRSTPROMOTER_API_KEY", "env-key")
	t.Setenv("FIRSTPROMOTER_ACCOUNT_ID", "env-account")
	t.Setenv("FIRSTPROMOTER_API_URL", "https://env.example/track")
	f := always(ok())
	cfg := fprom.Config{HTTPClient: &http.Client{Transport: f}, Logger: slog.New(slog.DiscardHandler)}
	synctest.Test(t, func(t *testing.T) {
		if _, err := start(t, cfg).Track(t.Context(), sale("x")); err != nil {
			t.Error(err)
		}
		if _, err := start(t, config(f)).Track(t.Context(), sale("x")); err != nil {
			t.Error(err)
		}
	})
	env, own := f.seen()[0], f.seen()[1]
	if env.url != "https://env.example/track/sale" || env.header.Get("Authorization") != "Bearer env-key" || env.header.Get("Account-Id") != "env-account" {
		t.Errorf("from the environment: %s %v", env.url, env.header)
	}
	if own.header.Get("Authorization") != "Bearer "+apiKey || own.header.Get("Account-Id") != accountID || strings.Contains(own.url, "env") {
		t.Errorf("the environment overrides Config: %s %v", own.url, own.header)
	}

	for _, name := range []string{"FIRSTPROMOTER_API_KEY", "FIRSTPROMOTER_ACCOUNT_ID", "FIRSTPROMOTER_API_URL"} {
		t.Setenv(name, "")
	}
	var invalid *fprom.ValidationError
	if _, err := fprom.New(fprom.Config{}); !errors.Is(err, fprom.ErrNoCredentials) || !errors.As(err, &invalid) || !strings.Contains(invalid.Reason, "FIRSTPROMOTER_API_KEY") {
		t.Errorf("New without a key: %v", err)
	}
	if _, err := fprom.New(fprom.Config{APIKey: "k"}); errors.Is(err, fprom.ErrNoCredentials) || !errors.As(err, &invalid) || !strings.Contains(invalid.Reason, "FIRSTPROMOTER_ACCOUNT_ID") {
		t.Errorf("New without an account: %v", err)
	}
}

// The defaults that Config documents. TestNotFoundIsAskedAgain has those of Retry.NotFound.
func TestDefaults(t *testing.T) {
	plain := func(f *fake) fprom.Config {
		return fprom.Config{APIKey: apiKey, AccountID: accountID, HTTPClient: &http.Client{Transport: f}, Logger: slog.New(slog.DiscardHandler)}
	}
	hanging, failing := reply{hang: true}, reply{status: 500}
	t.Run("Timeout 10 s", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			tracker := start(t, plain(always(hanging)))
			enqueue(t, tracker, sale("a")) // the first call waits for its token for 62 s / 380
			time.Sleep(10100 * time.Millisecond)
			before := tracker.Stats().Retries
			time.Sleep(100 * time.Millisecond)
			if s := tracker.Stats(); before != 0 || s.Retries != 1 {
				t.Errorf("%d time-outs in 10.1 s, %d in 10.2 s", before, s.Retries)
			}
		})
	})
	t.Run("Workers 64", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := always(hanging)
			cfg := plain(f)
			cfg.RequestsPerMinute, cfg.Timeout = 6000, time.Hour
			tracker := start(t, cfg)
			for i := range 100 {
				enqueue(t, tracker, sale(strconv.Itoa(i)))
			}
			time.Sleep(10 * time.Second)
			if n := len(f.seen()); n != 64 {
				t.Errorf("%d deliveries at once, want 64", n)
			}
		})
	})
	for limit, burst := range map[int]int{0: 20, 1000: 20, 60: 3, 10: 1} {
		t.Run("RequestsPerMinute 400, Burst 20 of "+strconv.Itoa(limit), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := always(ok())
				cfg := plain(f)
				cfg.RequestsPerMinute = limit
				tracker := start(t, cfg)
				time.Sleep(time.Minute)
				for i := range 30 {
					enqueue(t, tracker, sale(strconv.Itoa(i)))
				}
				settle()
				if n, s := len(f.seen()), tracker.Stats(); n != burst || s.RequestsPerMinute != cmp.Or(limit, 400) {
					t.Errorf("%d calls at once, %d a minute", n, s.RequestsPerMinute)
				}
			})
		})
	}
	t.Run("Breaker 5, 1 s", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := always(failing)
			cfg := plain(f)
			cfg.RequestsPerMinute = 1_000_000
			tracker := start(t, cfg)
			for i := range 7 {
				if i == 6 {
					time.Sleep(time.Second + 2*time.Millisecond)
				}
				if _, err := tracker.Track(t.Context(), sale(strconv.Itoa(i))); errors.Is(err, fprom.ErrCircuitOpen) != (i == 5) {
					t.Errorf("Track %d: %v", i, err)
				}
			}
		})
	})
	t.Run("Dedupe.TTL 24 h, of many ids", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := always(ok())
			tracker := start(t, plain(f))
			enqueue(t, tracker, sale("a"))
			for i := range 9 {
				enqueue(t, tracker, sale(strconv.Itoa(i)))
			}
			flush(t, tracker, time.Minute)
			for _, calls := range []int{10, 11} {
				time.Sleep(24*time.Hour - time.Minute)
				enqueue(t, tracker, sale("a"))
				flush(t, tracker, time.Minute)
				if n := len(f.seen()); n != calls {
					t.Errorf("%d calls, want %d", n, calls)
				}
			}
		})
	})
	t.Run("Retry.Base 1 s, Max 1 min", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			q := newRecorder()
			cfg := plain(always(failing))
			cfg.Queue = q
			enqueue(t, start(t, cfg), sale("a"))
			time.Sleep(time.Second)
			for attempt, top := range map[int]time.Duration{1: time.Second, 50: time.Minute} {
				var longest time.Duration
				for range 1000 {
					longest = max(longest, fprom.RetryDelay(attempt, q.answers()[0]))
				}
				if longest > top || longest < top*9/10 {
					t.Errorf("attempt %d: waits of up to %v, want %v", attempt, longest, top)
				}
			}
		})
	})
}

// Programs replace http.DefaultTransport with one that traces or records. Not parallel: it does that.
func TestReplacedDefaultTransport(t *testing.T) {
	old := http.DefaultTransport
	defer func() { http.DefaultTransport = old }()
	f := always(ok())
	http.DefaultTransport = f
	for _, client := range []*http.Client{nil, {}} {
		cfg := config(nil)
		cfg.HTTPClient = client
		if r, err := start(t, cfg).Track(t.Context(), sale("x")); r.Outcome != fprom.Tracked {
			t.Errorf("Track: %v, %v", r.Outcome, err)
		}
	}
	if n := len(f.seen()); n != 2 {
		t.Errorf("%d calls, want 2", n)
	}
}

// Durations of centuries mean for ever.
func TestDurationsOfCenturies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const ever = time.Duration(math.MaxInt64)
		cfg := config(script(reply{status: 500}, ok()))
		cfg.Timeout, cfg.Dedupe.TTL = ever, ever
		cfg.Breaker = fprom.BreakerConfig{Failures: 1, OpenFor: ever}
		cfg.Retry = fprom.RetryConfig{Base: ever, Max: ever, NotFound: []time.Duration{ever}}
		tracker := start(t, cfg)
		_, _ = tracker.Track(t.Context(), sale("first"))
		time.Sleep(time.Minute)
		if _, err := tracker.Track(t.Context(), sale("second")); !errors.Is(err, fprom.ErrCircuitOpen) {
			t.Errorf("Track: %v, want ErrCircuitOpen", err)
		}
	})
}
