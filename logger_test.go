package fprom_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// A Logger that looks at the Tracker, as one that adds the queue's depth to each line does.
func TestLoggerMayAskForStats(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := &asking{Handler: slog.DiscardHandler}
		d := &down{is: true}
		cfg := config(&fake{answer: d.answer})
		cfg.Logger, cfg.Breaker = slog.New(h), fprom.BreakerConfig{Failures: 1, OpenFor: time.Second}
		tracker := start(t, cfg)
		h.tracker.Store(tracker)
		enqueue(t, tracker, sale("ch_1"))
		time.Sleep(5 * time.Second)
		d.end()
		flush(t, tracker, 2*time.Minute)
		if b := tracker.Stats().Breaker; b != "closed" {
			t.Errorf("the breaker is %s", b)
		}
		if h.lines.Load() < 4 {
			t.Errorf("%d lines, want some of the outage", h.lines.Load())
		}
	})
}

// Without a Logger the lines go where those of the program go. Not parallel: slog.Default is one for all.
func TestDefaultLogger(t *testing.T) {
	before := slog.Default()
	defer slog.SetDefault(before)
	var log buffer
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	cfg := config(always(ok()))
	cfg.Logger = nil
	start(t, cfg)
	if !strings.Contains(log.String(), "reports sales to FirstPromoter") {
		t.Errorf("logged:\n%s", log.String())
	}
}

// Nor does it ask for ever if the queue has no answer.
func TestLoggerMayAskAQueueWithoutStats(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := &asking{Handler: slog.DiscardHandler}
		cfg := config(always(ok()))
		cfg.Logger, cfg.Queue = slog.New(h), &statless{newRecorder()}
		tracker := start(t, cfg)
		h.tracker.Store(tracker)
		enqueue(t, tracker, sale("ch_1"))
		flush(t, tracker, time.Minute)
		if s := tracker.Stats(); s.QueueError == "" || s.Tracked != 1 || h.lines.Load() > 9 {
			t.Errorf("%d lines, %+v", h.lines.Load(), s)
		}
	})
}

type statless struct{ *recorder }

func (statless) Stats(context.Context) (fprom.QueueStats, error) {
	return fprom.QueueStats{}, errors.New("the file is damaged")
}

// asking is a slog.Handler that asks for Stats with every record, and counts them.
type asking struct {
	slog.Handler
	tracker atomic.Pointer[fprom.Tracker]
	lines   atomic.Int32
}

func (h *asking) Enabled(context.Context, slog.Level) bool { return true }

func (h *asking) Handle(context.Context, slog.Record) error {
	h.lines.Add(1)
	if tracker := h.tracker.Load(); tracker != nil && h.lines.Load() < 1000 { // nil in New
		tracker.Stats()
	}
	return nil
}

// A referral that is not known yet is nothing that an operator must mend. It is said once, so that a first sale is not silent, and
// then at debug level.
func TestAskingAgainIsNoWarning(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		cfg := config(always(unknownYet))
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		tracker := start(t, cfg)
		enqueue(t, tracker, referred())
		flush(t, tracker, 2*time.Hour)
		if s := tracker.Stats(); s.Retries != 3 || s.NotReferral != 1 {
			t.Errorf("stats %+v, want three askings again", s)
		}
		if strings.Contains(log.String(), "WARN") || strings.Contains(log.String(), "ERROR") {
			t.Errorf("logged:\n%s", log.String())
		}
		said, repeated := strings.Count(log.String(), `level=INFO msg="fprom: too early`), strings.Count(log.String(), `level=DEBUG msg="fprom: too early`)
		if said != 1 || repeated != 2 {
			t.Errorf("%d lines that a sale is sent again, and %d at debug level; want 1 and 2:\n%s", said, repeated, log.String())
		}
	})
}

// Whoever looks for a sale that did not arrive, finds a repeat at debug level.
func TestRepeatIsLogged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log buffer
		cfg := config(always(ok()))
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("a"))
		flush(t, tracker, time.Minute)
		enqueue(t, tracker, sale("a"))
		_, _ = tracker.Track(t.Context(), sale("a"))
		for _, repeat := range []string{"a repeat", "fprom: delivered\" event=sale:a outcome=duplicate"} {
			if n := strings.Count(log.String(), repeat); n != 1 {
				t.Errorf("%d lines with %q, want 1:\n%s", n, repeat, log.String())
			}
		}
	})
}
