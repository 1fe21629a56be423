package riverqueue

import (
	"context"
	"database/sql"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// How River knows the jobs of this package. Bulk events have a queue of their own, so that they never take the workers of
// live ones.
const (
	jobKind   = "fprom_event"
	liveQueue = "fprom"
	bulkQueue = "fprom_bulk"
)

// wakeUp is a River job: it says that the event with this key in the ledger may be delivered, and nothing else.
type wakeUp struct {
	Key string `json:"key"` // fprom.SafeKey
}

// Kind implements river.JobArgs.
func (wakeUp) Kind() string { return jobKind }

const (
	// jobsSQL makes jobs of rows with a key and bulk. The time of each, by which River orders them, is to follow.
	jobsSQL = `INSERT INTO $schema.river_job (args, kind, max_attempts, queue, scheduled_at)
		SELECT jsonb_build_object('key', key), '` + jobKind + `', 32767, CASE WHEN bulk THEN '` + bulkQueue + `' ELSE '` + liveQueue + `' END, `
	// notifySQL tells the replicas that there are jobs of live events. Without it they find them within a second.
	notifySQL = `pg_notify('$schema.river_insert', '{"queue": "` + liveQueue + `"}')`
)

// account is the one FirstPromoter account of a schema. Every key has it, so that a schema may hold more one day.
const account = "1"

// store is the tables in a schema.
type store struct {
	schema string
	rescue time.Duration
	log    *slog.Logger // nil: slog.Default()
	sound  atomic.Bool  // they are those of this version
	rang   atomic.Int64 // when the replicas were last notified of what was put, in nanoseconds
}

// sql puts the schema, the account and the seconds of Config.Rescue into a statement.
func (s *store) sql(text string) string {
	return strings.NewReplacer("$schema", s.schema, "$account", account, "$rescue", strconv.FormatFloat(s.rescue.Seconds(), 'f', -1, 64)).Replace(text)
}

// query runs a statement that returns one row. What goes in and out of it is text or a boolean, so that it works with every
// driver of database/sql.
type query func(ctx context.Context, sql string, args ...any) interface{ Scan(dest ...any) error }

func pgxQuery(db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
},
) query {
	return func(ctx context.Context, sql string, args ...any) interface{ Scan(dest ...any) error } {
		return db.QueryRow(ctx, sql, args...)
	}
}

func sqlQuery(tx *sql.Tx) query {
	return func(ctx context.Context, sql string, args ...any) interface{ Scan(dest ...any) error } {
		return tx.QueryRowContext(ctx, sql, args...)
	}
}

// ringGap is how often a process notifies the replicas of what was put, at most: PostgreSQL lets transactions that notify
// commit only one after the other.
const ringGap = 20 * time.Millisecond

// rings says that a caller's transaction is to notify. Of what others store within ringGap the replicas learn by the next
// notification, or when they look, within a second.
func (s *store) rings() bool {
	last, now := s.rang.Load(), time.Now().UnixNano()
	return now-last >= int64(ringGap) && s.rang.CompareAndSwap(last, now)
}

// ring notifies the replicas once for all Puts of ringGap, outside of their statements.
func (q *Queue) ring(ctx context.Context) {
	if q.ringing.Swap(true) {
		return
	}
	last := time.Unix(0, q.store.rang.Load())
	time.AfterFunc(max(time.Until(last.Add(ringGap)), 0), func() {
		q.store.rang.Store(time.Now().UnixNano())
		q.ringing.Store(false)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dbTimeout)
		defer cancel()
		_, _ = q.pool.Exec(ctx, q.store.sql(`SELECT `+notifySQL)) // otherwise they look within a second
	})
}
