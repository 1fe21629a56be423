package riverqueue

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fprom-go/fprom"
)

// maxWait is the longest time to the next attempt. A later next_attempt counts as past, see notDue.
const maxWait = time.Hour

// underWay is true for a row of the ledger whose delivery is under way. A time further ahead than any claim was stored before
// the database's clock stepped back. It counts as past.
func underWay(row string) string {
	return `(` + row + `.claimed_until BETWEEN clock_timestamp() AND clock_timestamp() + interval '$rescue seconds' + interval '1 minute')`
}

// notDue is true for a row of the ledger whose next attempt is later. A time further ahead than maxWait counts as past, too.
func notDue(row string) string {
	return `(` + row + `.next_attempt BETWEEN clock_timestamp() AND clock_timestamp() + interval '61 minutes')`
}

// ready is true for a row l of the ledger that may be delivered now: it waits, it is due, and no delivery of it is under way.
// No other event of its customer is under way, and each earlier one is set aside.
var ready = `l.state = 'waiting' AND NOT ` + underWay("l") + ` AND NOT ` + notDue("l") + ` AND NOT EXISTS (
		SELECT 1 FROM $schema.fprom_ledger o WHERE o.account_id = l.account_id AND o.customer = l.customer AND o.customer <> '' AND o.state = 'waiting'
		AND o.key <> l.key AND (o.seq < l.seq AND NOT o.aside OR ` + underWay("o") + `))`

var (
	// lockSQL locks the customer of the event $1: no other transaction begins or ends a delivery for the customer meanwhile.
	lockSQL = `SELECT pg_advisory_xact_lock(hashtextextended('$schema/$account/' || CASE customer WHEN '' THEN 'key/' || key ELSE 'customer/' || customer END, 7306040937))
		FROM $schema.fprom_ledger WHERE account_id = $account AND key = $1`
	// claimSQL claims the event @key for @seconds if it is ready. A bulk event, or one whose job is in the bulk queue (@bulk), is
	// claimed only if no other live event is ready.
	claimSQL = `UPDATE $schema.fprom_ledger l SET generation = generation + 1, claimed_until = clock_timestamp() + make_interval(secs => @seconds)
		WHERE l.account_id = $account AND l.key = @key AND ` + ready + `
			AND NOT ((l.bulk OR @bulk) AND EXISTS (SELECT 1 FROM $schema.fprom_ledger l WHERE l.account_id = $account AND NOT l.bulk AND l.key <> @key AND ` + ready + `))
		RETURNING generation, coalesce(clear_key, key), kind, customer, coalesce(body, ''), recorded_at, attempts + 1, digest, bulk`
	// claimAgainSQL returns the seconds until the next try to claim the event $1, or -1 if the event is settled or another job
	// will wake it.
	claimAgainSQL = `SELECT (CASE
			WHEN ` + ready + ` THEN 0 -- a bulk event behind live ones
			WHEN l.state <> 'waiting' OR ` + underWay("l") + ` THEN -1
			WHEN ` + notDue("l") + ` THEN extract(epoch FROM l.next_attempt - clock_timestamp())
			WHEN l.aside THEN 1 -- wakeNextSQL does not wake it
			ELSE -1
		END)::float8
		FROM $schema.fprom_ledger l WHERE l.account_id = $account AND l.key = $1`
	// makeLiveSQL makes the earlier bulk events of the customer live if the event $1 is live. The first of them gets a job.
	makeLiveSQL = `WITH event AS MATERIALIZED (SELECT customer, seq, state = 'waiting' AND NOT bulk AS live FROM $schema.fprom_ledger WHERE account_id = $account AND key = $1),
		earlier AS (UPDATE $schema.fprom_ledger SET bulk = false WHERE account_id = $account AND customer = (SELECT customer FROM event WHERE live) AND customer <> ''
			AND state = 'waiting' AND bulk AND seq < (SELECT seq FROM event) RETURNING key, seq, bulk)
		` + jobsSQL + `now() FROM earlier ORDER BY seq LIMIT 1`
	// settleSQL stores an outcome. Customer, body and clear key are erased, unless the event is a dead letter that may be redriven.
	settleSQL = `UPDATE $schema.fprom_ledger SET state = @state, outcome = @outcome, reason = @reason, status_code = @status, promoter_event = @id,
			commissions = @commissions, attempts = @attempts, settled_at = clock_timestamp(),
			claimed_until = '-infinity', next_attempt = '-infinity', aside = false, forget = false,
			customer = CASE WHEN @state = 'done' OR forget THEN '' ELSE customer END,
			body = CASE WHEN @state = 'done' OR forget THEN NULL ELSE body END,
			clear_key = CASE WHEN @state = 'done' OR forget THEN NULL ELSE clear_key END
		WHERE account_id = $account AND key = @key AND generation = @generation AND state = 'waiting'`
	// retrySQL stores a failed attempt and the time of the next one.
	retrySQL = `UPDATE $schema.fprom_ledger SET attempts = @attempts, reason = @reason, status_code = @status, aside = aside OR @aside,
			next_attempt = clock_timestamp() + make_interval(secs => @wait), claimed_until = '-infinity'
		WHERE account_id = $account AND key = @key AND generation = @generation AND state = 'waiting'`
	// wakeNextSQL makes a job for the next event of the customer $1 after that with the key $2. The job has the age of the event.
	// Of the events that are not set aside, no other can be ready than the first.
	wakeNextSQL = `WITH first AS (SELECT * FROM $schema.fprom_ledger l WHERE l.account_id = $account AND l.customer = $1 AND l.customer <> ''
			AND l.key <> $2 AND NOT l.aside AND l.state = 'waiting' ORDER BY l.seq LIMIT 1),
		next AS MATERIALIZED (SELECT key, bulk, recorded_at FROM first l WHERE ` + ready + `)
		` + jobsSQL + `least(recorded_at, now()) FROM next`
)

// claimed is an event that this process delivers.
type claimed struct {
	message    fprom.Message
	key        string // in the ledger
	generation int
}

// claim begins the delivery of an event. If it cannot, it returns nil and the time after which to try again: zero means soon, by
// this job, and less means never.
func (q *Queue) claim(ctx context.Context, key string, bulk bool) (c *claimed, again time.Duration, err error) {
	c = &claimed{key: key}
	m := &c.message
	var body string
	var digest int64
	secs := -1.0
	err = q.finish(ctx, func(b *pgx.Batch) {
		b.Queue(q.sql(lockSQL), key)
		scanOptional(b.Queue(q.sql(claimSQL), pgx.StrictNamedArgs{"key": key, "bulk": bulk, "seconds": (q.cfg.Rescue * 5 / 6).Seconds()}),
			&c.generation, &m.Key, &m.Kind, &m.Customer, &body, &m.RecordedAt, &m.Attempt, &digest, &m.Bulk)
		scanOptional(b.Queue(q.sql(claimAgainSQL), key), &secs)
		b.Queue(q.sql(makeLiveSQL), key)
	})
	switch {
	case err != nil:
		return nil, 0, err
	case c.generation > 0: // claimSQL returned a row
		m.Body, m.Digest = []byte(body), uint64(digest)
		return c, 0, nil
	}
	return nil, time.Duration(secs * float64(time.Second)), nil
}

// settle stores what became of a delivery, and tells River whether to wake the event again. A delivery that ctx cut short is no
// attempt.
func (q *Queue) settle(run, ctx context.Context, c *claimed, result fprom.Result, failure error) error {
	e := fprom.NewEntry(c.message)
	e.Settle(result, failure, time.Now())
	if failure == nil || fprom.IsPermanent(failure) {
		q.store(run, c, settleSQL, pgx.StrictNamedArgs{
			"key": c.key, "generation": c.generation, "attempts": e.Attempts, "reason": storable(e.Reason), "status": e.StatusCode,
			"state": string(e.State), "outcome": string(e.Outcome), "id": e.ID, "commissions": e.CommissionIDs,
		})
		return nil
	}
	wait := min(fprom.RetryDelay(e.Attempts, failure), maxWait)
	if run.Err() != nil {
		wait = 0 // another replica delivers it, or this one after its restart
	}
	if ctx.Err() != nil || fprom.IsHeld(failure) {
		e.Attempts--
	}
	q.store(run, c, retrySQL, pgx.StrictNamedArgs{
		"key": c.key, "generation": c.generation, "attempts": e.Attempts, "reason": storable(e.Reason), "status": e.StatusCode,
		"aside": fprom.IsSetAside(failure), "wait": wait.Seconds(),
	})
	return river.JobSnooze(wait)
}

// store runs settleSQL or retrySQL and wakes the next event of the customer. If the event was claimed again meanwhile, nothing
// is stored. While the database does not answer, store tries again until Run ends, and then once more. If that fails, the
// event is delivered again, which the event id makes safe.
func (q *Queue) store(run context.Context, c *claimed, sql string, args pgx.StrictNamedArgs) {
	for {
		err := q.finish(run, func(b *pgx.Batch) {
			b.Queue(q.sql(lockSQL), c.key)
			b.Queue(q.sql(sql), args)
			b.Queue(q.sql(wakeNextSQL), c.message.Customer, c.key)
		})
		if err == nil {
			return
		}
		q.outage.failed("store the outcome of a delivery", err)
		if run.Err() != nil {
			q.cfg.Logger.Error("fprom: riverqueue: the outcome of a delivery could not be stored before the end of Run; another process delivers the event again", "event", c.key)
			return
		}
		_ = q.sleep(run, pollTime)
	}
}

// storable removes what PostgreSQL cannot store.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}
