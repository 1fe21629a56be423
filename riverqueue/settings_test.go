package riverqueue_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// TestSettings: whatever a database, a role or a URL sets, events are stored, delivered, listed and redriven, with the right
// times.
func TestSettings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, setting, value string }{
		{"dates of another order", "DateStyle", "German"},
		{"intervals of SQL", "IntervalStyle", "sql_standard"},
		{"time zone west", "TimeZone", "America/New_York"},
		{"time zone east", "TimeZone", "Asia/Kolkata"},
		{"no search path", "search_path", `""`},
		{"strings with backslashes", "standard_conforming_strings", "off"},
		{"serializable", "default_transaction_isolation", "serializable"},
		{"generic plans", "plan_cache_mode", "force_generic_plan"},
		{"arrays without nulls", "array_nulls", "off"},
		{"null equals null", "transform_null_equals", "on"},
		{"other encoding", "client_encoding", "LATIN1"},
		{"no prepared statements", "default_query_exec_mode", "exec"},
		{"described once", "default_query_exec_mode", "cache_describe"},
		{"simple protocol", "default_query_exec_mode", "simple_protocol"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := riverqueue.Config{Schema: newSchema(t)}
			q, pool := openAt(t, withQuery(t, database, tt.setting, tt.value), cfg)
			lifeOfEvents(t, q, pool, cfg.Schema)
			if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
				return q.EnqueueTx(t.Context(), tx, sale("tx", "tom", 100))
			}); err != nil {
				t.Error(err)
			}
		})
	}
}

// lifeOfEvents puts a good event, one that fails once and a bad one, and looks at them in every way.
func lifeOfEvents(t *testing.T, q *riverqueue.Queue, pool *pgxpool.Pool, schema string) {
	t.Helper()
	ctx := t.Context()
	begun := time.Now().Add(-time.Second)
	var good atomic.Bool
	settled := make(chan struct{}) // the two others
	put(t, q, sale("good", "ann", 100), sale("again", "ben", 100), sale("bad", "cid", 100))
	stop := start(t, q, func(ctx context.Context, m fprom.Message) error {
		if since := time.Since(m.RecordedAt); since < 0 || since > time.Minute {
			t.Errorf("%s is delivered as recorded at %v", m.Key, m.RecordedAt)
		}
		switch {
		case m.Key == "sale:bad" && !good.Load():
			return &fprom.APIError{StatusCode: 400, Message: "the name “Zoë” – 名 – is \x00 \xff wrong"}
		case m.Key == "sale:again" && m.Attempt == 1:
			select {
			case <-settled:
			case <-ctx.Done():
			}
			return &fprom.APIError{StatusCode: 503, RetryAfter: 15 * time.Minute}
		}
		return q.Admit(ctx, 6000)
	})
	waitFor(t, "the first outcomes", func() bool {
		return len(entriesOf(t, q, fprom.Filter{State: fprom.StateDone})) == 1 && len(entriesOf(t, q, fprom.Filter{State: fprom.StateDead})) == 1
	})
	close(settled)
	waitFor(t, "the first attempt of the third", func() bool {
		waiting := entriesOf(t, q, fprom.Filter{State: fprom.StateWaiting})
		return len(waiting) == 1 && waiting[0].Attempts == 1
	})
	all := entriesOf(t, q, fprom.Filter{Since: begun, Until: time.Now().Add(time.Second)})
	if len(all) != 3 {
		t.Fatalf("%d entries: %+v", len(all), all)
	}
	for _, e := range all {
		if e.RecordedAt.Before(begun) || e.RecordedAt.After(time.Now()) || e.SettledAt.IsZero() != (e.State == fprom.StateWaiting) {
			t.Errorf("recorded at %v, settled at %v: %+v", e.RecordedAt, e.SettledAt, e)
		}
	}
	if at := all[1].NextAttempt; all[1].State != fprom.StateWaiting || at.Before(begun.Add(15*time.Minute)) || at.After(time.Now().Add(15*time.Minute)) {
		t.Errorf("the next attempt is in %v, want 15 minutes: %+v", time.Until(at), all[1])
	}
	if s, err := q.Stats(ctx); err != nil || s.Dead != 1 || s.LastSuccess.Before(begun) || !s.PausedUntil.IsZero() || !s.Oldest.IsZero() && s.Oldest.Before(begun) {
		t.Errorf("Stats: %+v, %v", s, err)
	}
	if err := q.Pause(ctx, 10*time.Millisecond, errRejected); err != nil {
		t.Errorf("Pause: %v", err)
	}
	good.Store(true)
	comeDue(t, pool, schema)
	if n, err := q.Redrive(ctx, fprom.Filter{Keys: []string{"bad"}, Since: begun, Reason: "Zoë"}); n != 1 || err != nil {
		t.Errorf("Redrive: %d, %v", n, err)
	}
	flush(t, q)
	stop()
	if bs, err := q.History(ctx, begun, time.Now(), time.Hour); err != nil || len(bs) == 0 || bs[0].Tracked+bs[len(bs)-1].Tracked < 3 {
		t.Errorf("History: %+v, %v", bs, err)
	}
	if n, err := q.Forget(ctx, "cid@example.com"); n != 0 || err != nil {
		t.Errorf("Forget: %d, %v", n, err)
	}
	if n, err := q.Drop(ctx, fprom.Filter{Until: time.Now()}); n != 0 || err != nil {
		t.Errorf("Drop: %d, %v", n, err)
	}
}

// TestReasonInAnotherEncoding: a reason with characters that the database cannot store does not keep an event from its outcome, and its
// worker from others.
func TestReasonInAnotherEncoding(t *testing.T) {
	t.Parallel()
	q, _ := openAt(t, withQuery(t, newDatabase(t, `ENCODING LATIN1 LOCALE 'C' TEMPLATE template0`), "client_encoding", "UTF8"), riverqueue.Config{})
	put(t, q, sale("1", "ann", 100), sale("2", "ben", 100))
	startWith(t, q, 1, func(_ context.Context, m fprom.Message) error {
		if m.Attempt == 2 {
			return nil
		}
		return map[string]error{"sale:1": &fprom.APIError{StatusCode: 400, Message: "Zoë 名"}, "sale:2": errors.New("名")}[m.Key]
	})
	flush(t, q)
	es := entriesOf(t, q, fprom.Filter{})
	if len(es) != 2 || es[0].State != fprom.StateDead || !strings.Contains(es[0].Reason, `Zo\u00eb \u540d`) || es[1].State != fprom.StateDone || es[1].Attempts != 2 {
		t.Errorf("entries: %+v, want a dead letter with its reason, and an event that is done after two attempts", es)
	}
}

// TestSchemaNamedByAReservedWord: a word of SQL is a name like any other.
func TestSchemaNamedByAReservedWord(t *testing.T) {
	t.Parallel()
	q, pool := open(t, riverqueue.Config{Schema: "user"})
	t.Cleanup(func() {
		if _, err := pool.Exec(context.Background(), `DROP SCHEMA "user" CASCADE`); err != nil {
			t.Error(err)
		}
	})
	lifeOfEvents(t, q, pool, "user")
}

// TestMigrateInAGivenSchema: where the administrator has made the schema, the right to create in it is enough.
func TestMigrateInAGivenSchema(t *testing.T) {
	t.Parallel()
	admin := newPool(t, database)
	t.Cleanup(admin.Close)
	schema := newSchema(t)
	role := schema + "_role"
	execSQL(t, admin, `CREATE ROLE `+role+` LOGIN PASSWORD 'x'`)
	execSQL(t, admin, `CREATE SCHEMA `+schema+` AUTHORIZATION `+role)
	t.Cleanup(func() {
		if _, err := admin.Exec(context.Background(), `DROP OWNED BY `+role+` CASCADE; DROP ROLE `+role); err != nil {
			t.Error(err)
		}
	})
	q, pool := openAt(t, asRole(t, role), riverqueue.Config{Schema: schema})
	lifeOfEvents(t, q, pool, schema)
}

// TestFlushWithoutDescriptions: a pool that keeps no descriptions of statements can flush, as some that use a pooler do.
func TestFlushWithoutDescriptions(t *testing.T) {
	t.Parallel()
	q, _ := openAt(t, withQuery(t, database, "description_cache_capacity", "0"), riverqueue.Config{})
	put(t, q, sale("1", "ann", 100))
	var r record
	start(t, q, r.deliver)
	flush(t, q)
}
