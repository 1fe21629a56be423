package riverqueue

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
)

// The queues of this package in River, as fprom_wake (migrations/002_rules.sql) names them. Bulk events have one of their own, so that
// they never take the workers of live ones.
const (
	liveQueue = "fprom"
	bulkQueue = "fprom_bulk"
)

// wakeUp is a River job: the event with this key in the ledger may be delivered.
type wakeUp struct {
	Key string `json:"key"` // fprom.SafeKey
}

// Kind implements river.JobArgs.
func (wakeUp) Kind() string { return "fprom_event" }

// sql puts the schema and its FirstPromoter account into a statement. The account is part of every key, so that a schema may have more of
// them later. Outside of a text the schema is quoted, since its name may be a word of SQL.
func (q *Queue) sql(text string) string {
	return strings.NewReplacer("'$schema", "'"+q.cfg.Schema, "$schema", `"`+q.cfg.Schema+`"`, "$account", "1").Replace(text)
}

// queryRow runs a statement that returns one row, by pgx or by database/sql. Arguments and results are text or boolean, which
// every driver knows.
type queryRow func(ctx context.Context, sql string, args ...any) pgx.Row
