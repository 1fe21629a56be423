package riverqueue_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	pool := newPool(t, database)
	t.Cleanup(pool.Close)
	q, err := riverqueue.New(pool, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	noop := func(context.Context, fprom.Message) error { return nil }
	if err := q.Put(ctx, message(t, sale("1", "ann", 100))); !errors.Is(err, riverqueue.ErrSchema) || !strings.Contains(err.Error(), "Migrate") {
		t.Errorf("Put without tables: %v, want ErrSchema and a word on Migrate", err)
	}
	if err := runQueue(ctx, q, noop); !errors.Is(err, riverqueue.ErrSchema) {
		t.Errorf("Run without tables: %v, want ErrSchema", err)
	}
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
	if n := jobs(t, pool, cfg.Schema); n != 1 {
		t.Errorf("%d jobs after a second Migrate, want 1", n)
	}

	if _, err := pool.Exec(ctx, `INSERT INTO `+cfg.Schema+`.fprom_migration (version) VALUES (99)`); err != nil {
		t.Fatal(err)
	}
	if q, err = riverqueue.New(pool, cfg); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"Migrate": q.Migrate(ctx), "Put": q.Put(ctx, message(t, sale("2", "ann", 100))), "Run": runQueue(ctx, q, noop),
	} {
		if !errors.Is(err, riverqueue.ErrSchema) || !strings.Contains(err.Error(), "99") {
			t.Errorf("%s with the tables of a newer version: %v, want ErrSchema that names the version", name, err)
		}
	}
}

// TestMigrationSQL: what is printed makes the same tables without Migrate.
func TestMigrationSQL(t *testing.T) {
	t.Parallel()
	printed, migrated := riverqueue.Config{Schema: newSchema(t)}, riverqueue.Config{Schema: newSchema(t)}
	_, pool := open(t, migrated)
	steps, err := riverqueue.MigrationSQL(printed.Schema)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for _, sql := range steps {
		if _, err := pool.Exec(ctx, sql); err != nil {
			t.Fatalf("%v\n%s", err, sql)
		}
	}
	columns := func(schema string) (all string) {
		err := pool.QueryRow(ctx, `SELECT string_agg(concat_ws(' ', table_name, column_name, data_type, is_nullable, replace(column_default, $1, 's')), E'\n' ORDER BY table_name, ordinal_position)
			FROM information_schema.columns WHERE table_schema = $1`, schema).Scan(&all)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if a, b := columns(printed.Schema), columns(migrated.Schema); a != b {
		t.Errorf("MigrationSQL makes\n%s\nMigrate makes\n%s", a, b)
	}
	q, err := riverqueue.New(pool, printed)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Put(ctx, message(t, sale("1", "ann", 100))); err != nil {
		t.Errorf("Put into printed tables: %v", err)
	}
	if err := q.Migrate(ctx); err != nil {
		t.Errorf("Migrate of printed tables: %v", err)
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
		{"negative limit", riverqueue.Config{RequestsPerMinute: -1}, "riverqueue.Config.RequestsPerMinute"},
		{"short lease", riverqueue.Config{Lease: 1}, "riverqueue.Config.Lease"},
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
