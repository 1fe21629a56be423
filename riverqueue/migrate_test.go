package riverqueue_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t), Logger: slog.New(slog.DiscardHandler)}
	pool := newPool(t, database)
	t.Cleanup(pool.Close)
	q, err := riverqueue.New(pool, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := q.Put(ctx, message(t, sale("1", "ann", 100))); !errors.Is(err, riverqueue.ErrSchema) || !strings.Contains(err.Error(), "Migrate") || strings.Count(err.Error(), "fprom: ") != 1 {
		t.Errorf("Put without tables: %v, want ErrSchema and a word on Migrate", err)
	}
	var r record
	start(t, q, r.deliver) // waits for the tables
	var wg sync.WaitGroup
	for range 4 { // replicas that start at once
		wg.Go(func() {
			if err := q.Migrate(ctx); err != nil {
				t.Errorf("Migrate: %v", err)
			}
		})
	}
	wg.Wait()
	if err := q.Put(ctx, message(t, sale("1", "ann", 100))); err != nil {
		t.Errorf("Put after Migrate: %v", err)
	}
	if err := q.Migrate(ctx); err != nil {
		t.Errorf("Migrate of what is current: %v", err)
	}
	flush(t, q)
	if r.count("sale:1") != 1 {
		t.Error("Run, which was started before Migrate, does not deliver")
	}
}

// TestMigrateBesideOthers: replicas call Migrate at once. Each has one connection, which has looked for these tables and migrated others
// before, as with a pooler.
func TestMigrateBesideOthers(t *testing.T) {
	t.Parallel()
	var pools [3]*pgxpool.Pool
	for i := range pools {
		pools[i] = newPool(t, database, func(c *pgxpool.Config) { c.MaxConns = 1 })
		t.Cleanup(pools[i].Close)
	}
	for range 4 {
		cfg := riverqueue.Config{Schema: newSchema(t)}
		looked := make(chan struct{})
		var wg sync.WaitGroup
		for _, pool := range pools {
			q, err := riverqueue.New(pool, cfg)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := q.Stats(t.Context()); !errors.Is(err, riverqueue.ErrSchema) {
				t.Errorf("Stats without tables: %v", err)
			}
			wg.Go(func() {
				<-looked
				if err := q.Migrate(t.Context()); err != nil {
					t.Errorf("Migrate: %v", err)
				}
			})
		}
		close(looked)
		wg.Wait()
	}
}

// TestMigrateBesideLongTransaction: the lock_timeout of a connection keeps Migrate from waiting for a table that a long transaction reads. All other
// statements on the table would wait behind it.
func TestMigrateBesideLongTransaction(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	pool := newPool(t, database, func(c *pgxpool.Config) {
		c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, `SET lock_timeout = 3000`) // longer than it waits for the catalogs, which other tests change at the same time
			return err
		}
	})
	t.Cleanup(pool.Close)
	makeVersion1(t, pool, cfg.Schema)
	q, err := riverqueue.New(pool, cfg)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), `SELECT FROM `+cfg.Schema+`.fprom_ledger`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := q.Migrate(ctx); err == nil || !strings.Contains(err.Error(), "55P03") {
		t.Errorf("Migrate: %v, want the end of lock_timeout", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := q.Migrate(t.Context()); err != nil {
		t.Errorf("Migrate after the transaction: %v", err)
	}
}

// TestMigrateWaitsForAnother: the lock_timeout of a connection does not end the wait of Migrate for a step of another process, and its
// statement_timeout ends neither that wait nor the step.
func TestMigrateWaitsForAnother(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	// Three seconds are longer than anything else takes: a step waits for the catalogs, which other tests change at the same time.
	dbURL := withQuery(t, withQuery(t, database, "application_name", cfg.Schema), "statement_timeout", "3000")
	pool := newPool(t, dbURL)
	t.Cleanup(pool.Close)
	hasty := newPool(t, withQuery(t, dbURL, "lock_timeout", "3000"))
	t.Cleanup(hasty.Close)
	makeVersion1(t, pool, cfg.Schema)
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), `SELECT FROM `+cfg.Schema+`.fprom_ledger`); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i, p := range []*pgxpool.Pool{pool, hasty} {
		q, err := riverqueue.New(p, cfg)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := q.Migrate(t.Context()); err != nil {
				t.Errorf("Migrate: %v", err)
			}
		})
		waitFor(t, "Migrate to wait", func() bool {
			return countRows(t, pool, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'
				AND query_start < clock_timestamp() - interval '3.5 seconds'`, cfg.Schema) == i+1
		})
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

// TestNewerSchema: a program runs on under a schema that a newer one has migrated, unless that says that it cannot. Then it
// neither shows nor changes an event, of which it may understand only a part.
func TestNewerSchema(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		needed int
		refuse bool
	}{{"compatible", 2, false}, {"not compatible", 98, true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := riverqueue.Config{Schema: newSchema(t)}
			_, pool := open(t, cfg)
			execSQL(t, pool, `INSERT INTO `+cfg.Schema+`.fprom_migration (version, min_version) VALUES (99, $1)`, tt.needed)
			if tt.refuse {
				execSQL(t, pool, `DROP FUNCTION `+cfg.Schema+`.fprom_put`) // it may have other arguments now
			}
			q, err := riverqueue.New(pool, cfg)
			if err != nil {
				t.Fatal(err)
			}
			results := map[string]error{"Migrate": q.Migrate(t.Context()), "Entries": nil}
			_, results["Stats"] = q.Stats(t.Context())
			_, results["Redrive"] = q.Redrive(t.Context(), fprom.Filter{})
			_, results["Drop"] = q.Drop(t.Context(), fprom.Filter{})
			_, results["Forget"] = q.Forget(t.Context(), "ann")
			_, results["History"] = q.History(t.Context(), time.Now(), time.Now().Add(time.Second), time.Second)
			for _, results["Entries"] = range q.Entries(t.Context(), fprom.Filter{}) {
			}
			results["Flush"] = q.Flush(t.Context())
			results["Put"] = q.Put(t.Context(), message(t, sale("2", "ann", 100)))
			for name, err := range results {
				if refused := errors.Is(err, riverqueue.ErrSchema); refused != tt.refuse || !refused && err != nil || refused && !strings.Contains(err.Error(), "98") {
					t.Errorf("%s: %v, want it refused: %v", name, err, tt.refuse)
				}
			}
		})
	}
}

// TestTablesWithoutFunctions: who has restored the tables alone learns so.
func TestTablesWithoutFunctions(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	execSQL(t, pool, `DROP FUNCTION `+cfg.Schema+`.fprom_put`)
	if err := q.Put(t.Context(), message(t, sale("1", "ann", 100))); !errors.Is(err, riverqueue.ErrSchema) || !strings.Contains(err.Error(), "functions") {
		t.Errorf("Put: %v, want it to say what to do", err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	pool := newPool(t, database)
	t.Cleanup(pool.Close)
	for _, tt := range []struct {
		name  string
		cfg   riverqueue.Config
		field string
	}{
		{"schema in capitals", riverqueue.Config{Schema: "Billing"}, "riverqueue.Config.Schema"},
		{"schema that is SQL", riverqueue.Config{Schema: "a; DROP TABLE b"}, "riverqueue.Config.Schema"},
		{"schema too long", riverqueue.Config{Schema: strings.Repeat("a", 41)}, "riverqueue.Config.Schema"},
		{"short rescue", riverqueue.Config{Rescue: time.Second}, "riverqueue.Config.Rescue"},
		{"long rescue", riverqueue.Config{Rescue: 2 * time.Hour}, "riverqueue.Config.Rescue"},
		{"short retention", riverqueue.Config{Retention: 1}, "riverqueue.Config.Retention"},
	} {
		_, err := riverqueue.New(pool, tt.cfg)
		var invalid *fprom.ValidationError
		if !errors.As(err, &invalid) || invalid.Field != tt.field {
			t.Errorf("%s: %v, want a *ValidationError of %s", tt.name, err, tt.field)
		}
		if _, err := riverqueue.New(nil, riverqueue.Config{}); !errors.As(err, &invalid) {
			t.Errorf("no pool: %v, want a *ValidationError", err)
		}
	}
}
