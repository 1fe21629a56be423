package riverqueue_test

import (
	"context"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom/riverqueue"
)

// acquireAll takes each connection of a pool, until release.
func acquireAll(t *testing.T, pool *pgxpool.Pool) (release func()) {
	t.Helper()
	var all []*pgxpool.Conn
	for range pool.Config().MaxConns {
		c, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return func() {
		for _, c := range all {
			c.Release()
		}
	}
}

// TestPutAfterRestart: a server that was restarted, or a pooler, has ended all connections of the pool. The next Puts are not
// lost by that.
func TestPutAfterRestart(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := openAt(t, withQuery(t, database, "application_name", cfg.Schema), cfg)
	admin := newPool(t, database)
	t.Cleanup(admin.Close)
	for round := range 5 {
		acquireAll(t, pool)()
		execSQL(t, admin, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1`, cfg.Schema)
		waitFor(t, "the connections to end", func() bool {
			return countRows(t, admin, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1`, cfg.Schema) == 0
		})
		put(t, q, sale(strconv.Itoa(round), "ann", 100))
	}
}

// TestPutTriesAgain: a Put outlasts a short failure of the database, but not its context.
func TestPutTriesAgain(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	open(t, cfg)
	var connect func() error
	pool := newPool(t, database, func(c *pgxpool.Config) {
		c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { return connect() }
	})
	t.Cleanup(pool.Close)
	q, err := riverqueue.New(pool, cfg)
	if err != nil {
		t.Fatal(err)
	}
	least := patience // a busy machine slows down some of them
	for range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		connect = func() error { cancel(); return io.ErrUnexpectedEOF }
		begun := time.Now()
		if err := q.Put(ctx, message(t, sale("1", "ann", 100))); err == nil {
			t.Error("a Put without a database has no error")
		}
		least = min(least, time.Since(begun))
	}
	if least > 500*time.Millisecond {
		t.Errorf("the quickest of 10 Puts whose context had ended took %v", least)
	}
	var first time.Time
	connect = func() error {
		if first.IsZero() {
			first = time.Now()
		}
		if time.Since(first) < 200*time.Millisecond {
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	put(t, q, sale("1", "ann", 100))
}

// TestPoolIsLeftAlone: connections that work stay open, although the application uses all of them for long, or the tables are not yet
// those of this version.
func TestPoolIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		when func(t *testing.T, q *riverqueue.Queue, pool *pgxpool.Pool, schema string)
	}{
		{"no connection is free", func(t *testing.T, q *riverqueue.Queue, pool *pgxpool.Pool, _ string) {
			t.Helper()
			defer acquireAll(t, pool)()
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			if err := q.Admit(ctx, 6000); err == nil {
				t.Error("a call was admitted without a connection")
			}
		}},
		{"the tables are old", func(t *testing.T, q *riverqueue.Queue, pool *pgxpool.Pool, schema string) {
			t.Helper()
			execSQL(t, pool, `DELETE FROM `+schema+`.fprom_migration WHERE version > 1`)
			looks := pool.Stat().AcquireCount()
			var r record
			start(t, q, r.deliver) // to its end: an end under way in a statement costs a connection
			waitFor(t, "Run to look twice", func() bool { return pool.Stat().AcquireCount() >= looks+2 })
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := riverqueue.Config{Schema: newSchema(t)}
			q, pool := open(t, cfg)
			acquireAll(t, pool)()
			before := pool.Stat().NewConnsCount()
			tt.when(t, q, pool, cfg.Schema)
			acquireAll(t, pool)()
			if made := pool.Stat().NewConnsCount() - before; made != 0 {
				t.Errorf("the pool had to open %d connections again", made)
			}
		})
	}
}

// TestFailover: the connections that are open lead to a server that has become a standby, and new ones to the one that has
// taken its place. No Put is lost by that, and a process without events to deliver moves too.
func TestFailover(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		when func(t *testing.T, q *riverqueue.Queue, failOver func(), r *record)
	}{
		{"before a Put", func(t *testing.T, q *riverqueue.Queue, failOver func(), _ *record) {
			t.Helper()
			failOver()
			put(t, q, sale("1", "ann", 100))
		}},
		{"before Run", func(t *testing.T, q *riverqueue.Queue, failOver func(), r *record) {
			t.Helper()
			failOver()
			start(t, q, r.deliver)
		}},
		{"in Run", func(t *testing.T, q *riverqueue.Queue, failOver func(), r *record) {
			t.Helper()
			start(t, q, r.deliver)
			time.Sleep(time.Second)
			failOver()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := quick(t)
			open(t, cfg)
			var standby atomic.Bool                                      // what existing connections lead to
			pool := newPool(t, database, func(poolCfg *pgxpool.Config) { // of more connections than the tries of a Put
				poolCfg.PrepareConn = func(ctx context.Context, c *pgx.Conn) (bool, error) {
					if born, _ := c.PgConn().CustomData()["new"].(bool); standby.Load() && !born {
						_, err := c.Exec(ctx, `SET default_transaction_read_only = on`)
						return true, err
					}
					return true, nil
				}
				poolCfg.AfterConnect = func(_ context.Context, c *pgx.Conn) error {
					c.PgConn().CustomData()["new"] = standby.Load()
					return nil
				}
			})
			t.Cleanup(pool.Close)
			q, err := riverqueue.New(pool, cfg)
			if err != nil {
				t.Fatal(err)
			}
			acquireAll(t, pool)()
			var r record
			tt.when(t, q, func() { standby.Store(true) }, &r)
			other, _ := open(t, cfg)
			put(t, other, sale("2", "ben", 100))
			if strings.HasSuffix(tt.name, "Run") {
				flush(t, other)
			}
		})
	}
}
