package riverqueue_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// old is an event in the tables of version 1.
type old struct {
	event    fprom.Event
	state    string // in the ledger of version 1
	job      string // state of its River job; empty: none
	inLedger bool   // the body is in the ledger, not only in the job
	want     fprom.State
}

// TestMigrateData converts tables of version 1: what waits is delivered in its order, what is done stays done, a dead letter
// can be redriven, and no address is left where none is needed.
func TestMigrateData(t *testing.T) {
	t.Parallel()
	schema := newSchema(t)
	pool := newPool(t, database)
	t.Cleanup(pool.Close)
	makeVersion1(t, pool, schema)
	all := []old{
		{sale("done", "ann", 100), "done", "completed", false, fprom.StateDone},
		{fprom.Signup{Email: "signedup@example.com", TID: "t"}, "done", "completed", false, fprom.StateDone},
		{sale("older", "ann", 150), "done", "", false, fprom.StateDone},
		{sale("head", "ann", 200), "head", "scheduled", false, fprom.StateWaiting},
		{sale("parked", "ann", 300), "parked", "completed", true, fprom.StateWaiting},
		{sale("queued", "ben", 400), "queued", "available", false, fprom.StateWaiting},
		{fprom.Signup{Email: "cid@example.com", TID: "t"}, "queued", "available", false, fprom.StateWaiting},
		{sale("dead", "dan", 500), "dead", "cancelled", true, fprom.StateDead},
		{sale("deleted", "eve", 600), "dead", "", false, fprom.StateDead},
		{sale("lost", "fay", 700), "queued", "", false, fprom.StateDead},
	}
	for _, o := range all {
		o.insert(t, pool, schema)
	}
	execSQL(t, pool, `UPDATE `+schema+`.fprom_ledger SET conflicts = '{1,2}' WHERE key = 'sale:done'`)
	q, err := riverqueue.New(pool, riverqueue.Config{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	es := entriesOf(t, q, fprom.Filter{Personal: true})
	if len(es) != len(all) {
		t.Fatalf("%d entries, want %d: %+v", len(es), len(all), es)
	}
	for i, e := range es {
		m := message(t, all[i].event)
		amount, currency := m.Money()
		if all[i].job == "" && !all[i].inLedger { // nobody knows it any more
			amount, currency = 0, ""
		}
		if e.Key != fprom.SafeKey(m.Key) || e.State != all[i].want || e.Amount != amount || e.Currency != currency ||
			e.State == fprom.StateDone && e.Customer != "" || e.State == fprom.StateWaiting && e.Customer != m.Customer {
			t.Errorf("entry %d: %+v, want %s of %+v", i, e, all[i].want, m)
		}
	}
	if s, err := q.Stats(t.Context()); err != nil || s.Conflicts != 2 || s.Pending != 4 || s.Dead != 3 || s.Ledger != 3 {
		t.Errorf("Stats: %+v, %v", s, err)
	}
	if n, err := q.Redrive(t.Context(), fprom.Filter{}); n != 1 || err != nil {
		t.Errorf("Redrive: %d, %v; want the one whose body was kept", n, err)
	}
	var r record
	start(t, q, r.deliver)
	flush(t, q)
	for _, o := range all {
		m, want := message(t, o.event), 0
		if o.want == fprom.StateWaiting || o.state == "dead" && o.inLedger {
			want = 1
		}
		got := r.of(m.Key)
		if len(got) != want || want == 1 && (string(got[0].Body) != string(m.Body) || got[0].Digest != m.Digest || got[0].Customer != m.Customer) {
			t.Errorf("%s: delivered %+v, want %d times %+v", m.Key, got, want, m)
		}
	}
	if r.calls[len(r.calls)-1].Key == "sale:head" {
		t.Errorf("order of a customer: %+v", r.calls)
	}
	noAddresses(t, pool, schema, "dead")
	if err := q.Put(t.Context(), message(t, all[0].event), message(t, all[3].event)); err != nil {
		t.Errorf("Put of what is remembered: %v", err)
	}
}

// makeVersion1 makes the tables of version 1, with River's.
func makeVersion1(t *testing.T, pool *pgxpool.Pool, schema string) {
	t.Helper()
	execSQL(t, pool, `CREATE SCHEMA `+schema)
	river, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: schema, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := river.Migrate(t.Context(), rivermigrate.DirectionUp, nil); err != nil {
		t.Fatal(err)
	}
	execSQL(t, pool, `CREATE TABLE `+schema+`.fprom_migration (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`)
	ledger, err := os.ReadFile("migrations/001_ledger.sql")
	if err != nil {
		t.Fatal(err)
	}
	execSQL(t, pool, strings.ReplaceAll(string(ledger), "$schema", schema))
}

func (o old) insert(t *testing.T, pool *pgxpool.Pool, schema string) {
	t.Helper()
	m := message(t, o.event)
	var body *string
	if o.inLedger {
		b := string(m.Body)
		body = &b
	}
	execSQL(t, pool, `INSERT INTO `+schema+`.fprom_ledger (key, digest, recorded_at, settled_at, attempts, kind, customer, state, body)
		VALUES ($1, $2, $3, CASE WHEN $4 IN ('done', 'dead') THEN now() END, 1, $5, $6, $4, $7)`,
		m.Key, int64(m.Digest), m.RecordedAt, o.state, m.Kind, m.Customer, body)
	if o.job == "" {
		return
	}
	execSQL(t, pool, `INSERT INTO `+schema+`.river_job (args, kind, max_attempts, queue, state, finalized_at)
		VALUES (jsonb_build_object('key', $1::text, 'kind', $2::text, 'customer', $3::text, 'recorded_at', $4::timestamptz, 'body', $5::text), 'fprom_event', 32767, 'fprom', $6::text::`+schema+`.river_job_state,
			CASE WHEN $6::text IN ('completed', 'cancelled') THEN now() END)`, m.Key, m.Kind, m.Customer, m.RecordedAt, string(m.Body), o.job)
}

// noAddresses fails if an e-mail address stands in a job or a conflict, or in a row of the ledger in another state than this.
func noAddresses(t *testing.T, pool *pgxpool.Pool, schema, but string) {
	t.Helper()
	for _, rows := range []string{
		`SELECT l::text AS text FROM ` + schema + `.fprom_ledger l WHERE state <> '` + but + `'`,
		`SELECT j::text AS text FROM ` + schema + `.river_job j`,
		`SELECT c::text AS text FROM ` + schema + `.fprom_conflict c`,
	} {
		var found string
		if err := pool.QueryRow(t.Context(), `SELECT coalesce(string_agg(text, E'\n'), '') FROM (`+rows+`) r WHERE text LIKE '%@%'`).Scan(&found); err != nil {
			t.Fatal(err)
		}
		if found != "" {
			t.Errorf("an address where none is needed:\n%s", found)
		}
	}
}

// TestPersonalData: with the outcome the address is gone, also that of a dead letter whose customer is forgotten, and jobs never
// have one.
func TestPersonalData(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	put(t, q, sale("1", "ann", 100), fprom.Signup{Email: "ben@example.com", TID: "t"}, fprom.Cancellation{Email: "cid@example.com"},
		fprom.Signup{Email: "dan@example.com", TID: "t"}, fprom.Signup{Email: "eve@example.com", TID: "t"})
	noAddresses(t, pool, cfg.Schema, "waiting")
	if n, err := q.Forget(t.Context(), "dan@example.com"); n != 0 || err != nil {
		t.Errorf("Forget of a customer whose event waits: %d, %v", n, err)
	}
	r := record{answer: func(m fprom.Message) error {
		if m.Customer == "dan@example.com" || m.Customer == "eve@example.com" {
			return errRejected
		}
		return nil
	}}
	start(t, q, r.deliver)
	flush(t, q)
	if n, err := q.Forget(t.Context(), "eve@example.com"); n != 1 || err != nil {
		t.Errorf("Forget of a customer with a dead letter: %d, %v", n, err)
	}
	noAddresses(t, pool, cfg.Schema, "")
	if r.count("signup:ben@example.com") != 1 || r.count("cancellation:cid@example.com") != 1 {
		t.Errorf("deliveries: %+v", r.calls)
	}
}

// TestMigrateManySchemas: four queues start at once with one pool of four connections, the size that pgxpool gives to a
// small machine.
func TestMigrateManySchemas(t *testing.T) {
	t.Parallel()
	pool := newPool(t, database, func(c *pgxpool.Config) { c.MaxConns = 4 })
	t.Cleanup(pool.Close)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var wg sync.WaitGroup
	for range 4 {
		q, err := riverqueue.New(pool, riverqueue.Config{Schema: newSchema(t)})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			wg.Go(func() {
				if err := q.Migrate(ctx); err != nil {
					t.Errorf("Migrate: %v", err)
				}
			})
		}
	}
	wg.Wait()
}

// TestMigrateWithoutRights: where the schema is current, a role that may only read and write rows may call Migrate, and
// everything else.
func TestMigrateWithoutRights(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	_, pool := open(t, cfg)
	own := newPool(t, withRole(t, pool, cfg.Schema,
		`SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA $s`, `USAGE ON ALL SEQUENCES IN SCHEMA $s`))
	t.Cleanup(own.Close)
	q, err := riverqueue.New(own, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Migrate(t.Context()); err != nil {
		t.Fatalf("Migrate of what is current: %v", err)
	}
	put(t, q, sale("1", "ann", 100), sale("2", "ben", 100))
	var r record
	start(t, q, r.deliver)
	flush(t, q)
	if len(r.calls) != 2 {
		t.Errorf("deliveries: %+v", r.calls)
	}
}

// TestMigrateWithoutALanguage: where the schema is current, Migrate needs no right to write functions, which an administrator may take
// away from all. The test has a database of its own.
func TestMigrateWithoutALanguage(t *testing.T) {
	t.Parallel()
	admin := newPool(t, database)
	t.Cleanup(admin.Close)
	name := newSchema(t)
	execSQL(t, admin, `CREATE DATABASE `+name)
	t.Cleanup(func() {
		if _, err := admin.Exec(context.Background(), `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	here := func(dbURL string) string {
		u, err := url.Parse(dbURL)
		if err != nil {
			t.Fatal(err)
		}
		u.Path = "/" + name
		return u.String()
	}
	_, pool := openAt(t, here(database), riverqueue.Config{Schema: name})
	execSQL(t, pool, `REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC`)
	own := newPool(t, here(withRole(t, pool, name, `SELECT ON ALL TABLES IN SCHEMA $s`)))
	t.Cleanup(own.Close)
	q, err := riverqueue.New(own, riverqueue.Config{Schema: name})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestEnqueueAlone: a role that only stores events, in its own transactions, needs these rights and no others. It cannot read
// River's jobs.
func TestEnqueueAlone(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	put(t, q, sale("known", "ann", 100))
	own := newPool(t, withRole(t, pool, cfg.Schema,
		`SELECT ON $s.fprom_migration`, `SELECT, INSERT, UPDATE ON $s.fprom_ledger`, `INSERT ON $s.fprom_conflict, $s.river_job`,
		`USAGE ON SEQUENCE $s.fprom_seq, $s.river_job_id_seq`))
	t.Cleanup(own.Close)
	q, err := riverqueue.New(own, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := pgx.BeginFunc(t.Context(), own, func(tx pgx.Tx) error {
		if err := q.EnqueueTx(t.Context(), tx, sale("1", "ann", 100), sale("known", "ann", 999)); !errors.Is(err, fprom.ErrConflict) {
			t.Errorf("EnqueueTx: %v, want a conflict", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n := jobs(t, pool, cfg.Schema); n != 2 {
		t.Errorf("%d jobs, want 2", n)
	}
}

// TestMissingRight: if a role lacks a right, the error says where the rights are listed.
func TestMissingRight(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	_, pool := open(t, cfg)
	own := newPool(t, withRole(t, pool, cfg.Schema, `SELECT ON $s.fprom_migration`))
	t.Cleanup(own.Close)
	stranger, err := riverqueue.New(own, cfg)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := riverqueue.New(own, riverqueue.Config{Schema: newSchema(t)})
	if err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"Put":     stranger.Put(t.Context(), message(t, sale("1", "ann", 100))),
		"Migrate": elsewhere.Migrate(t.Context()),
	} {
		if err == nil || !strings.Contains(err.Error(), "permission denied") || !strings.Contains(err.Error(), `"Deploying"`) {
			t.Errorf("%s: %v, want what was denied, and where the rights are listed", what, err)
		}
	}
}

// withRole makes a role with rights in a schema, which stands for $s, until the end of the test, and returns its URL.
func withRole(t *testing.T, pool *pgxpool.Pool, schema string, rights ...string) string {
	t.Helper()
	role := schema + "_role"
	execSQL(t, pool, `CREATE ROLE `+role+` LOGIN PASSWORD 'x'`)
	t.Cleanup(func() {
		if _, err := pool.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role); err != nil {
			t.Error(err)
		}
	})
	for _, right := range append(rights, `USAGE ON SCHEMA $s`) {
		execSQL(t, pool, `GRANT `+strings.ReplaceAll(right, "$s", schema)+` TO `+role)
	}
	return asRole(t, role)
}

// statements notes what is sent outside of a transaction.
type statements struct {
	mu  sync.Mutex
	all []string
}

func (s *statements) TraceQueryStart(ctx context.Context, conn *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if conn.PgConn().TxStatus() == 'I' || strings.Contains(d.SQL, "advisory") {
		s.all = append(s.all, d.SQL)
	}
	return ctx
}

func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TestMigrateThroughPooler: a pooler in transaction mode may give each transaction another connection of the server. So
// Migrate does everything in transactions, and its lock ends with them.
func TestMigrateThroughPooler(t *testing.T) {
	t.Parallel()
	var s statements
	pool := newPool(t, database, func(c *pgxpool.Config) { c.ConnConfig.Tracer = &s })
	t.Cleanup(pool.Close)
	q, err := riverqueue.New(pool, riverqueue.Config{Schema: newSchema(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	locks := 0
	for _, sql := range s.all {
		switch {
		case strings.Contains(sql, "pg_advisory_xact_lock"):
			locks++
		case !strings.HasPrefix(sql, "begin"):
			t.Errorf("outside of a transaction, or with a lock of the session: %s", sql)
		}
	}
	if locks == 0 {
		t.Error("no lock was taken: processes that start at once would disturb each other")
	}
}
