package riverqueue_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
)

// TestClockStepsBack: times that the database gave out before its clock was set back do not stop delivery, and the log says
// what happened.
func TestClockStepsBack(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"calls": `UPDATE $s.fprom_account SET next_slot = now() + interval '1 hour'`,
		"pause": `UPDATE $s.fprom_account SET paused_until = now() + interval '1 hour'`,
		"claim": `WITH j AS (UPDATE $s.river_job SET state = 'running', attempt = 1, attempted_by = ARRAY['dead'], attempted_at = now() + interval '2 hours')
			UPDATE $s.fprom_ledger SET generation = 1, claimed_until = now() + interval '2 hours'`,
		"retry": `WITH j AS (UPDATE $s.river_job SET state = 'scheduled', scheduled_at = now() + interval '2 hours')
			UPDATE $s.fprom_ledger SET attempts = 1, next_attempt = now() + interval '2 hours'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log lines
			cfg := quick(t)
			cfg.Logger = log.logger()
			q, pool := open(t, cfg)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := q.Admit(ctx, 6000); err != nil {
				t.Fatal(err)
			}
			put(t, q, sale("1", "ann", 100), sale("2", "ann", 100))
			execSQL(t, pool, strings.ReplaceAll(sql, "$s", cfg.Schema))
			start(t, q, func(ctx context.Context, _ fprom.Message) error { return q.Admit(ctx, 6000) })
			if err := q.Flush(ctx); err != nil {
				t.Fatalf("nothing is delivered after the clock stepped back: %v", err)
			}
			waitFor(t, "a warning", func() bool { return log.count("clock stepped back") > 0 }) // the events may be delivered before
			if n := log.count("clock stepped back"); n != 1 {
				t.Errorf("%d warnings:\n%s", n, strings.Join(log.all(), "\n"))
			}
		})
	}
}

// TestClockStepsBackForJobs: River keeps times too. A job whose time lies ahead, since the database's clock stepped back or
// the clock of the replica that made it is wrong, does not hold up an event that is due.
func TestClockStepsBackForJobs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, sql string }{
		{"new", `UPDATE $s.river_job SET scheduled_at = now() + interval '1 hour'`},
		{"put off", `UPDATE $s.river_job SET state = 'scheduled', scheduled_at = now() + interval '1 hour'`},
		{"under way when its process died", `UPDATE $s.river_job SET state = 'running', attempt = 1, attempted_by = ARRAY['dead'], attempted_at = now() + interval '1 hour'`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := quick(t)
			q, pool := open(t, cfg)
			put(t, q, sale("1", "ann", 100))
			execSQL(t, pool, strings.ReplaceAll(tt.sql, "$s", cfg.Schema))
			var r record
			start(t, q, r.deliver)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := q.Flush(ctx); err != nil || r.count("sale:1") == 0 {
				t.Errorf("%d deliveries, %v: an event waits until the clock is where it was", r.count("sale:1"), err)
			}
		})
	}
}

// TestLongWait: a wait that is longer than what the clock check takes for possible is cut to an hour, so that the event is
// not asked about without end.
func TestLongWait(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0)) // knows no lead
	trackers, queues := fleet(t, 1, fake, func(c *fprom.Config) { c.Retry.NotFound = []time.Duration{3 * time.Hour} })
	s := sale("1", "ann", 100)
	s.TID = "tid"
	begun := time.Now()
	enqueue(t, trackers[0], s)
	next := func() (at time.Time) {
		for _, e := range entriesOf(t, queues[0], fprom.Filter{State: fprom.StateWaiting}) {
			at = e.NextAttempt
		}
		return at
	}
	waitFor(t, "the first answer", func() bool { return !next().IsZero() })
	if at := next(); at.Before(begun.Add(59*time.Minute)) || at.After(time.Now().Add(time.Hour)) {
		t.Errorf("the next attempt is in %v, want an hour", time.Until(at))
	}
	if n := len(fake.Requests()); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

// TestRecordedAhead: the clock of the process that recorded the events of a customer is ahead. They follow each other at
// once all the same.
func TestRecordedAhead(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	q, pool := open(t, cfg)
	var ms []fprom.Message
	for _, id := range []string{"1", "2", "3"} {
		m := message(t, sale(id, "ann", 100))
		m.RecordedAt = time.Now().Add(time.Hour)
		ms = append(ms, m)
	}
	if err := q.Put(t.Context(), ms...); err != nil {
		t.Fatal(err)
	}
	execSQL(t, pool, `DELETE FROM `+cfg.Schema+`.river_job`) // all are lost
	var r record
	start(t, q, r.deliver)
	flush(t, q)
}

// TestStatsAfterClockStep: after the clock stepped back, a success of the future is not the last one, or an alarm that nothing was delivered
// for an hour would not come until the clock is where it was. And the calls of the last minute are counted.
func TestStatsAfterClockStep(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	q, pool := open(t, cfg)
	put(t, q, sale("1", "ann", 100), sale("2", "bob", 100))
	var r record
	start(t, q, r.deliver)
	flush(t, q)
	execSQL(t, pool, `UPDATE `+cfg.Schema+`.fprom_ledger SET settled_at = now() + interval '1 day' WHERE key = 'sale:1'`)
	execSQL(t, pool, `UPDATE `+cfg.Schema+`.fprom_account SET calls = ARRAY(SELECT (extract(epoch FROM now())::bigint + 3600 + i) * 1000000 + 5 FROM generate_series(1, 60) i)`)
	if err := q.Admit(t.Context(), 6000); err != nil {
		t.Fatal(err)
	}
	if s, err := q.Stats(t.Context()); err != nil || s.LastSuccess.IsZero() || s.LastSuccess.After(time.Now().Add(time.Minute)) || *s.LastMinute != 1 {
		t.Errorf("last success %v, %d calls in the last minute, %v; want 1", s.LastSuccess, *s.LastMinute, err)
	}
}

// TestLiveBeforeBulkAfterClockStep: a live event whose stored time counts as past, since the clock stepped back, still comes before bulk events.
func TestLiveBeforeBulkAfterClockStep(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	q, pool := open(t, cfg)
	put(t, q, sale("live", "ann", 100))
	execSQL(t, pool, `WITH j AS (DELETE FROM `+cfg.Schema+`.river_job) UPDATE `+cfg.Schema+`.fprom_ledger SET attempts = 1, next_attempt = now() + interval '2 hours'`)
	putBulk(t, q, 1)
	var order []string
	var mu sync.Mutex
	start(t, q, func(_ context.Context, m fprom.Message) error {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, m.Key)
		return nil
	})
	flush(t, q)
	if len(order) != 2 || order[0] != "sale:live" {
		t.Errorf("delivered in the order %v, want the live event first", order)
	}
}
