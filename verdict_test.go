package fprom_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

func (v verdict) sent() fprom.Event {
	if v.event != nil {
		return v.event
	}
	return evt1
}

func TestVerdictOfTrack(t *testing.T) {
	t.Parallel()
	for _, v := range verdicts() {
		t.Run(v.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := always(v.reply)
				var seen steps
				cfg := config(f)
				cfg.Observer = seen.observe
				tracker := start(t, cfg)
				r, err := tracker.Track(t.Context(), v.sent())
				if r.Outcome != v.outcome || r.StatusCode != v.reply.status {
					t.Errorf("outcome %q, status %d; want %q, %d", r.Outcome, r.StatusCode, v.outcome, v.reply.status)
				}
				if (err == nil) != (v.queue == "done") {
					t.Errorf("error %v", err)
				}
				if v.is != nil && !errors.Is(err, v.is) {
					t.Errorf("error %v is not %v", err, v.is)
				}
				v.checkError(t, err)
				if n := len(f.seen()); n != 1 {
					t.Errorf("%d calls, want 1", n)
				}
				stage := map[string]fprom.Stage{"done": fprom.StageDelivered, "dead": fprom.StageDead, "held": fprom.StagePaused}[v.queue]
				quiet := v.queue == "again" || v.alone
				if all := seen.sofar(); quiet && len(all) > 0 || !quiet && (len(all) != 1 || all[0].Stage != stage) {
					t.Errorf("steps %+v, want one of stage %q", all, stage)
				}
				for _, step := range seen.sofar() {
					if step.Message.Attempt != 1 {
						t.Errorf("the step has attempt %d", step.Message.Attempt)
					}
				}
				if s := tracker.Stats(); s.Attempts != 1 || s.Retries != 0 {
					t.Errorf("stats %+v", s)
				}
			})
		})
	}
}

// checkError looks at what an error of an answer carries.
func (v verdict) checkError(t *testing.T, err error) {
	t.Helper()
	var api *fprom.APIError
	switch {
	case err == nil:
		return
	case !strings.HasPrefix(err.Error(), "fprom: "):
		t.Errorf("error %q", err)
	case v.reply.err != nil && !errors.Is(err, v.reply.err):
		t.Errorf("error %v hides its cause", err)
	case v.reply.err == nil && !v.reply.hang && v.reply.stream == nil && !errors.As(err, &api):
		t.Errorf("error %v has no *APIError", err)
	}
	if api == nil {
		return
	}
	wait := v.pause
	if v.is != nil {
		wait = 0
	}
	if api.StatusCode != v.reply.status || api.RetryAfter != wait {
		t.Errorf("APIError %+v; want status %d, RetryAfter %v", api, v.reply.status, wait)
	}
	if got, want := fprom.IsPermanent(err), v.queue == "dead"; got != want {
		t.Errorf("IsPermanent: %v", got)
	}
}

func TestVerdictOnTheBreaker(t *testing.T) {
	t.Parallel()
	for _, v := range verdicts() {
		t.Run(v.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cfg := config(script(reply{status: 500}, v.reply, reply{status: 500}))
				cfg.Breaker.Failures = 2
				tracker := start(t, cfg)
				_, _ = tracker.Track(t.Context(), sale("before"))
				_, _ = tracker.Track(t.Context(), v.sent())
				got := "failure"
				if tracker.Stats().Breaker == "closed" {
					_, _ = tracker.Track(t.Context(), sale("after")) // a success between two failures resets their count
					got = map[string]string{"open": "neither", "closed": "success"}[tracker.Stats().Breaker]
				}
				if got != v.breaker {
					t.Errorf("to the breaker it is %s, want %s", got, v.breaker)
				}
			})
		})
	}
}

func TestVerdictOnTheQueue(t *testing.T) {
	t.Parallel()
	for _, v := range verdicts() {
		t.Run(v.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				q := newRecorder()
				var seen steps
				cfg := config(script(v.reply, ok()))
				cfg.Queue, cfg.Observer, cfg.Retry.NotFound = q, seen.observe, []time.Duration{}
				tracker := start(t, cfg)
				enqueue(t, tracker, v.sent())
				time.Sleep(10*time.Second + time.Millisecond) // a time-out takes that long
				if until := tracker.Stats().PausedUntil; v.pause > 10*time.Second && time.Until(until) < v.pause-11*time.Second {
					t.Errorf("paused until %v from now, want %v", time.Until(until), v.pause)
				}
				flush(t, tracker, time.Hour)
				v.checkQueue(t, q.answers(), &seen)
			})
		})
	}
}

func (v verdict) checkAnswer(t *testing.T, err error) {
	t.Helper()
	got := "again"
	switch {
	case err == nil:
		got = "done"
	case fprom.IsPermanent(err):
		got = "dead"
	case fprom.IsHeld(err):
		got = "held"
	}
	if got != v.queue {
		t.Errorf("the queue is told %s (%v), want %s", got, err, v.queue)
	}
}

func (v verdict) checkQueue(t *testing.T, answers []error, seen *steps) {
	t.Helper()
	v.checkAnswer(t, answers[0])
	stage := map[string]fprom.Stage{"done": fprom.StageDelivered, "dead": fprom.StageDead, "again": fprom.StageRetry, "held": fprom.StagePaused}[v.queue]
	if v.alone {
		stage = fprom.StageRetry
	}
	if len(seen.of(stage)) != 1 {
		t.Errorf("%d steps of stage %s, want 1", len(seen.of(stage)), stage)
	}
	last := map[string]int{"done": 1, "again": 2, "held": 1}[v.queue]
	if delivered := seen.of(fprom.StageDelivered); v.queue == "dead" {
		if len(delivered) != 0 {
			t.Error("a dead letter was delivered")
		}
	} else if len(delivered) != 1 || delivered[0].Message.Attempt != last {
		t.Errorf("delivered %+v, want attempt %d", delivered, last)
	}
}
