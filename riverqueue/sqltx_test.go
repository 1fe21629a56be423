package riverqueue_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// inSQLTx runs fn in a transaction of database/sql.
func inSQLTx(ctx context.Context, db *sql.DB, fn func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// TestEnqueueSQLTx: what EnqueueTx promises, for the transactions of database/sql, whichever driver they have.
func TestEnqueueSQLTx(t *testing.T) {
	t.Parallel()
	for _, driver := range []string{"pgx", "postgres"} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			cfg := riverqueue.Config{Schema: newSchema(t)}
			q, pool := open(t, cfg)
			ctx := t.Context()
			db, err := sql.Open(driver, database)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := inSQLTx(ctx, db, func(tx *sql.Tx) error {
				if err := q.EnqueueSQLTx(ctx, tx, sale("1", "ann", 100), fprom.Signup{Email: "ben@example.com", TID: "t"}); err != nil {
					return err
				}
				if err := q.EnqueueSQLTx(ctx, tx, sale("1", "ann", 100)); err != nil {
					t.Errorf("the same sale again: %v", err)
				}
				err := q.EnqueueSQLTx(ctx, tx, sale("1", "ann", 999), sale("2", "o'neil", 200))
				if c, ok := errors.AsType[*fprom.ConflictError](err); !ok || len(c.Keys) != 1 || c.Keys[0] != "sale:1" {
					t.Errorf("another amount: %v, want a conflict of sale:1", err)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			failed := errors.New("the order could not be marked as paid")
			if err := inSQLTx(ctx, db, func(tx *sql.Tx) error {
				return errors.Join(q.EnqueueSQLTx(ctx, tx, sale("3", "ann", 100)), failed)
			}); !errors.Is(err, failed) {
				t.Fatal(err)
			}
			if n := entries(t, pool, cfg.Schema); n != 3 {
				t.Errorf("%d entries, want 3", n)
			}
			var r record
			start(t, q, r.deliver)
			flush(t, q)
			for key, want := range map[string]fprom.Event{"sale:1": sale("1", "ann", 100), "signup:ben@example.com": fprom.Signup{Email: "ben@example.com", TID: "t"}, "sale:2": sale("2", "o'neil", 200)} {
				m := message(t, want)
				if got := r.of(key); len(got) != 1 || string(got[0].Body) != string(m.Body) || got[0].Customer != m.Customer || got[0].Digest != m.Digest {
					t.Errorf("%s: delivered %+v, want %+v", key, got, m)
				}
			}
		})
	}
}
