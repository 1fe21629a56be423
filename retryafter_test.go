package fprom_test

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when a bubble begins
	tests := []struct {
		name, value string
		want        time.Duration // 0: as if it were absent
	}{
		{"seconds", "5", 5 * time.Second},
		{"blanks around", " 5 ", 5 * time.Second},
		{"zero", "0", time.Second},
		{"negative", "-5", 0},
		{"fifteen minutes", "900", 15 * time.Minute},
		{"a year", "31536000", 15 * time.Minute},
		{"the largest number", "4294967295", 15 * time.Minute},
		{"centuries", "4294967296", 0},
		{"beyond int64", "99999999999999999999", 0},
		{"beyond int64 below zero", "-99999999999999999999", 0},
		{"date", now.Add(90 * time.Second).Format(http.TimeFormat), 90 * time.Second},
		{"date far away", "Fri, 31 Dec 9999 23:59:59 GMT", 15 * time.Minute},
		{"date in the past", "Wed, 21 Oct 1998 07:28:00 GMT", time.Second},
		{"date of another form", "Sat, 01 Jan 2000 00:01:30 +0000", 0},
		{"word", "soon", 0},
		{"empty", "", 0},
		{"exponent", "1e3", 0},
		{"fraction", "1.5", 0},
		{"two values", "5, 7", 0},
		{"NaN", "NaN", 0},
	}
	for _, test := range tests {
		for _, status := range []int{429, 503} {
			t.Run(http.StatusText(status)+" "+test.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					f := always(reply{status: status, header: header("Retry-After", test.value)})
					tracker := start(t, config(f))
					var err error
					for i := range map[int]int{429: 1, 503: 3}[status] { // three of 503 in a row pause the account
						_, err = tracker.Track(t.Context(), sale(strconv.Itoa(i)))
					}
					want := test.want
					if want == 0 && status == 429 {
						want = time.Minute
					}
					var api *fprom.APIError
					if !errors.As(err, &api) || !near(api.RetryAfter, want) {
						t.Errorf("Track: %v; want RetryAfter %v", err, want)
					}
					until := tracker.Stats().PausedUntil
					if want == 0 && !until.IsZero() {
						t.Errorf("paused until %v", until)
					}
					if want > 0 && !near(time.Until(until), want) {
						t.Errorf("paused for %v, want %v", time.Until(until), want)
					}
				})
			})
		}
	}
}

// A 503 with Retry-After pauses the account as refused events do: where a tenth of the events alone get it, the others go
// out at once. In an outage three calls find out, and then one at a time asks as often as FirstPromoter wants.
func TestEventsThatAreToComeLater(t *testing.T) {
	later := reply{status: 503, header: header("Retry-After", "60"), after: 100 * time.Millisecond}
	t.Run("a tenth", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := poisoned(later)
			tracker := start(t, config(f))
			for i := range 600 {
				id := fmt.Sprint("good", i)
				if i%10 == 0 {
					id = fmt.Sprint("bad", i)
				}
				enqueue(t, tracker, sale(id))
				time.Sleep(time.Second)
			}
			if s := tracker.Stats(); s.Tracked < 539 || s.Rejected != 0 {
				t.Errorf("%d of 540 tracked, %d given up", s.Tracked, s.Rejected)
			}
		})
	})
	t.Run("outage", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := always(later)
			tracker := start(t, config(f))
			for i := range 600 {
				enqueue(t, tracker, sale(strconv.Itoa(i)))
				time.Sleep(time.Second)
			}
			if n := len(f.seen()); n < 3+8 || n > 3+10 {
				t.Errorf("%d calls in ten minutes, want 3 and one a minute", n)
			}
			if s := tracker.Stats(); s.Retries != 2 || s.PausedUntil.IsZero() {
				t.Errorf("%d retries, paused until %v; want 2 before the pause", s.Retries, s.PausedUntil)
			}
		})
	})
}

// near allows for the moment in which the attempt waited for its token.
func near(got, want time.Duration) bool { return (got - want).Abs() < time.Second/2 }

func TestRetryDelay(t *testing.T) {
	t.Parallel()
	network := errors.New("reset")
	for attempt, top := range map[int]time.Duration{
		-1: time.Second, 0: time.Second, 1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 7: time.Minute, math.MaxInt: time.Minute,
	} {
		var low, high int
		for range 2000 {
			d := fprom.RetryDelay(attempt, network)
			if d <= 0 || d > top {
				t.Fatalf("attempt %d: %v is not within 0–%v", attempt, d, top)
			}
			if d < top/10 {
				low++
			}
			if d > top-top/10 {
				high++
			}
		}
		if low < 100 || high < 100 { // 200 each are expected of full jitter
			t.Errorf("attempt %d: %d of 2000 in the lowest tenth and %d in the highest", attempt, low, high)
		}
	}
	for asked, want := range map[time.Duration]time.Duration{
		90 * time.Second: 90 * time.Second, 365 * 24 * time.Hour: 15 * time.Minute, -time.Hour: 0,
	} {
		d := fprom.RetryDelay(1, &fprom.APIError{StatusCode: 429, RetryAfter: asked})
		if d < want || d > max(want, time.Second) {
			t.Errorf("asked for %v: %v", asked, d)
		}
	}
	if d := fprom.RetryDelay(1, nil); d <= 0 || d > time.Second {
		t.Errorf("without an error: %v", d)
	}
}

func TestBackoffOfAnEvent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		failed := reply{status: 500}
		f := script(failed, failed, failed, failed, failed, ok())
		cfg := config(f)
		cfg.Retry = fprom.RetryConfig{Base: 2 * time.Second, Max: 10 * time.Second}
		cfg.Breaker.Failures = 1000
		var seen steps
		cfg.Observer = seen.observe
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("ch_1"))
		flush(t, tracker, time.Hour)
		calls := f.seen()
		if len(calls) != 6 {
			t.Fatalf("%d calls, want 6", len(calls))
		}
		top := 2 * time.Second
		for i, c := range calls[1:] {
			if d := c.at.Sub(calls[i].at); d > top+time.Millisecond {
				t.Errorf("wait %d was %v, want at most %v", i+1, d, top)
			}
			top = min(2*top, 10*time.Second)
		}
		if done := seen.of(fprom.StageDelivered); len(done) != 1 || done[0].Message.Attempt != 6 {
			t.Errorf("delivered: %+v", done)
		}
	})
}
