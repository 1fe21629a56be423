package riverqueue_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom/riverqueue"
)

// connect opens each connection of a pool.
func connect(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	var all []*pgxpool.Conn
	for range pool.Config().MaxConns {
		c, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for _, c := range all {
		c.Release()
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
		connect(t, pool)
		execSQL(t, admin, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1`, cfg.Schema)
		waitFor(t, "the connections to end", func() bool {
			return countRows(t, admin, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1`, cfg.Schema) == 0
		})
		var wg sync.WaitGroup
		for i := range 6 {
			m := message(t, sale(strconv.Itoa(10*round+i), "ann", 100))
			wg.Go(func() {
				if err := q.Put(t.Context(), m); err != nil {
					t.Errorf("Put: %v", err)
				}
			})
		}
		wg.Wait()
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
			poolCfg, err := pgxpool.ParseConfig(database)
			if err != nil {
				t.Fatal(err)
			}
			var standby atomic.Bool // what existing connections lead to
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
			pool, err := pgxpool.NewWithConfig(t.Context(), poolCfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(pool.Close)
			q, err := riverqueue.New(pool, cfg)
			if err != nil {
				t.Fatal(err)
			}
			connect(t, pool)
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
