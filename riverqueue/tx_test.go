package riverqueue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

func sale(id, customer string, amount int64) fprom.Sale {
	return fprom.Sale{EventID: id, Email: customer + "@example.com", Amount: amount, Currency: "usd"}
}

func message(tb testing.TB, e fprom.Event) fprom.Message {
	tb.Helper()
	m, err := fprom.NewMessage(e)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// jobs and entries count what is stored.
func jobs(tb testing.TB, pool *pgxpool.Pool, schema string) (n int) {
	tb.Helper()
	return countRows(tb, pool, `SELECT count(*) FROM `+schema+`.river_job`)
}

func entries(tb testing.TB, pool *pgxpool.Pool, schema string) (n int) {
	tb.Helper()
	return countRows(tb, pool, `SELECT count(*) FROM `+schema+`.fprom_ledger`)
}

func countRows(tb testing.TB, pool *pgxpool.Pool, sql string, args ...any) (n int) {
	tb.Helper()
	if err := pool.QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

func TestEnqueueTx(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		options pgx.TxOptions
		commit  bool
	}{
		{name: "commit", commit: true},
		{name: "rollback"},
		{name: "commit, repeatable read", options: pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, commit: true},
		{name: "commit, serializable", options: pgx.TxOptions{IsoLevel: pgx.Serializable}, commit: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := riverqueue.Config{Schema: newSchema(t)}
			q, pool := open(t, cfg)
			ctx := t.Context()
			if err := q.Put(ctx, message(t, sale("known", "ann", 100))); err != nil {
				t.Fatal(err)
			}
			tx, err := pool.BeginTx(ctx, tt.options)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback(ctx) }()
			if err := q.EnqueueTx(ctx, tx, sale("1", "ann", 100), sale("2", "ann", 200), sale("known", "ann", 100)); err != nil {
				t.Fatal(err)
			}
			if err := q.EnqueueTx(ctx, tx); err != nil {
				t.Errorf("EnqueueTx of nothing: %v", err)
			}
			want := 1
			if tt.commit {
				want = 3
				err = tx.Commit(ctx)
			} else {
				err = tx.Rollback(ctx)
			}
			if err != nil {
				t.Fatal(err)
			}
			if j, e := jobs(t, pool, cfg.Schema), entries(t, pool, cfg.Schema); j != want || e != want {
				t.Errorf("%d jobs and %d ledger entries, want %d", j, e, want)
			}
		})
	}
}

func TestEnqueueTxErrors(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	ctx := t.Context()
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var invalid *fprom.ValidationError
		if err := q.EnqueueTx(ctx, tx, fprom.Sale{EventID: "1"}); !errors.As(err, &invalid) {
			t.Errorf("EnqueueTx of an invalid sale: %v, want a *ValidationError", err)
		}
		if err := q.EnqueueTx(ctx, tx, sale("1", "ann", 100)); err != nil {
			return err
		}
		if err := q.EnqueueTx(ctx, tx, sale("1", "ann", 999), sale("2", "ann", 100)); !errors.Is(err, fprom.ErrConflict) {
			t.Errorf("EnqueueTx of another amount: %v, want ErrConflict", err)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("the transaction is not sound after a conflict: %v", err)
	}
	if n := jobs(t, pool, cfg.Schema); n != 2 {
		t.Errorf("%d jobs, want 2: the stored event and the other one of the conflict's call", n)
	}
}

// TestEnqueueTxPackage uses the package function, which knows no schema but the default one, in a database of its own.
func TestEnqueueTxPackage(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := newPool(t, newDatabase(t, ""))
	t.Cleanup(pool.Close)
	enqueue := func() error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return riverqueue.EnqueueTx(ctx, tx, sale("1", "ann", 100)) })
	}
	if err := enqueue(); !errors.Is(err, riverqueue.ErrSchema) || !strings.Contains(err.Error(), "Migrate") {
		t.Errorf("EnqueueTx without tables: %v, want ErrSchema and a word on Migrate", err)
	}
	q, err := riverqueue.New(pool, riverqueue.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if err := enqueue(); err != nil {
		t.Fatal(err)
	}
	if n := jobs(t, pool, riverqueue.DefaultSchema); n != 1 {
		t.Errorf("%d jobs, want 1", n)
	}
}

// TestDieAroundCommit: a process that dies right after the commit has stored its event, one that dies before has not.
func TestDieAroundCommit(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	for i := range 5 {
		for role, suffix := range map[string]string{"die before commit": "before", "die after commit": "after"} {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "FPROM_TEST_ROLE="+role, "FPROM_TEST_DATABASE="+database,
				"FPROM_TEST_SCHEMA="+cfg.Schema, fmt.Sprintf("FPROM_TEST_EVENT=%d_%s", i, suffix))
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("%s: %v, want the end by SIGKILL\n%s", role, err, out)
			}
		}
	}
	delivered := make(chan string, 100)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ran := make(chan error, 1)
	go func() {
		ran <- q.Run(ctx, 4, tracked(func(_ context.Context, m fprom.Message) error {
			delivered <- m.Key
			return nil
		}))
	}()
	for range 5 {
		select {
		case key := <-delivered:
			if key[len(key)-5:] != "after" {
				t.Errorf("%s was delivered, although its process died before the commit", key)
			}
		case <-ctx.Done():
			t.Fatal("not all committed events are delivered")
		}
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if n := entries(t, pool, cfg.Schema); n != 5 {
		t.Errorf("%d ledger entries, want 5", n)
	}
}
