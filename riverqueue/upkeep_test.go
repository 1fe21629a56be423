package riverqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/postgres"
	"github.com/fprom-go/fprom/riverqueue"
)

// lines is a logger's output.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.buf.String()), "\n")
}

func (l *lines) count(part string) (n int) {
	for _, line := range l.all() {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// TestPanic: a delivery that panics is an attempt that failed.
func TestPanic(t *testing.T) {
	t.Parallel()
	q, _ := open(t, riverqueue.Config{})
	put(t, q, sale("1", "ann", 100))
	start(t, q, func(_ context.Context, m fprom.Message) error {
		if m.Attempt == 1 {
			panic("on purpose")
		}
		if e := entriesOf(t, q, fprom.Filter{}); len(e) != 1 || !strings.Contains(e[0].Reason, "on purpose") {
			t.Errorf("entries after the panic: %+v, want its reason", e)
		}
		return nil
	})
	flush(t, q)
	if e := entriesOf(t, q, fprom.Filter{}); len(e) != 1 || e[0].State != fprom.StateDone || e[0].Attempts != 2 {
		t.Errorf("entries: %+v", e)
	}
}

// TestPrune: what was delivered, or refused as a conflict, longer ago than 400 days, the default of Retention, is forgotten, nothing else.
func TestPrune(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	execSQL(t, pool, `INSERT INTO `+cfg.Schema+`.fprom_ledger (key, seq, kind, customer, digest, recorded_at, settled_at, next_attempt, state)
		SELECT 'sale:' || i, i, 'sale', 'ann', 0, now(), CASE WHEN i % 10 = 3 THEN NULL ELSE now() - interval '401 days' END, now() + interval '1 hour',
			CASE WHEN i % 10 = 1 THEN 'dead' WHEN i % 10 = 3 THEN 'waiting' ELSE 'done' END
		FROM generate_series(1, 5000) i`)
	execSQL(t, pool, `INSERT INTO `+cfg.Schema+`.fprom_ledger (key, seq, kind, customer, digest, recorded_at, settled_at, state)
		VALUES ('sale:young', 5001, 'sale', 'ann', 0, now(), now() - interval '399 days', 'done')`)
	execSQL(t, pool, `INSERT INTO `+cfg.Schema+`.fprom_conflict (key, digest, refused_at)
		VALUES ('sale:2', 1, now() - interval '401 days'), ('sale:young', 1, now() - interval '399 days'), ('sale:young', 2, now())`)
	start(t, q, func(context.Context, fprom.Message) error { return nil })
	waitFor(t, "4,000 old entries forgotten", func() bool { return entries(t, pool, cfg.Schema) == 1001 })
	time.Sleep(500 * time.Millisecond)
	if n := entries(t, pool, cfg.Schema); n != 1001 {
		t.Errorf("%d entries, want 1001: the dead letters, the open ones and the young one", n)
	}
	if s, err := q.Stats(t.Context()); s.Conflicts != 2 || err != nil {
		t.Errorf("Stats: %+v, %v; want the two young conflicts", s, err)
	}
}

// TestStatsOfMany: beyond 20,000 the numbers are PostgreSQL's estimates.
func TestStatsOfMany(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	execSQL(t, pool, `INSERT INTO `+cfg.Schema+`.fprom_ledger (key, seq, kind, customer, digest, recorded_at, bulk)
		SELECT 'sale:' || i, i, 'sale', 'c' || i, 0, now(), i > 30000 FROM generate_series(1, 30100) i`)
	execSQL(t, pool, `ANALYZE `+cfg.Schema+`.fprom_ledger`)
	s, err := q.Stats(t.Context())
	if err != nil || s.Pending < 28_000 || s.Pending > 32_000 || s.Bulk != 100 || s.Dead != 0 {
		t.Errorf("Stats with 30,000 live events and 100 bulk ones: %+v, %v", s, err)
	}
}

// TestPausedInRiver: who pauses the queue in River's UI stops delivery; Stats and the log say so.
func TestPausedInRiver(t *testing.T) {
	t.Parallel()
	var log lines
	cfg := quick(t)
	cfg.Logger = log.logger()
	q, pool := open(t, cfg)
	var r record
	start(t, q, r.deliver)
	put(t, q, sale("1", "ann", 100))
	flush(t, q)
	if s, err := q.Stats(t.Context()); err != nil || !s.Delivering || s.PauseReason != "" || s.LastSuccess.IsZero() {
		t.Errorf("Stats: %+v, %v", s, err)
	}
	if err := q.Pause(t.Context(), 15*time.Minute, errRejected); err != nil {
		t.Fatal(err)
	}
	if s, err := q.Stats(t.Context()); err != nil || !s.Delivering || s.PausedUntil.IsZero() || s.PauseReason != errRejected.Error() {
		t.Errorf("Stats in a pause of the account: %+v, %v", s, err)
	}
	client := operator(t, pool, cfg.Schema)
	if err := client.QueuePause(t.Context(), "fprom", nil); err != nil {
		t.Fatal(err)
	}
	// The end of the account's pause is not the end of this one.
	if s, err := q.Stats(t.Context()); err != nil || s.Delivering || !s.PausedUntil.IsZero() || !strings.Contains(s.PauseReason, "paused in River") {
		t.Errorf("Stats of a queue that is paused in River: %+v, %v", s, err)
	}
	waitFor(t, "a warning", func() bool { return log.count("nothing is delivered") > 0 })
	if err := client.QueueResume(t.Context(), "fprom", &river.QueuePauseOpts{}); err != nil {
		t.Fatal(err)
	}
}

// TestBulkPausedInRiver: who pauses the queue of bulk events only stops these, if there are any; Stats and the log say so.
func TestBulkPausedInRiver(t *testing.T) {
	t.Parallel()
	var log lines
	cfg := quick(t)
	cfg.Logger = log.logger()
	q, pool := open(t, cfg)
	start(t, q, func(context.Context, fprom.Message) error { return errors.New("later") })
	waitFor(t, "River's queues", func() bool { return operator(t, pool, cfg.Schema).QueuePause(t.Context(), "fprom_bulk", nil) == nil })
	put(t, q, sale("1", "ann", 100))
	if s, err := q.Stats(t.Context()); err != nil || !s.Delivering || s.PauseReason != "" {
		t.Errorf("Stats while no bulk event waits: %+v, %v", s, err)
	}
	putBulk(t, q, 1)
	if s, err := q.Stats(t.Context()); err != nil || !s.Delivering || !strings.Contains(s.PauseReason, "fprom_bulk is paused in River") {
		t.Errorf("Stats while one waits: %+v, %v", s, err)
	}
	waitFor(t, "a warning", func() bool { return log.count("fprom_bulk is paused in River") > 0 })
}

// TestAnotherRiverClient: the log warns of a River client of the application in the same schema, whose jobs River's leader may discard.
func TestAnotherRiverClient(t *testing.T) {
	t.Parallel()
	var log lines
	cfg := riverqueue.Config{Schema: newSchema(t), Rescue: 3 * time.Second, Logger: log.logger()}
	q, pool := open(t, cfg)
	start(t, q, func(context.Context, fprom.Message) error { return nil })
	time.Sleep(1500 * time.Millisecond) // the upkeep runs each second
	if n := log.count("another River client"); n != 0 {
		t.Errorf("a warning without another client:\n%s", strings.Join(log.all(), "\n"))
	}
	// As a River client does that works on its default queue.
	execSQL(t, pool, `INSERT INTO `+cfg.Schema+`.river_queue (name, created_at, updated_at) VALUES ('default', now(), now())`)
	waitFor(t, "a warning", func() bool { return log.count("another River client") > 0 })
}

// TestOutage: while PostgreSQL is away nothing is lost and the log stays quiet: a line at the beginning, a line at the end,
// both by this package's name.
func TestOutage(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a PostgreSQL of its own")
	}
	server, err := postgres.Start(t.Context())
	if errors.Is(err, postgres.ErrMissing) && database != "" {
		t.Skip("needs the programs of a PostgreSQL server")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Stop() }()
	var log lines
	pool := newPool(t, server.URL)
	defer pool.Close()
	q, err := riverqueue.New(pool, riverqueue.Config{Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	begun, release := make(chan struct{}, 10), make(chan struct{})
	r := record{answer: func(fprom.Message) error {
		begun <- struct{}{}
		<-release
		return nil
	}}
	stop := start(t, q, r.deliver)
	for i := range 8 {
		put(t, q, sale(strconv.Itoa(i), fmt.Sprint("customer", i), 100))
	}
	for range 4 {
		<-begun
	}
	if err := server.Crash(); err != nil {
		t.Fatal(err)
	}
	close(release)
	waitFor(t, "the outage to be noticed", func() bool { return log.count("the database fails") > 0 })
	time.Sleep(8 * time.Second)
	if err := server.Continue(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "all delivered", func() bool {
		s, err := q.Stats(t.Context())
		return err == nil && s.Pending == 0
	})
	if len(r.calls) != 8 {
		t.Errorf("%d deliveries, want 8: an outcome that is in hand is kept over an outage", len(r.calls))
	}
	stop()
	for _, line := range log.all() {
		if !strings.Contains(line, `msg="fprom: riverqueue: `) {
			t.Errorf("a line without prefix: %s", line)
		}
	}
	if n, begin, end := len(log.all()), log.count("the database fails"), log.count("works again"); n > 4 || begin == 0 || end == 0 {
		t.Errorf("%d lines for an outage of 8 s, want one at the beginning and one at the end:\n%s", n, strings.Join(log.all(), "\n"))
	}
}

// TestOutageOfOneStatement: while one thing still fails, the log does not say that the database works again, whatever else succeeds.
func TestOutageOfOneStatement(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ what, mend string }{
		{"wait for the rate limit", `FUNCTION $s.fprom_admit`},
		{"begin a delivery", `FUNCTION $s.fprom_claim`},
		{"store the outcome of a delivery", `FUNCTION $s.fprom_settle`},
		{"upkeep", `TABLE $s.fprom_conflict`},
		{"flush", `VIEW $s.fprom_waiting`},
		{"start to deliver", `TABLE $s.river_queue`},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			var log lines
			cfg := riverqueue.Config{Schema: newSchema(t), Rescue: 3 * time.Second, Logger: log.logger()}
			q, pool := open(t, cfg)
			thing := strings.ReplaceAll(tt.mend, "$s", cfg.Schema)
			renamed := thing[:strings.LastIndex(thing, ".")+1] + "gone"
			execSQL(t, pool, `ALTER `+thing+` RENAME TO gone`)
			start(t, q, func(ctx context.Context, _ fprom.Message) error { return q.Admit(ctx, 6000) })
			flushed := make(chan error, 1)
			put(t, q, sale("0", "ann", 100))
			if tt.what == "flush" {
				go func() { flushed <- q.Flush(t.Context()) }()
			} else {
				flushed <- nil
			}
			waitFor(t, "a warning", func() bool { return log.count("what="+strconv.Quote(tt.what))+log.count("what="+tt.what) > 0 })
			for i := range 20 {
				put(t, q, sale(strconv.Itoa(i), "ann", 100))
				time.Sleep(100 * time.Millisecond)
			}
			if n := log.count("works again"); n != 0 {
				t.Errorf("the log says so:\n%s", strings.Join(log.all(), "\n"))
			}
			execSQL(t, pool, `ALTER `+renamed+` RENAME TO `+thing[strings.LastIndex(thing, ".")+1:])
			waitFor(t, "the end of the outage", func() bool { return log.count("works again") > 0 })
			if err := <-flushed; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPutDeadlock: two transactions with the same keys in different order.
func TestPutDeadlock(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	one, two := message(t, sale("1", "ann", 100)), message(t, sale("2", "ben", 100))
	ctx := t.Context()
	inserted, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if err := q.EnqueueTx(ctx, tx, sale("2", "ben", 100)); err != nil {
				return err
			}
			close(inserted)
			waiters(t, pool, cfg.Schema, 1) // Put holds 1 and waits for 2
			return q.EnqueueTx(ctx, tx, sale("1", "ann", 100))
		})
	}()
	<-inserted
	err := q.Put(ctx, one, two)
	if other := <-done; err != nil && other == nil {
		t.Errorf("Put: %v, want it to be tried again after a deadlock", err)
	}
	if err != nil {
		t.Errorf("Put: %v", err)
	}
}

// TestPruneOfWhatComesAgain: a cancellation that was forgotten by its age, at the moment in which the customer cancels again,
// is not forgotten with it. To forget others does not wait for that, which could deadlock.
func TestPruneOfWhatComesAgain(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t), Retention: 24 * time.Hour}
	q, pool := open(t, cfg)
	var r record
	e := fprom.Cancellation{UID: "ann"}
	put(t, q, e, fprom.Cancellation{UID: "ben"})
	stop := start(t, q, r.deliver)
	flush(t, q)
	stop()
	execSQL(t, pool, `UPDATE `+cfg.Schema+`.fprom_ledger SET settled_at = now() - interval '2 days'`)
	if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		if err := q.EnqueueTx(t.Context(), tx, e); err != nil {
			return err
		}
		start(t, q, r.deliver)
		waitFor(t, "the other one forgotten", func() bool { return entries(t, pool, cfg.Schema) == 1 })
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	flush(t, q)
	if n := r.count("cancellation:ann"); n != 2 || entries(t, pool, cfg.Schema) != 1 {
		t.Errorf("%d deliveries, want both", n)
	}
}
