package riverqueue

import (
	"context"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// The names of this package's jobs in River. Bulk events have a queue of their own, so that they never take the workers of
// live ones.
const (
	jobKind   = "fprom_event"
	liveQueue = "fprom"
	bulkQueue = "fprom_bulk"
)

// wakeUp is a River job: the event with this key in the ledger may be delivered.
type wakeUp struct {
	Key string `json:"key"` // fprom.SafeKey
}

// Kind implements river.JobArgs.
func (wakeUp) Kind() string { return jobKind }

// jobsSQL makes a job of each row with the columns key and bulk. What follows it is the job's time, by which River orders jobs, and
// the table of the rows.
const jobsSQL = `INSERT INTO $schema.river_job (args, kind, max_attempts, queue, scheduled_at)
	SELECT jsonb_build_object('key', key), '` + jobKind + `', 32767, CASE WHEN bulk THEN '` + bulkQueue + `' ELSE '` + liveQueue + `' END, `

// account is the FirstPromoter account of the schema. It is part of every key, so that a schema may have more accounts later.
const account = "1"

// sql puts the schema, the account and the seconds of Config.Rescue into a statement. Outside of a text the schema is quoted, since
// its name may be a word of SQL.
func (q *Queue) sql(text string) string {
	rescue := strconv.FormatFloat(q.cfg.Rescue.Seconds(), 'f', -1, 64)
	return strings.NewReplacer("'$schema", "'"+q.cfg.Schema, "$schema", `"`+q.cfg.Schema+`"`, "$account", account, "$rescue", rescue).Replace(text)
}

// queryRow runs a statement that returns one row, by pgx or by database/sql. Arguments and results are text or boolean, which
// every driver knows.
type queryRow func(ctx context.Context, sql string, args ...any) pgx.Row
