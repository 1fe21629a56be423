package fprom_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// An outage is in the log with a line at its start, one a minute and one at its end.
func TestLogOfAnOutage(t *testing.T) {
	for name, r := range map[string]reply{"failing": {status: 500}, "refused": {status: 401}, "throttled": {status: 429}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d := time.Now().Add(10 * time.Minute)
				var log bytes.Buffer
				cfg := config(&fake{answer: func(int, call) reply {
					if time.Now().Before(d) {
						return r
					}
					return ok()
				}})
				cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
				tracker := start(t, cfg)
				for i := range 100 {
					enqueue(t, tracker, sale(strconv.Itoa(i)))
				}
				flush(t, tracker, time.Hour)
				lines := strings.Split(strings.TrimSpace(log.String()), "\n")
				loud, since := 0, true
				for _, l := range lines {
					if strings.Contains(l, "level=WARN") || strings.Contains(l, "level=ERROR") {
						loud++
						since = since && strings.Contains(l, " since=") && strings.Contains(l, " failures=")
					}
				}
				if loud < 9 || loud > 12 || !since || strings.Count(log.String(), "works again\" after=10m") != 1 || !strings.Contains(log.String(), " waiting=") {
					t.Errorf("%d loud lines in ten minutes of outage:\n%s", loud, log.String())
				}
			})
		})
	}
}

// An outage that begins within a minute of the last one is in the log at once, too.
func TestLogOfTheNextOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		failed := reply{status: 500}
		cfg := config(script(failed, ok(), failed, ok()))
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		tracker := start(t, cfg)
		for _, id := range []string{"a", "b"} {
			enqueue(t, tracker, sale(id))
			flush(t, tracker, 10*time.Second)
		}
		if began, ended := strings.Count(log.String(), "delivery fails"), strings.Count(log.String(), "failures=1 waiting"); began != 2 || ended != 2 {
			t.Errorf("two outages of one failure began %d and ended %d times:\n%s", began, ended, log.String())
		}
	})
}

// At debug level the breaker has a line when it opens, and one when it closes.
func TestLogOfTheBreaker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		cfg := config(script(reply{status: 500}, reply{status: 500}, reply{status: 500}, reply{status: 500}, ok()))
		cfg.Breaker.Failures = 2
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("a"), sale("b"))
		flush(t, tracker, time.Hour)
		if opened, closed := strings.Count(log.String(), "breaker is open"), strings.Count(log.String(), "breaker is closed"); opened != 1 || closed != 1 {
			t.Errorf("it opened %d and closed %d times:\n%s", opened, closed, log.String())
		}
	})
}

// Events that fail while others are delivered are no outage: each is in the log when that begins, and not with each attempt.
func TestLogOfBadEvents(t *testing.T) {
	for name, test := range map[string]struct {
		bad   reply
		text  string // of a warning for each event
		again int    // lines that delivery works again, for each event at most
		loud  int    // warnings for each event at most
	}{
		"refused": {poisons["403"], "this event was refused; it is kept", 0, 1},
		"failing": {poisons["500"], "this event fails while others are delivered; it is kept", 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var log bytes.Buffer
				cfg := config(&fake{answer: func(_ int, c call) reply {
					if c.kind == "refund" {
						return test.bad
					}
					return ok()
				}})
				cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
				tracker := start(t, cfg)
				const refunds = 20
				for i := range 20 * refunds {
					enqueue(t, tracker, sale(strconv.Itoa(i)))
					if i%20 == 0 {
						enqueue(t, tracker, refund(strconv.Itoa(i)))
					}
					time.Sleep(10 * time.Second)
				}
				settle() // an attempt may be due, and logged, at this instant
				loud, again := strings.Count(log.String(), "level=WARN"), strings.Count(log.String(), "works again")
				if n := strings.Count(log.String(), test.text); n != refunds {
					t.Errorf("%d bad events: the log says %d times that %s", refunds, n, test.text)
				}
				if loud < refunds || loud > test.loud*refunds || again > test.again*refunds || strings.Contains(log.String(), "level=ERROR") {
					t.Errorf("%d bad events: %d warnings, and %d times that delivery works again:\n%s", refunds, loud, again, log.String())
				}
			})
		})
	}
}

// The first lines of a process say what runs, and that it works.
func TestLogOfTheFirstEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		cfg := config(&fake{answer: func(_ int, c call) reply {
			if c.has("stranger") {
				return object(404, notFound)
			}
			return ok()
		}})
		cfg.Workers, cfg.Logger = 1, slog.New(slog.NewTextHandler(&log, nil))
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("stranger"), refund("stranger"), sale("a"), sale("b"), sale("c"))
		flush(t, tracker, time.Minute)
		got := slices.Collect(strings.Lines(log.String()))
		if len(got) != 3 || !strings.Contains(got[0], "durable=false") || !strings.Contains(got[1], "not a referral") || !strings.Contains(got[2], "the first event") ||
			!strings.HasSuffix(got[2], " event=sale:a outcome=tracked status=200 attempt=1\n") || strings.Contains(log.String(), apiKey) {
			t.Errorf("logged:\n%s", log.String())
		}
	})
}

// A 409 is a duplicate. It is said loudly where it may be the loss of a commission: a renewal under an old id.
func TestLoudDuplicates(t *testing.T) {
	exists := func(id string) reply {
		return object(409, `{"message":"The 'sale' event with the id '`+id+`' already exists."}`)
	}
	for name, test := range map[string]struct {
		replies []reply
		says    string // in a warning
	}{
		"first attempt":         {[]reply{exists("a")}, "FirstPromoter knew"},
		"another id":            {[]reply{{status: 500}, exists("z")}, "names another"},
		"another id at first":   {[]reply{exists("z")}, "names another"},
		"after a failed one":    {[]reply{{status: 500}, exists("a")}, ""},
		"after no referral":     {[]reply{{status: 204}, exists("a")}, "FirstPromoter knew"}, // the first call has registered nothing
		"id in HTML's spelling": {[]reply{{status: 500}, exists("&#97;")}, ""},
		"sign-up that exists":   {[]reply{object(422, `{"message":"Lead has already signed up"}`)}, ""},
		"refund":                {[]reply{exists("a")}, "FirstPromoter knew"},
		"refund after a failed": {[]reply{{status: 500}, exists("a")}, ""},
		"of a backfill":         {[]reply{exists("a")}, ""}, // it brings in what an older integration has reported
		"another of a backfill": {[]reply{exists("z")}, "names another"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var log bytes.Buffer
				cfg := config(script(test.replies...))
				cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
				cfg.Queue = fprom.NewMemoryQueue(0)
				tracker := start(t, cfg)
				event := fprom.Event(sale("a"))
				switch {
				case name == "sign-up that exists":
					event = aSignup
				case strings.HasPrefix(name, "refund"):
					event = refund("a")
				}
				m, err := fprom.NewMessage(event)
				m.Bulk = strings.HasSuffix(name, "of a backfill")
				if err = errors.Join(err, cfg.Queue.Put(t.Context(), m)); err != nil {
					t.Fatal(err)
				}
				flush(t, tracker, time.Minute)
				if s := tracker.Stats(); s.Duplicate != 1 {
					t.Errorf("stats %+v", s)
				}
				if loud := strings.Contains(log.String(), "WARN msg=\"fprom: FirstPromoter"); loud != (test.says != "") || !strings.Contains(log.String(), test.says) {
					t.Errorf("logged:\n%s", log.String())
				}
			})
		})
	}
}

// A Track that got no answer may have arrived: the 409 to the next attempt, of whomever, is no old id.
func TestDuplicateAfterTrack(t *testing.T) {
	for name, next := range map[string]func(context.Context, *fprom.Tracker) error{
		"Track": func(ctx context.Context, tracker *fprom.Tracker) error {
			_, err := tracker.Track(ctx, sale("a"))
			return err
		},
		"Enqueue": func(ctx context.Context, tracker *fprom.Tracker) error { return tracker.Enqueue(ctx, sale("a")) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var log bytes.Buffer
				cfg := config(script(reply{hang: true}, object(409, `{"message":"The 'sale' event with the id 'a' already exists."}`)))
				cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
				tracker := start(t, cfg)
				if r, err := tracker.Track(t.Context(), sale("a")); r.Outcome != fprom.Undelivered || err == nil {
					t.Errorf("Track: %v, %v", r.Outcome, err)
				}
				if err := next(t.Context(), tracker); err != nil {
					t.Error(err)
				}
				flush(t, tracker, time.Minute)
				if s := tracker.Stats(); s.Duplicate != 1 || strings.Contains(log.String(), "level=WARN") {
					t.Errorf("%d duplicates; logged:\n%s", s.Duplicate, log.String())
				}
			})
		})
	}
}

// An attempt that the end of a process cut may have arrived: what this process has not recorded itself is no old id.
func TestDuplicateOfAnEarlierProcess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newRecorder()
		m, err := fprom.NewMessage(sale("a"))
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Put(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		var log bytes.Buffer
		cfg := config(always(object(409, `{"message":"The 'sale' event with the id 'a' already exists."}`)))
		cfg.Queue, cfg.Logger = q, slog.New(slog.NewTextHandler(&log, nil))
		tracker := start(t, cfg)
		flush(t, tracker, time.Minute)
		if s := tracker.Stats(); s.Duplicate != 1 || strings.Contains(log.String(), "level=WARN") {
			t.Errorf("%d duplicates; logged:\n%s", s.Duplicate, log.String())
		}
	})
}

// A 204 on a sale, which version 2 of the API does not document, is asked about again before it counts.
func TestNoContentOnASale(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := script(reply{status: 204}, ok())
		tracker := start(t, config(f))
		enqueue(t, tracker, sale("a"))
		flush(t, tracker, 10*time.Minute)
		if s := tracker.Stats(); s.Tracked != 1 {
			t.Errorf("stats %+v", s)
		}
	})
	t.Run("refund", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := always(reply{status: 204})
			tracker := start(t, config(f))
			enqueue(t, tracker, refund("a"))
			flush(t, tracker, time.Minute)
			if s := tracker.Stats(); s.NotReferral != 1 || len(f.seen()) != 1 {
				t.Errorf("stats %+v", s)
			}
		})
	})
}

// A clock that was ahead when a sale was recorded makes it wait neither shorter nor for years.
func TestRecordedInTheFuture(t *testing.T) {
	for _, ahead := range []time.Duration{time.Second, time.Hour, 3 * 365 * 24 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := always(unknownYet)
				q := newRecorder()
				q.onPut = func(ms []fprom.Message, put func() error) error {
					ms[0].RecordedAt = ms[0].RecordedAt.Add(ahead)
					return put()
				}
				cfg := config(f)
				cfg.Queue = q
				tracker := start(t, cfg)
				enqueue(t, tracker, referred())
				time.Sleep(time.Minute)
				if age := tracker.Stats().OldestAge; age < 0 {
					t.Errorf("the oldest event has waited for %v", age)
				}
				if n := len(f.seen()); n < 2 {
					t.Errorf("%d calls in a minute, want the second after 30 s", n)
				}
				time.Sleep(2 * time.Hour)
				if n := tracker.Stats().NotReferral; n != 1 {
					t.Errorf("after two hours and %d calls it has no outcome", len(f.seen()))
				}
			})
		})
	}
}

// An answer of FirstPromoter's ends an outage, whatever it says about the event.
func TestWhatEndsAnOutage(t *testing.T) {
	for name, test := range map[string]struct {
		answers []reply
		again   int // lines that delivery works again
	}{
		"none":     {[]reply{{status: 500}}, 0},
		"rejected": {[]reply{{status: 500}, object(422, `{"message":"no"}`)}, 1},
		"not yet":  {[]reply{{status: 500}, unknownYet}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var log bytes.Buffer
				cfg := config(script(test.answers...))
				cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
				tracker := start(t, cfg)
				enqueue(t, tracker, referred())
				time.Sleep(20 * time.Second)
				settle()
				if n := strings.Count(log.String(), "works again"); n != test.again {
					t.Errorf("%d times that delivery works again, want %d:\n%s", n, test.again, log.String())
				}
			})
		})
	}
}
