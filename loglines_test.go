package fprom_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// A line of the log says each thing once: what became of which event, what FirstPromoter answered to which attempt, and what to check.
func TestLinesSayItOnce(t *testing.T) {
	unknownHost := &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "firstpromoter.test", IsNotFound: true}}
	for name, test := range map[string]struct {
		reply reply
		once  string
	}{
		"conflict":   {ok(), "each payment needs an id of its own\" event=refund:a\n"},
		"401":        {reply{status: 401}, "goes on by itself: 401 Unauthorized\" since=0s failures=1\n"},
		"401 page":   {page(401), "401 Unauthorized: https://firstpromoter.test/api/v2/track/refund gave no answer of FirstPromoter's API"},
		"202":        {object(202, `{"message":"queued"}`), "202 Accepted: https://firstpromoter.test/api/v2/track/refund gave no answer of FirstPromoter's API; check Config.BaseURL"},
		"403":        {poisons["403"], `"fprom: this event was refused; it is kept and tried again later" event=refund:a outcome=undelivered status=403 attempt=1 error="FirstPromoter refused the API key`},
		"wrong URL":  {poisons["404 page"], "https://firstpromoter.test/api/v2/track/refund gave no answer of FirstPromoter's API; check Config.BaseURL"},
		"no network": {reply{err: unknownHost}, `error="dial tcp: lookup firstpromoter.test: no such host; check the network`},
		"500":        {reply{status: 500}, `"fprom: delivery fails; the events are kept and tried again" event=refund:a outcome=undelivered status=500 attempt=1 error="500 Internal Server Error"`},
		"429":        {reply{status: 429}, `"fprom: all delivery is paused; queued events are kept" event=refund:a outcome=undelivered status=429 attempt=1 error="429 Too Many Requests"`},
		"cut off":    {reply{status: 200, stream: broken("{")}, "read the answer: unexpected EOF"},
		"302":        {reply{status: 302, stream: broken("moved")}, `error="302 Found`},
		"no HTTP":    {reply{err: errors.New("malformed HTTP response \"token of ann@example.com\"")}, `error="malformed; check the network`},
		"hangs":      {reply{hang: true}, "no answer within 10s (Config.Timeout)"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var log bytes.Buffer
				cfg := config(always(test.reply))
				cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
				tracker := start(t, cfg)
				enqueue(t, tracker, refund("a"))
				if name == "conflict" {
					other := refund("a")
					other.Amount++
					conflicting(t, tracker, other)
				}
				time.Sleep(10 * time.Second)
				settle()
				if lines := log.String(); strings.Count(lines, "\n") != 1 || strings.Count(lines, test.once) != 1 || strings.Count(lines, "fprom: ") != 1 {
					t.Errorf("want one line, and %q once:\n%s", test.once, log.String())
				}
			})
		})
	}
}

// The errors of New name the library once.
func TestErrorOfAClosedQueue(t *testing.T) {
	t.Parallel()
	q := fprom.NewMemoryQueue(0)
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := config(always(ok()))
	cfg.Queue = q
	if _, err := fprom.New(cfg); err == nil || strings.Count(err.Error(), "fprom: ") != 1 || !strings.Contains(err.Error(), "Config.Queue") {
		t.Errorf("New: %v", err)
	}
}

// stopped is a Queue that does not deliver, as an outbox that another process serves.
type stopped struct{ sink }

func (stopped) Run(context.Context, int, func(context.Context, fprom.Message) (fprom.Result, error)) error {
	return errors.New("stopped")
}

// A queue that does not deliver is in the log at once, and later once a minute.
func TestLogOfAQueueThatStops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log buffer
		cfg := config(always(ok()))
		cfg.Queue, cfg.Logger = stopped{}, slog.New(slog.NewTextHandler(&log, nil))
		start(t, cfg)
		settle()
		if n := strings.Count(log.String(), "the queue stopped delivering"); n != 1 {
			t.Errorf("%d lines at once, want 1", n)
		}
		time.Sleep(time.Hour)
		if n := strings.Count(log.String(), "the queue stopped delivering"); n < 60 || n > 70 {
			t.Errorf("%d lines in an hour, want one a minute", n)
		}
	})
}

// What goes wrong with each event has a few lines a minute, and these count all.
func TestLogOfWhatComesOften(t *testing.T) {
	for name, test := range map[string]struct {
		observer func(context.Context, fprom.Step)
		status   int // of every eighth first attempt
		line     string
		count    string
	}{
		"an Observer that panics":  {func(context.Context, fprom.Step) { panic("no") }, 200, "the Observer panicked", " count="},
		"one call of eight fails":  {nil, 500, "fprom: ", " failures="},
		"one of eight is too many": {nil, 429, "fprom: ", " failures="},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var log buffer
				var failed atomic.Int32
				const minutes, sales = 10, 300
				cfg := config(&fake{answer: func(n int, _ call) reply {
					if n%8 == 0 && test.status != 200 {
						failed.Add(1)
						return reply{status: test.status, header: header("Retry-After", "1")}
					}
					return ok()
				}})
				cfg.Observer, cfg.Logger = test.observer, slog.New(slog.NewTextHandler(&log, nil))
				tracker := start(t, cfg)
				for i := range minutes * sales {
					enqueue(t, tracker, sale(strconv.Itoa(i)))
					time.Sleep(time.Minute / sales)
				}
				time.Sleep(2 * time.Minute)
				want := int(failed.Load())
				if test.observer != nil {
					want = int(tracker.Stats().Panics)
				}
				if n := strings.Count(log.String(), test.line); n < minutes || n > 4*minutes+2 {
					t.Errorf("%d lines in %d minutes:\n%s", n, minutes, log.String())
				}
				sum := 0
				for _, m := range regexp.MustCompile(test.count+`(\d+)`).FindAllStringSubmatch(log.String(), -1) {
					n, _ := strconv.Atoi(m[1])
					sum += n
				}
				if sum < want*3/4 || sum > 2*want || want < minutes*sales/10 {
					t.Errorf("the lines count %d of %d", sum, want)
				}
			})
		})
	}
}

// A rejected event is a dead letter only where a durable queue has it: Track's event is in no queue.
func TestLogOfARejectedEvent(t *testing.T) {
	for name, test := range map[string]struct {
		durable, track, kept bool
	}{
		"durable queue":   {durable: true, kept: true},
		"queue in memory": {},
		"Track":           {durable: true, track: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var log bytes.Buffer
				cfg := config(always(object(422, `{"message":"amount is wrong"}`)))
				cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
				if test.durable {
					cfg.Queue = newRecorder()
				}
				tracker := start(t, cfg)
				if test.track {
					_, _ = tracker.Track(t.Context(), sale("a"))
				} else {
					enqueue(t, tracker, sale("a"))
					flush(t, tracker, time.Minute)
				}
				if kept, notKept := strings.Contains(log.String(), `list it with \"fprom dead list`), strings.Contains(log.String(), "not kept"); kept != test.kept || notKept == kept {
					t.Errorf("the log says %q", log.String())
				}
			})
		})
	}
}

// Shutdown says what it waits for. What is due later, or still under way at its deadline, is no error, and with nothing left there is
// nothing to say.
func TestShutdownSaysWhatIsLeft(t *testing.T) {
	for name, test := range map[string]struct {
		left  []fprom.Event
		reply reply
	}{"nothing left": {}, "due later": {[]fprom.Event{referred()}, unknownYet}, "under way": {[]fprom.Event{sale("slow")}, reply{hang: true}}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var log bytes.Buffer
				cfg := config(always(test.reply))
				cfg.Queue, cfg.Logger, cfg.Timeout = newRecorder(), slog.New(slog.NewTextHandler(&log, nil)), time.Minute
				tracker := start(t, cfg)
				enqueue(t, tracker, test.left...)
				settle()
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				if err := tracker.Shutdown(ctx); err != nil {
					t.Error(err)
				}
				if said := strings.Count(log.String(), "shutdown: delivering"); said != len(test.left) || strings.Contains(log.String(), "level=ERROR") {
					t.Errorf("logged:\n%s", log.String())
				}
			})
		})
	}
}

// undrained is a Queue whose Flush fails, and which keeps the context of that.
type undrained struct {
	*recorder
	ctx context.Context //nolint:containedctx // to look at
}

func (q *undrained) Flush(ctx context.Context) error {
	q.ctx = ctx
	return errors.New("connection lost")
}

// A durable queue keeps what could not be delivered: Shutdown says why, and that is no error of it.
func TestShutdownOfAQueueThatCannotBeDrained(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		cfg, q := config(always(ok())), &undrained{recorder: newRecorder()}
		cfg.Queue, cfg.Logger = q, slog.New(slog.NewTextHandler(&log, nil))
		tracker := start(t, cfg)
		if err := tracker.Flush(t.Context()); err == nil || q.ctx.Err() == nil {
			t.Errorf("Flush: %v; its goroutine is left behind: %v", err, q.ctx.Err() == nil)
		}
		if err := tracker.Shutdown(t.Context()); err != nil || !strings.Contains(log.String(), "could not be drained\" error=\"flush: connection lost\"") {
			t.Errorf("Shutdown: %v; logged:\n%s", err, log.String())
		}
	})
}
