package fpromtest_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
)

func TestRateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithAllLeads())
		send := func(n int) (limited int) {
			for range n {
				if post(t, s, "/cancellation", `{"email":"jane@example.com"}`).status == 429 {
					limited++
				}
			}
			return limited
		}
		for _, step := range []struct {
			after         time.Duration
			send, limited int
		}{
			{0, 300, 0},
			{30 * time.Second, 150, 50}, // 400 in the last minute
			{29 * time.Second, 10, 10},
			{time.Second, 310, 10}, // the first 300 have left the window
			{time.Hour, 401, 1},
		} {
			time.Sleep(step.after)
			if limited := send(step.send); limited != step.limited {
				t.Errorf("after %v: %d of %d limited, want %d", step.after, limited, step.send, step.limited)
			}
		}
		req := newRequest(t, s, "/cancellation", `{"email":"jane@example.com"}`)
		req.Header.Del("Authorization")
		if a, err := do(t, s, req); err != nil || a.status != 401 {
			t.Errorf("a refused key over the limit: %d, %v", a.status, err)
		}
	})
}

func TestRateLimitOff(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithRateLimit(0))
	for range fpromtest.DefaultRateLimit + 1 {
		if a := post(t, s, "/sale", janeBuys); a.status != 404 {
			t.Fatalf("status %d without a limit", a.status)
		}
	}
}

func TestMaxInWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fpromtest.NewServer(t, fpromtest.InMemory())
		if n := s.MaxInWindow(time.Minute); n != 0 {
			t.Errorf("%d requests before any", n)
		}
		for _, wait := range []time.Duration{0, 10, 10, 0, 40, 10, 1} { // at 0, 10, 20, 20, 60, 70, 71
			time.Sleep(wait * time.Second)
			post(t, s, "/sale", janeBuys)
		}
		for d, want := range map[time.Duration]int{
			time.Nanosecond: 2, time.Second: 2, 10 * time.Second: 2, 11 * time.Second: 3,
			60 * time.Second: 5, 61 * time.Second: 5, 62 * time.Second: 6, 71 * time.Second: 6, 72 * time.Second: 7,
		} {
			if got := s.MaxInWindow(d); got != want {
				t.Errorf("MaxInWindow(%v) = %d, want %d", d, got, want)
			}
		}
	})
}

// TestTimeInBubble shows that slow and hanging answers take the bubble's time to the nanosecond.
func TestTimeInBubble(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		fault   fpromtest.Fault
		timeout time.Duration
		took    time.Duration
		err     error
	}{
		{"delay", fpromtest.Delay(7 * time.Second), time.Minute, 7 * time.Second, nil},
		{"delay beyond the deadline", fpromtest.Delay(7 * time.Minute), time.Minute, time.Minute, context.DeadlineExceeded},
		{"hang", fpromtest.Hang(), time.Minute, time.Minute, context.DeadlineExceeded},
		{"slow body beyond the deadline", fpromtest.SlowBody(10 * time.Minute), 90 * time.Second, 90 * time.Second, context.DeadlineExceeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithAllLeads())
				s.Inject(tt.fault)
				ctx, cancel := context.WithTimeout(t.Context(), tt.timeout)
				defer cancel()
				start := time.Now()
				_, err := do(t, s, newRequest(t, s, "/sale", janeBuys).WithContext(ctx))
				if took := time.Since(start); !errors.Is(err, tt.err) || took != tt.took {
					t.Errorf("%v after %v, want %v after %v", err, took, tt.err, tt.took)
				}
			})
		})
	}
}

func TestSlowBodyInBubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithAllLeads())
		s.Inject(fpromtest.SlowBody(10 * time.Second))
		start := time.Now()
		resp, err := (&http.Client{Transport: s.Transport()}).Do(newRequest(t, s, "/sale", janeBuys))
		if err != nil {
			t.Fatal(err)
		}
		if header := time.Since(start); header != 0 {
			t.Errorf("the header took %v", header)
		}
		var pieces []time.Duration
		for b := make([]byte, 1<<16); ; {
			if _, err = resp.Body.Read(b); err != nil {
				break
			}
			pieces = append(pieces, time.Since(start))
		}
		if len(pieces) != 10 || !slices.IsSorted(pieces) || pieces[0] != time.Second || pieces[9] != 10*time.Second {
			t.Errorf("pieces at %v, want one a second", pieces)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestFaultForSomeTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithAllLeads())
		s.Inject(fpromtest.Status(503).For(30 * time.Second))
		var got []int
		for range 4 {
			got = append(got, post(t, s, "/cancellation", `{"uid":"u_1"}`).status)
			time.Sleep(15*time.Second - time.Nanosecond)
		}
		if want := []int{503, 503, 503, 200}; !slices.Equal(got, want) {
			t.Errorf("answers every 15 s: %v, want %v", got, want)
		}
	})
}

// TestHangInBubble lets requests hang until they are let go, and until the server closes.
func TestHangInBubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithAllLeads())
		type result struct {
			status int
			err    error
		}
		send := func() chan result {
			c := make(chan result, 1)
			go func() {
				a, err := do(t, s, newRequest(t, s, "/sale", janeBuys))
				c <- result{a.status, err}
			}()
			return c
		}
		s.Inject(fpromtest.Hang().AfterProcessing())
		let := send()
		time.Sleep(time.Hour)
		synctest.Wait()
		if r := s.Requests()[0]; !r.Accepted || r.Status != 0 {
			t.Errorf("while it hangs after processing: %+v", r)
		}
		s.Heal()
		if r := <-let; r.err != nil || r.status != 200 {
			t.Errorf("let go: %+v", r)
		}
		s.Inject(fpromtest.Hang())
		cut := send()
		synctest.Wait()
		s.Close()
		if r := <-cut; !errors.Is(r.err, syscall.ECONNRESET) {
			t.Errorf("cut off: %+v", r)
		}
		if r := <-send(); !errors.Is(r.err, syscall.ECONNREFUSED) {
			t.Errorf("after Close: %+v", r)
		}
	})
}

// TestOutage is the example of the package documentation: an hour's outage that takes no time.
func TestOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithAllLeads())
		fake.Inject(fpromtest.Hang().For(time.Hour))
		cfg := fake.Config()
		cfg.Logger = slog.New(slog.DiscardHandler)
		tracker, err := fprom.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := tracker.Enqueue(t.Context(), fprom.Sale{EventID: "ch_1", Email: "jane@example.com", Amount: 1000}); err != nil {
			t.Fatal(err)
		}
		if err := tracker.Shutdown(t.Context()); err != nil { // delivers what is queued
			t.Fatal(err)
		}
		if n, took := len(fake.Commissions()), time.Since(start); n != 1 || took < time.Hour || took > time.Hour+3*time.Minute {
			t.Errorf("%d commissions after %v, want 1 after little more than an hour", n, took)
		}
	})
}
