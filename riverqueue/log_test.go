package riverqueue_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

type panicking struct {
	slog.Handler
	lines *atomic.Int64
}

func (panicking) Enabled(context.Context, slog.Level) bool { return true }
func (h panicking) Handle(context.Context, slog.Record) error {
	h.lines.Add(1)
	panic("foreign code")
}

// TestPanickingLogger: a Logger that panics does not end the process.
func TestPanickingLogger(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	var lines atomic.Int64
	cfg.Logger = slog.New(panicking{slog.DiscardHandler, &lines})
	q, pool := open(t, cfg)
	put(t, q, sale("1", "ann", 100))
	execSQL(t, pool, strings.ReplaceAll(`DELETE FROM $s.river_job`, "$s", cfg.Schema)) // the sweep says so
	var n atomic.Int64
	start(t, q, func(context.Context, fprom.Message) error {
		if n.Add(1) == 1 {
			panic("a delivery too")
		}
		return nil
	})
	flush(t, q)
	waitFor(t, "the sweep to log", func() bool { return lines.Load() > 0 }) // the event may be delivered before
}

// TestRiverReports: what River warns of is in the log, and not taken for an outage of the database. What it only tells is not.
func TestRiverReports(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	var log lines
	cfg.Logger = log.logger()
	q, pool := open(t, cfg)
	execSQL(t, pool, `INSERT INTO `+cfg.Schema+`.river_job (args, kind, max_attempts, queue) VALUES ('{}', 'foreign', 1, 'fprom')`)
	var r record
	start(t, q, r.deliver)
	waitFor(t, "River's word on a job of a kind that it does not know", func() bool { return log.count("what=River") > 0 })
	put(t, q, sale("1", "ann", 100))
	flush(t, q)
	if log.count("database")+log.count("client started") != 0 {
		t.Errorf("the database works, and it is no problem that River starts:\n%s", strings.Join(log.all(), "\n"))
	}
}

// TestRiverDoesNotStart: what River says each second, while it cannot start, is logged once a minute.
func TestRiverDoesNotStart(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	var log lines
	cfg.Logger = log.logger()
	q, pool := open(t, cfg)
	execSQL(t, pool, `ALTER TABLE `+cfg.Schema+`.river_queue RENAME TO elsewhere`)
	start(t, q, func(context.Context, fprom.Message) error { return nil })
	waitFor(t, "River's word", func() bool { return log.count("what=River") > 0 })
	time.Sleep(2500 * time.Millisecond)
	if n := log.count("what=River"); n != 1 {
		t.Errorf("%d lines, want 1:\n%s", n, strings.Join(log.all(), "\n"))
	}
}

// TestRenewalUnderAnOldID: where a subscription's id is used for each of its payments, all but the first earn nothing. The log
// says so. A webhook that is repeated for some days, a file that is sent twice and a second sign-up are no news.
func TestRenewalUnderAnOldID(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name  string
		after time.Duration
		bulk  bool
		event fprom.Event
		want  int // lines
	}{
		{"a month later", 30 * day, false, sale("sub_1", "ann", 4900), 1},
		{"repeated for days", 4 * day, false, sale("sub_1", "ann", 4900), 0},
		{"bulk", 30 * day, true, sale("sub_1", "ann", 4900), 0},
		{"sign-up", 30 * day, false, fprom.Signup{Email: "ann@example.com", TID: "tid"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log lines
			q, _ := open(t, riverqueue.Config{Logger: log.logger()})
			m := message(t, tt.event)
			if err := q.Put(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			m.RecordedAt, m.Bulk = m.RecordedAt.Add(tt.after), tt.bulk
			if err := q.Put(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if n := log.count("came again long after"); n != tt.want {
				t.Errorf("%d warnings, want %d:\n%s", n, tt.want, strings.Join(log.all(), "\n"))
			}
		})
	}
}
