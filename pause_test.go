package fprom_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// After a 401 one event at a time asks, after 1, 2, 4 … 60 seconds; nothing else is sent, and nothing is lost.
func TestRefusedKeyIsProbed(t *testing.T) {
	for _, r := range []reply{{status: 401}} {
		t.Run(strconv.Itoa(r.status), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var fixed atomic.Bool
				f := &fake{answer: func(int, call) reply {
					if fixed.Load() {
						return ok()
					}
					return r
				}}
				cfg := config(f)
				cfg.Workers = 1
				var seen steps
				cfg.Observer = seen.observe
				tracker := start(t, cfg)
				for i := range 100 {
					enqueue(t, tracker, sale(strconv.Itoa(i)))
				}
				time.Sleep(10 * time.Minute)
				calls := f.seen()
				want := time.Duration(0)
				for i, c := range calls {
					if i > 0 {
						want = min(max(2*want, time.Second), time.Minute)
						if d := c.at.Sub(calls[i-1].at); d < want || d > want+time.Second {
							t.Errorf("probe %d came after %v, want %v", i, d, want)
						}
					}
				}
				if n := len(calls); n < 14 || n > 16 {
					t.Errorf("%d calls in 10 minutes", n)
				}
				s := tracker.Stats()
				if s.Rejected != 0 || s.Queue.Pending != 100 || s.PausedUntil.IsZero() || s.PauseReason == "" {
					t.Errorf("stats %+v", s)
				}
				fixed.Store(true)
				flush(t, tracker, 2*time.Minute)
				for _, step := range seen.of(fprom.StageDelivered) {
					if step.Message.Attempt != 1 {
						t.Errorf("%s: attempt %d, want 1", step.Message.Key, step.Message.Attempt)
					}
				}
				if s := tracker.Stats(); s.Tracked != 100 || !s.PausedUntil.IsZero() {
					t.Errorf("stats %+v", s)
				}
			})
		})
	}
}

// With many workers the first answers come at once; after that it is one event at a time.
func TestOtherWorkersSendNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(reply{status: 401, after: 100 * time.Millisecond})
		cfg := config(f)
		cfg.Workers = 8
		tracker := start(t, cfg)
		for i := range 100 {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
		}
		time.Sleep(time.Second)
		if n := len(f.seen()); n != 8 {
			t.Errorf("%d calls at first, want one per worker", n)
		}
		time.Sleep(59 * time.Second) // 1, 2, 4, 8, 16 s after the one before
		if n := len(f.seen()) - 8; n != 5 {
			t.Errorf("%d probes in a minute, want 5", n)
		}
		if s := tracker.Stats(); s.Queue.Pending != 100 || s.Rejected != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestThrottledAccountPauses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := script(reply{status: 429, header: header("Retry-After", "30")}, ok())
		tracker := start(t, config(f))
		if _, err := tracker.Track(t.Context(), sale("first")); err == nil {
			t.Error("no error for a 429")
		}
		begin := time.Now()
		enqueue(t, tracker, sale("q1"), sale("q2"), sale("q3"))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r, err := tracker.Track(ctx, sale("impatient"))
		if !errors.Is(err, fprom.ErrPaused) || !errors.Is(err, context.DeadlineExceeded) || r.Outcome != fprom.Undelivered {
			t.Errorf("Track in the pause: %v, %v", r.Outcome, err)
		}
		if r, err := tracker.Track(t.Context(), sale("patient")); r.Outcome != fprom.Tracked || time.Since(begin) < 29*time.Second {
			t.Errorf("Track after %v: %v, %v", time.Since(begin), r.Outcome, err)
		}
		flush(t, tracker, time.Minute)
		for _, c := range f.seen()[1:] {
			if d := c.at.Sub(begin); d < 29*time.Second || d > 31*time.Second {
				t.Errorf("a call %v after the 429, want 30 s", d)
			}
		}
		if s := tracker.Stats(); s.Tracked != 4 || s.Retries != 0 || !s.PausedUntil.IsZero() {
			t.Errorf("stats %+v", s)
		}
	})
}

// A pause that a 429 began is probed once a second, also while fewer events are refused than begin a pause.
func TestRefusedProbesOfAThrottledAccount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := script(reply{status: 429, header: header("Retry-After", "30")}, reply{status: 403}, reply{status: 403}, ok())
		tracker := start(t, config(f))
		_, _ = tracker.Track(t.Context(), sale("first"))
		enqueue(t, tracker, sale("a"), sale("b"), sale("c"))
		flush(t, tracker, 2*time.Minute)
		for i, want := range []time.Duration{30 * time.Second, time.Second, time.Second} {
			if d := f.seen()[i+1].at.Sub(f.seen()[i].at); !near(d, want) {
				t.Errorf("probe %d came after %v, want %v", i+1, d, want)
			}
		}
	})
}

// Answers to calls that were under way when the pause began change nothing about it.
func TestLateAnswers(t *testing.T) {
	tests := map[string]reply{
		"success":        {status: 200, body: okBody},
		"longer pause":   {status: 429, header: header("Retry-After", "600")},
		"refused":        {status: 401},
		"wrong endpoint": {status: 404, body: htmlPage},
		"rejected":       {status: 400, body: `{"message":"x"}`},
		"failed":         {status: 500},
	}
	for name, late := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				late.after = 5 * time.Second
				f := &fake{answer: func(n int, c call) reply {
					switch {
					case c.has("late"):
						return late
					case n == 2:
						return reply{status: 429, header: header("Retry-After", "20"), after: time.Second}
					}
					return ok()
				}}
				var log bytes.Buffer
				cfg := config(f)
				cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
				tracker := start(t, cfg)
				go func() { _, _ = tracker.Track(t.Context(), sale("late")) }()
				settle()
				_, _ = tracker.Track(t.Context(), sale("throttled"))
				begin := time.Now()
				time.Sleep(10 * time.Second) // the late answer is in
				settle()
				if d := tracker.Stats().PausedUntil.Sub(begin); !near(d, 20*time.Second) {
					t.Errorf("the pause lasts %v, want 20 s", d)
				}
				if strings.Contains(log.String(), "works again") {
					t.Errorf("the log says in the pause that delivery works again:\n%s", log.String())
				}
				if r, err := tracker.Track(t.Context(), sale("next")); r.Outcome != fprom.Tracked || !near(time.Since(begin), 20*time.Second) {
					t.Errorf("the next call after %v: %v, %v", time.Since(begin), r.Outcome, err)
				}
				settle()
				if n := strings.Count(log.String(), "works again"); n != 1 {
					t.Errorf("the log says %d times after the pause that delivery works again:\n%s", n, log.String())
				}
			})
		})
	}
}

// A 429 that comes when the pause is over, to a call from before it, lets only its event wait for as long as it says.
func TestThrottledAfterThePause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &fake{}
		f.answer = func(_ int, c call) reply {
			switch {
			case c.has("late") && f.count("late") == 1:
				return reply{status: 429, header: header("Retry-After", "60"), after: 30 * time.Second}
			case c.has("throttled") && f.count("throttled") == 1:
				return reply{status: 429, header: header("Retry-After", "20"), after: time.Second}
			}
			return ok()
		}
		var log buffer
		cfg := config(f)
		cfg.Timeout, cfg.Logger = time.Minute, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("late"), sale("throttled"))
		time.Sleep(40 * time.Second)
		enqueue(t, tracker, sale("next"))
		settle()
		if s := tracker.Stats(); s.Tracked != 2 || !s.PausedUntil.IsZero() || strings.Count(log.String(), "level=DEBUG msg=\"fprom: delivery fails; the events are kept and tried again\" event=sale:late") != 1 {
			t.Errorf("stats %+v; logged:\n%s", s, log.String())
		}
		flush(t, tracker, 2*time.Minute)
		checkTimes(t, asked(f, "late"), []time.Duration{0, 90 * time.Second})
	})
}

// A probe that ends without a verdict, as its caller goes, leaves its place to the next.
func TestCancelledProbeOfAPause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tracker := start(t, config(script(reply{status: 401}, reply{hang: true}, ok())))
		_, _ = tracker.Track(t.Context(), sale("first"))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		go func() { _, _ = tracker.Track(ctx, sale("probe")) }()
		settle()
		time.Sleep(2 * time.Second)
		begin := time.Now()
		if r, err := tracker.Track(t.Context(), sale("next")); r.Outcome != fprom.Tracked || time.Since(begin) > 4*time.Second {
			t.Errorf("after %v: %v, %v", time.Since(begin), r.Outcome, err)
		}
	})
}

// Callers of Track who do not wait for the answers to their probes leave some to the queue, also to an event that failed before.
func TestProbesOfImpatientCallers(t *testing.T) {
	for name, more := range map[string][]fprom.Event{"only an event that was refused": nil, "a new event, too": {sale("new")}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				tracker := start(t, config(script(reply{status: 401}, reply{status: 200, body: okBody, after: time.Second})))
				enqueue(t, tracker, sale("refused"))
				settle()
				enqueue(t, tracker, more...)
				for i := range 100 {
					go func() {
						ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
						defer cancel()
						_, _ = tracker.Track(ctx, sale(strconv.Itoa(i)))
					}()
					time.Sleep(100 * time.Millisecond)
				}
				if s := tracker.Stats(); s.Queue.Pending > 0 {
					t.Errorf("after 10 s the queue still waits: %+v", s)
				}
			})
		})
	}
}

// After a recovery the next refusal starts from the first interval again.
func TestProbingStartsOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		refused := reply{status: 401}
		f := script(refused, refused, refused, ok(), refused, ok())
		tracker := start(t, config(f))
		for i := range 2 {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
			flush(t, tracker, time.Minute)
		}
		calls := f.seen()
		if d := calls[5].at.Sub(calls[4].at); d > 2*time.Second {
			t.Errorf("the probe after the recovery came after %v", d)
		}
	})
}

// The first 401 is followed by a probe after a second, also if other refusals came before.
func TestUnauthorizedAfterOtherRefusals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &fake{answer: func(n int, _ call) reply {
			if n <= 10 {
				return reply{status: 403}
			}
			return reply{status: 401}
		}}
		cfg := config(f)
		cfg.Workers = 1 // no other call is under way when a refusal is noted
		tracker := start(t, cfg)
		for i := range 20 {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
		}
		time.Sleep(time.Minute)
		calls := f.seen()
		if len(calls) < 13 {
			t.Fatalf("%d calls in a minute", len(calls))
		}
		for i, want := range []time.Duration{time.Second, 2 * time.Second} {
			if d := calls[11+i].at.Sub(calls[10+i].at); d != want {
				t.Errorf("%v from a 401 to the next probe, want %v", d, want)
			}
		}
	})
}

// A caller that is gone before it starts takes no probe with it.
func TestCallerGoneBeforeTheProbe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tracker := start(t, config(script(reply{status: 401}, ok())))
		_, _ = tracker.Track(t.Context(), sale("first"))
		time.Sleep(2 * time.Second)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := tracker.Track(gone, sale("gone")); !errors.Is(err, context.Canceled) {
			t.Errorf("Track: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if r, err := tracker.Track(ctx, sale("next")); r.Outcome != fprom.Tracked {
			t.Errorf("the next probe: %v, %v", r.Outcome, err)
		}
	})
}

// Who waits for the rate limit when a pause begins waits for its end as well.
func TestPauseWhileWaitingForTheLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := script(reply{status: 429, header: header("Retry-After", "120")}, ok())
		cfg := config(f)
		cfg.Workers, cfg.RequestsPerMinute, cfg.Burst = 8, 60, 1
		tracker := start(t, cfg)
		for i := range 8 {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
		}
		time.Sleep(2 * time.Minute)
		if n := len(f.seen()); n != 1 {
			t.Errorf("%d calls in the pause, want none after the first", n-1)
		}
		flush(t, tracker, time.Minute)
	})
}

// Three different events that are refused in a row pause the account. Then others probe, one a second and later one a
// minute; nothing is given up, and a good answer ends the pause.
func TestRefusedEventsPauseTheAccount(t *testing.T) {
	for _, r := range []reply{{status: 403}, {status: 404, body: htmlPage}, {status: 302}, {status: 410, body: `{"message":"gone"}`}} {
		t.Run(strconv.Itoa(r.status), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var fixed atomic.Bool
				f := &fake{answer: func(int, call) reply {
					if fixed.Load() {
						return ok()
					}
					return r
				}}
				cfg := config(f)
				cfg.Workers = 1
				var seen steps
				cfg.Observer = seen.observe
				tracker := start(t, cfg)
				for i := range 1000 {
					enqueue(t, tracker, sale(strconv.Itoa(i)))
				}
				time.Sleep(10*time.Second - time.Millisecond)
				if n := len(f.seen()); n != 3+9 {
					t.Errorf("%d calls in 10 seconds, want 3 and one a second", n)
				}
				time.Sleep(time.Hour)
				if n := len(f.seen()); n < 300 || n > 350 {
					t.Errorf("%d calls in an hour, want 250 a second apart and the others a minute apart", n)
				}
				if s := tracker.Stats(); s.Rejected != 0 || s.Queue.Pending != 1000 || s.PausedUntil.IsZero() || s.PauseReason == "" {
					t.Errorf("stats %+v", s)
				}
				fixed.Store(true)
				flush(t, tracker, time.Hour)
				if s := tracker.Stats(); s.Tracked != 1000 || !s.PausedUntil.IsZero() {
					t.Errorf("stats %+v", s)
				}
				spent := 0
				for _, step := range seen.of(fprom.StageDelivered) {
					spent += step.Message.Attempt - 1
				}
				if spent != 2 {
					t.Errorf("%d attempts were spent, want those of the two events that were refused before the pause", spent)
				}
			})
		})
	}
}

// Few calls are made with a refused key also where every event failed before, so that three of them in a row say nothing.
func TestRefusedAfterAnOutage(t *testing.T) {
	refused := map[string]reply{
		"refused": {status: 403, body: `{"message":"no"}`},
		"busy":    {status: 503, header: header("Retry-After", "60")},
	}
	for name, r := range refused {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				begin := time.Now()
				f := &fake{answer: func(int, call) reply {
					if time.Since(begin) < time.Hour {
						return reply{status: 500}
					}
					return r
				}}
				cfg := config(f)
				cfg.RequestsPerMinute, cfg.Burst = 400, 20
				tracker := start(t, cfg)
				for i := range 300 {
					enqueue(t, tracker, sale(strconv.Itoa(i)))
				}
				time.Sleep(time.Hour)
				before := len(f.seen())
				time.Sleep(time.Minute)
				if n := len(f.seen()) - before; n > 50+60 {
					t.Errorf("%d calls in the first minute, want 50 and one a second", n)
				}
				time.Sleep(time.Hour)
				before = len(f.seen())
				time.Sleep(time.Hour)
				if n := len(f.seen()) - before; n > 61 || n < 50 {
					t.Errorf("%d calls in the second hour, want one a minute", n)
				}
			})
		})
	}
}

// Sales whose referral was not known at first say as much about the account as new ones.
func TestRefusedAfterNoReferral(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tracker := start(t, config(script(reply{status: 204}, reply{status: 204}, reply{status: 204}, reply{status: 403})))
		enqueue(t, tracker, sale("a"), sale("b"), sale("c"))
		time.Sleep(time.Minute)
		if s := tracker.Stats(); s.PausedUntil.IsZero() || s.Queue.Pending != 3 {
			t.Errorf("stats %+v", s)
		}
	})
}

// Two refused events pause nobody.
func TestTwoRefusedEventsPauseNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &fake{answer: func(_ int, c call) reply {
			if c.kind == fprom.KindRefund {
				return reply{status: 403}
			}
			return ok()
		}}
		tracker := start(t, config(f))
		enqueue(t, tracker, refund("r1"), refund("r2"), sale("s1"), sale("s2"))
		settle()
		if s := tracker.Stats(); s.Tracked != 2 || s.Retries != 2 || !s.PausedUntil.IsZero() {
			t.Errorf("stats %+v", s)
		}
	})
}

// One event that is refused again and again is one event, whoever sends it: it pauses nobody.
func TestOneRefusedEventPausesNobody(t *testing.T) {
	for name, queued := range map[string]bool{"Track": false, "Track beside the queue": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := always(reply{status: 403, body: `{"message":"no"}`})
				tracker := start(t, config(f))
				if queued {
					enqueue(t, tracker, sale("refused"))
					settle()
				}
				for range 5 {
					_, _ = tracker.Track(t.Context(), sale("refused"))
				}
				if s := tracker.Stats(); s.Attempts < 5 || !s.PausedUntil.IsZero() {
					t.Errorf("stats %+v", s)
				}
				_, _ = tracker.Track(t.Context(), sale("second"))
				if s := tracker.Stats(); !s.PausedUntil.IsZero() {
					t.Errorf("paused after two events: %+v", s)
				}
				_, _ = tracker.Track(t.Context(), sale("third"))
				if s := tracker.Stats(); s.PausedUntil.IsZero() {
					t.Error("not paused after three events")
				}
			})
		})
	}
}

// sharedLine is a queue whose shared limit lets three attempts pass.
type sharedLine struct {
	fprom.Queue
	admitted, left atomic.Int32
}

func (s *sharedLine) Admit(ctx context.Context, _ int) error {
	if s.admitted.Add(1) <= 3 {
		return nil
	}
	<-ctx.Done()
	s.left.Add(1)
	return ctx.Err()
}

func (*sharedLine) Pause(context.Context, time.Duration, error) error { return nil }

// Who waits for the limit when the account is paused leaves the line: a probe must not stand behind it.
func TestPauseEmptiesTheLine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := &sharedLine{Queue: fprom.NewMemoryQueue(0)}
		cfg := config(always(reply{status: 403, body: `{"message":"no"}`, after: 50 * time.Millisecond}))
		cfg.Queue, cfg.Workers = q, 5
		tracker := start(t, cfg)
		for i := range 5 {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
		}
		time.Sleep(500 * time.Millisecond)
		if n := q.left.Load(); n != 2 {
			t.Errorf("%d of the two that waited for the limit left the line when the account was paused", n)
		}
	})
}

// elsewhere is a queue whose events have failed in another process.
type elsewhere struct{ fprom.Queue }

func (e elsewhere) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	return e.Queue.Run(ctx, workers, func(ctx context.Context, m fprom.Message) (fprom.Result, error) {
		if !strings.HasPrefix(m.Key, "sale:good") {
			m.Attempt++
		}
		return deliver(ctx, m)
	})
}

// One failure in another process and two in this one do not prove that an event fails alone.
func TestFailedElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &fake{answer: func(_ int, c call) reply {
			if c.has("fails") {
				return reply{status: 500, after: time.Second}
			}
			return ok()
		}}
		cfg := config(f)
		cfg.Queue = elsewhere{fprom.NewMemoryQueue(0)}
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("fails"))
		for i := range 60 {
			enqueue(t, tracker, sale("good"+strconv.Itoa(i)))
			time.Sleep(time.Second)
		}
		if n := f.count("fails"); n < 3 {
			t.Errorf("%d attempts in a minute", n)
		}
	})
}

// Events that were refused in another process say nothing new in this one: they do not pause it.
func TestRefusedElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(reply{status: 403, body: `{"message":"no"}`})
		cfg := config(f)
		cfg.Queue = elsewhere{fprom.NewMemoryQueue(0)}
		tracker := start(t, cfg)
		for i := range 5 {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
		}
		time.Sleep(10 * time.Second)
		if s := tracker.Stats(); !s.PausedUntil.IsZero() || len(f.seen()) < 5 {
			t.Errorf("%d calls, paused until %v", len(f.seen()), s.PausedUntil)
		}
	})
}

// A probe is an event that was not refused before, in another process or before a restart either.
func TestProbesAmongRefusedElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &fake{answer: func(n int, c call) reply {
			if n > 1 && c.has("good2") {
				return ok()
			}
			return reply{status: 401}
		}}
		cfg := config(f)
		cfg.Queue = elsewhere{fprom.NewMemoryQueue(0)}
		tracker := start(t, cfg)
		for _, id := range []string{"good1", "good2", "1", "2", "3"} {
			enqueue(t, tracker, sale(id))
			settle()
		}
		time.Sleep(1500 * time.Millisecond)
		if calls := f.seen(); len(calls) < 2 || !calls[1].has("good2") {
			t.Errorf("%d calls, and the first probe is not the new event", len(calls))
		}
	})
}

// A pause changes whose turn it is while all wait for the rate limit. One of them must probe when it ends.
func TestAPauseWhileOthersWaitForTheLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := script(reply{status: 429, header: header("Retry-After", "10"), after: time.Second}, ok())
		cfg := config(f)
		cfg.RequestsPerMinute, cfg.Burst = 4, 1
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("a"), sale("b"), sale("c"), sale("d"))
		flush(t, tracker, 3*time.Minute)
	})
}
