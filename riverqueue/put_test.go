package riverqueue_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/postgres"
	"github.com/fprom-go/fprom/riverqueue"
)

// TestSameIDInOneCall: of several events of one call with the same id the first is stored. Another amount is a conflict.
func TestSameIDInOneCall(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	var ms []fprom.Message
	for _, e := range []fprom.Event{
		sale("2", "ben", 100), sale("1", "ann", 100), sale("1", "ann", 100),
		fprom.Cancellation{UID: "ann"},
		sale("1", "ann", 999),
		sale("3", "ann", 100),
		fprom.Cancellation{UID: "ann"},
	} {
		ms = append(ms, message(t, e))
	}
	err := q.Put(t.Context(), ms...)
	if c, ok := errors.AsType[*fprom.ConflictError](err); !ok || !slices.Equal(c.Keys, []string{"sale:1"}) {
		t.Errorf("Put: %v, want a conflict of sale:1 alone", err)
	}
	var keys []string
	for _, e := range entriesOf(t, q, fprom.Filter{}) {
		keys = append(keys, e.Key)
		if e.Kind == fprom.KindSale && e.Amount != 100 {
			t.Errorf("%+v, want the amount of the first", e)
		}
	}
	if want := []string{"sale:2", "sale:1", "cancellation:ann", "sale:3"}; !slices.Equal(keys, want) {
		t.Errorf("entries %v, want %v", keys, want)
	}
	if n := jobs(t, pool, cfg.Schema); n != 4 {
		t.Errorf("%d jobs, want one for each entry", n)
	}
	if s, err := q.Stats(t.Context()); err != nil || s.Conflicts != 1 {
		t.Errorf("Stats: %+v, %v", s, err)
	}
}

// TestPutOverAClosedConnection: the server, or a pooler, ends the connection of a Put under way. The event is stored by another.
func TestPutOverAClosedConnection(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	stored := make(chan error, 1)
	if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		if err := q.EnqueueTx(t.Context(), tx, sale("1", "ann", 100)); err != nil {
			return err
		}
		m := message(t, sale("1", "ann", 100))
		go func() { stored <- q.Put(t.Context(), m) }()
		waiters(t, pool, cfg.Schema, 1)
		execSQL(t, pool, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND strpos(query, $1) > 0`, `"`+cfg.Schema+`".fprom_`)
		return errors.New("the order is not paid")
	}); err == nil {
		t.Fatal("the transaction was committed")
	}
	if err := <-stored; err != nil {
		t.Errorf("Put: %v", err)
	}
	if n := entries(t, pool, cfg.Schema); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
}

// TestPutAfterAnErrorThatLasts: a checkout does not wait for tries that cannot help.
func TestPutAfterAnErrorThatLasts(t *testing.T) {
	t.Parallel()
	for state, again := range map[string]bool{"42501": false, "23505": false, "53100": true, "40P01": true} { // no right, a sequence that is behind, no disk space (a query that fills the disk gives it back as it fails), a deadlock
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			cfg := riverqueue.Config{Schema: newSchema(t)}
			q, pool := open(t, cfg)
			execSQL(t, pool, strings.NewReplacer("$s", cfg.Schema, "$e", state).Replace(`CREATE SEQUENCE $s.tries;
				CREATE OR REPLACE FUNCTION $s.fprom_put(messages jsonb) RETURNS TABLE (place bigint, age float8) LANGUAGE plpgsql AS $$
				BEGIN PERFORM nextval('$s.tries'); RAISE 'on purpose' USING ERRCODE = '$e'; END $$`))
			if err := q.Put(t.Context(), message(t, sale("1", "ann", 100))); err == nil {
				t.Error("Put: no error")
			}
			if n := countRows(t, pool, `SELECT last_value FROM `+cfg.Schema+`.tries`); (n > 1) != again {
				t.Errorf("%d tries", n)
			}
		})
	}
}

// TestPutBesideASequenceThatIsBehind: logical replication copies rows, and not how far a sequence is. The error says where
// what to do is described.
func TestPutBesideASequenceThatIsBehind(t *testing.T) {
	t.Parallel()
	for sequence, mend := range map[string]string{
		"fprom_seq":        `SELECT setval('$s.fprom_seq', (SELECT max(seq) FROM $s.fprom_ledger))`,
		"river_job_id_seq": `SELECT setval('$s.river_job_id_seq', (SELECT max(id) FROM $s.river_job))`,
	} {
		t.Run(sequence, func(t *testing.T) {
			t.Parallel()
			cfg := riverqueue.Config{Schema: newSchema(t)}
			q, pool := open(t, cfg)
			for i := range 20 {
				put(t, q, sale(strconv.Itoa(i), "ann", 100))
			}
			execSQL(t, pool, `SELECT setval('`+cfg.Schema+`.`+sequence+`', 9)`)
			if err := q.Put(t.Context(), message(t, sale("new", "ann", 100))); err == nil || !strings.Contains(err.Error(), "Moving the outbox") {
				t.Errorf("Put: %v, want an error that names the description", err)
			}
			execSQL(t, pool, strings.ReplaceAll(mend, "$s", cfg.Schema))
			put(t, q, sale("new", "ann", 100))
		})
	}
}

// TestCrashRightAfterAPut: what was accepted outlives a crash of the server, also where commits do not wait for the disk by
// default. They still do not wait for a standby then, which may be missing.
func TestCrashRightAfterAPut(t *testing.T) {
	t.Parallel()
	server, err := postgres.Start(t.Context(), "synchronous_commit=off", "wal_writer_delay=10s", "synchronous_standby_names=missing")
	if errors.Is(err, postgres.ErrMissing) && database != "" {
		t.Skip("needs the programs of a PostgreSQL server")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Stop() }()
	q, pool := openAt(t, server.URL, riverqueue.Config{Schema: "fprom"})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	enqueue := func(id string) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return q.EnqueueTx(ctx, tx, sale(id, "ann", 100)) })
	}
	for id, store := range map[string]func(string) error{
		"1": func(id string) error { return q.Put(ctx, message(t, sale(id, "ann", 100))) },
		"2": enqueue,
	} {
		if err := store(id); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(server.Crash(), server.Continue(context.Background())); err != nil {
			t.Fatal(err)
		}
		pool.Reset()
		if n := len(entriesOf(t, q, fprom.Filter{Keys: []string{"sale:" + id}})); n != 1 {
			t.Errorf("event %s: %d entries after the crash, want 1", id, n)
		}
	}
}

// TestCallersWhoHangUp: callers who cancel their Puts leave the connections of the others open.
func TestCallersWhoHangUp(t *testing.T) {
	t.Parallel()
	q, pool := openAt(t, database, riverqueue.Config{})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	var opened int64
	for i := range 10 {
		if err := q.Put(t.Context(), message(t, sale(strconv.Itoa(i), "ann", 100))); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			opened = pool.Stat().NewConnsCount()
		}
		if err := q.Put(cancelled, message(t, sale("late", "ann", 100))); !errors.Is(err, context.Canceled) {
			t.Errorf("Put: %v", err)
		}
	}
	if n := pool.Stat().NewConnsCount() - opened; n > 3 {
		t.Errorf("10 Puts that were cancelled cost %d connections", n)
	}
}
