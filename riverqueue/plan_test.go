package riverqueue_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// TestPlansOfAnEmptyLedger: PostgreSQL keeps the plans of statements that it made while the ledger was empty, perhaps known to
// be empty. To put and to deliver an event must not read the whole ledger as that grows.
func TestPlansOfAnEmptyLedger(t *testing.T) {
	t.Parallel()
	const events = 500
	for _, before := range []string{"SELECT FROM", "VACUUM", "ANALYZE", "VACUUM ANALYZE"} {
		t.Run(before, func(t *testing.T) {
			t.Parallel()
			cfg := riverqueue.Config{Schema: newSchema(t)}
			_, pool := open(t, cfg)
			execSQL(t, pool, before+` `+cfg.Schema+`.fprom_ledger`)
			n := rowsRead(t, cfg.Schema, "fprom_ledger", func(q *riverqueue.Queue) {
				var r record
				stop := start(t, q, r.deliver)
				for i := range events {
					e := sale(strconv.Itoa(i), "buyer"+strconv.Itoa(i), 100)
					put(t, q, e, e)
				}
				flush(t, q)
				stop()
			})
			t.Log(n/events, "rows for an event")
			if n > 50*events {
				t.Errorf("%d rows were read to put %d events twice and to deliver them", n, events)
			}
		})
	}
}

// rowsRead is how many rows of a table fn reads through a queue with connections of its own.
func rowsRead(t *testing.T, schema, table string, fn func(*riverqueue.Queue)) (n int) {
	t.Helper()
	watch, pool := newPool(t, database), newPool(t, withQuery(t, database, "application_name", schema))
	defer watch.Close()
	count := func() int {
		waitFor(t, "the connections to end", func() bool {
			return countRows(t, watch, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1`, schema) == 0
		})
		return countRows(t, watch, `SELECT seq_tup_read + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes i WHERE i.relid = t.relid)
			FROM pg_stat_user_tables t WHERE schemaname = $1 AND relname = $2`, schema, table)
	}
	before := count()
	q, err := riverqueue.New(pool, riverqueue.Config{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	fn(q)
	pool.Close() // a connection tells the statistics when it ends
	return count() - before
}

// TestPlansOfABacklog: to look at a queue must not read all that waits, where that is a third of the ledger.
func TestPlansOfABacklog(t *testing.T) {
	t.Parallel()
	const done, waiting = 80_000, 40_000
	cfg := riverqueue.Config{Schema: newSchema(t)}
	_, pool := open(t, cfg)
	execSQL(t, pool, `INSERT INTO `+cfg.Schema+`.fprom_ledger (key, seq, kind, customer, digest, recorded_at, state, settled_at)
		SELECT 'sale:' || i, i, 'sale', '', 0, now() - interval '1 day' + i * interval '1 second', 'done', now() FROM generate_series(1, $1::integer) i`, done)
	execSQL(t, pool, `INSERT INTO `+cfg.Schema+`.fprom_ledger (key, seq, kind, customer, body, digest, recorded_at, bulk, next_attempt)
		SELECT 'sale:' || i, i, 'sale', 'c' || i, repeat('x', 150), 0, now(), i % 5 = 0, CASE WHEN i % 5 > 0 THEN now() + interval '30 minutes' ELSE '-infinity' END
		FROM generate_series($1::integer + 1, $2::integer) i`, done, done+waiting)
	var many []string
	for i := range 300 {
		many = append(many, strconv.Itoa(100*i))
	}
	for name, look := range map[string]func(*riverqueue.Queue){
		"Stats": func(q *riverqueue.Queue) {
			if s, err := q.Stats(t.Context()); s.Oldest.IsZero() || err != nil {
				t.Errorf("Stats: %+v, %v", s, err)
			}
		},
		"Entries": func(q *riverqueue.Queue) {
			if n := len(entriesOf(t, q, fprom.Filter{State: fprom.StateWaiting, Limit: 10})); n != 10 {
				t.Errorf("%d entries", n)
			}
		},
		"Entries of a minute": func(q *riverqueue.Queue) {
			since := time.Now().Add(-20 * time.Hour)
			if n := len(entriesOf(t, q, fprom.Filter{Since: since, Until: since.Add(time.Minute)})); n != 60 {
				t.Errorf("%d entries", n)
			}
		},
		"Entries of many keys": func(q *riverqueue.Queue) {
			if n := len(entriesOf(t, q, fprom.Filter{Keys: many, Kind: fprom.KindSale})); n != len(many)-1 {
				t.Errorf("%d entries", n)
			}
		},
		"Entries of an outcome of dead letters": func(q *riverqueue.Queue) {
			if n := len(entriesOf(t, q, fprom.Filter{Outcome: fprom.Rejected})); n != 0 {
				t.Errorf("%d entries", n)
			}
		},
		"Flush": func(q *riverqueue.Queue) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // PostgreSQL may plan anew for the sixth look
			defer cancel()
			if err := q.Flush(ctx); err == nil {
				t.Error("Flush: nothing waits")
			}
		},
	} {
		// An old transaction of another test keeps VACUUM from its work, which changes the plan.
		waitFor(t, name+" to read few rows", func() bool {
			execSQL(t, pool, `VACUUM ANALYZE `+cfg.Schema+`.fprom_ledger`)
			n := rowsRead(t, cfg.Schema, "fprom_ledger", look)
			t.Log(name, "read", n, "rows")
			return n <= 60_000 // Stats counts up to 20,000 of each kind
		})
	}
}

// TestPlansOfAnEmptyTime: where PostgreSQL expects events that were removed since it last counted, to find none does not read the ledger.
func TestPlansOfAnEmptyTime(t *testing.T) {
	t.Parallel()
	const done = 50_000
	cfg := riverqueue.Config{Schema: newSchema(t)}
	_, pool := open(t, cfg)
	begin := time.Now().Add(-100 * time.Hour)
	execSQL(t, pool, `INSERT INTO `+cfg.Schema+`.fprom_ledger (key, seq, kind, customer, digest, recorded_at, state, settled_at)
		SELECT 'sale:' || i, i, 'sale', '', 0, $2::timestamptz + i * interval '1 second', 'done', now() FROM generate_series(1, $1::integer) i`, done, begin)
	execSQL(t, pool, `ANALYZE `+cfg.Schema+`.fprom_ledger`)
	execSQL(t, pool, `DELETE FROM `+cfg.Schema+`.fprom_ledger WHERE seq <= 10000`)
	n := rowsRead(t, cfg.Schema, "fprom_ledger", func(q *riverqueue.Queue) {
		if n := len(entriesOf(t, q, fprom.Filter{Since: begin, Until: begin.Add(9000 * time.Second)})); n != 0 {
			t.Errorf("%d entries", n)
		}
	})
	if n > 20_000 { // those that were removed are still in the index
		t.Errorf("%d rows were read to find no entry", n)
	}
}

// TestPlansOfPairs is TestPlansOfAnEmptyLedger for events that wait for an earlier one of their customer.
func TestPlansOfPairs(t *testing.T) {
	t.Parallel()
	const pairs = 300
	cfg := riverqueue.Config{Schema: newSchema(t)}
	_, pool := open(t, cfg)
	execSQL(t, pool, `VACUUM ANALYZE `+cfg.Schema+`.fprom_ledger`)
	n := rowsRead(t, cfg.Schema, "fprom_ledger", func(q *riverqueue.Queue) {
		var r record
		pair := func(i int) {
			buyer := "buyer" + strconv.Itoa(i)
			put(t, q, sale(buyer+"a", buyer, 100), sale(buyer+"b", buyer, 100))
		}
		stop := start(t, q, r.deliver)
		for i := range pairs {
			pair(i)
		}
		flush(t, q)
		stop()
		for i := range pairs {
			pair(pairs + i)
		}
		stop = start(t, q, r.deliver)
		flush(t, q)
		stop()
	})
	t.Log(n/(2*pairs), "rows for a pair")
	if n > 170*2*pairs { // 45 to 94 for a pair, as autovacuum comes; to read all that wait would be some 600
		t.Errorf("%d rows were read to put and to deliver %d events", n, 4*pairs)
	}
}

// TestPlansOfALongLane: the outcome of an attempt does not cost a look at each pair of the customer's events.
func TestPlansOfALongLane(t *testing.T) {
	t.Parallel()
	const events = 3000
	cfg := riverqueue.Config{Schema: newSchema(t)}
	_, pool := open(t, cfg)
	execSQL(t, pool, `INSERT INTO `+cfg.Schema+`.fprom_ledger (key, seq, kind, customer, body, digest, recorded_at)
		SELECT 'sale:' || i, i, 'sale', 'ann', '{}', 0, now() FROM generate_series(1, $1::integer) i`, events)
	execSQL(t, pool, `VACUUM ANALYZE `+cfg.Schema+`.fprom_ledger`)
	n := rowsRead(t, cfg.Schema, "fprom_ledger", func(q *riverqueue.Queue) {
		tried := make(chan struct{}, 1)
		stop := start(t, q, func(context.Context, fprom.Message) error {
			tried <- struct{}{}
			return &fprom.APIError{StatusCode: 503, RetryAfter: time.Hour}
		})
		<-tried
		stop()
	})
	if n > 5*events { // most are the upkeep's and the claim's
		t.Errorf("%d rows were read for one attempt", n)
	}
}

// TestPlansOfABulkEvent: to begin a bulk event does not read the live events that wait for their next attempt.
func TestPlansOfABulkEvent(t *testing.T) {
	t.Parallel()
	const live, bulk = 3000, 50
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	execSQL(t, pool, `INSERT INTO `+cfg.Schema+`.fprom_ledger (key, seq, kind, customer, body, digest, recorded_at, next_attempt)
		SELECT 'sale:' || i, -i, 'sale', 'c' || i, '{}', 0, now(), now() + interval '30 minutes' FROM generate_series(1, $1::integer) i`, live)
	putBulk(t, q, bulk)
	execSQL(t, pool, `VACUUM ANALYZE `+cfg.Schema+`.fprom_ledger`)
	n := rowsRead(t, cfg.Schema, "fprom_ledger", func(q *riverqueue.Queue) {
		delivered := make(chan struct{}, bulk)
		stop := start(t, q, func(context.Context, fprom.Message) error {
			delivered <- struct{}{}
			return nil
		})
		for range bulk {
			<-delivered
		}
		stop()
	})
	if n > 5*live { // most are the upkeep's
		t.Errorf("%d rows were read to deliver %d events", n, bulk)
	}
}

// TestPlansOfTheSweep: to look for events without a job does not read all jobs for each event, also where the tables have just
// grown, and PostgreSQL has no statistics of them.
func TestPlansOfTheSweep(t *testing.T) {
	t.Parallel()
	const events = 5000
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, _ := open(t, cfg)
	putBulk(t, q, events)
	n := rowsRead(t, cfg.Schema, "river_job", func(q *riverqueue.Queue) {
		stop := start(t, q, func(ctx context.Context, _ fprom.Message) error {
			<-ctx.Done()
			return ctx.Err()
		})
		time.Sleep(3 * time.Second) // the first sweep is within a second
		stop()
	})
	if n > 20*events {
		t.Errorf("%d rows were read beside %d jobs", n, events)
	}
}
