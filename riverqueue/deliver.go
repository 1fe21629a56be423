package riverqueue

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fprom-go/fprom"
)

// Times of the ledger that lie further ahead than can be are from before the database's clock stepped back, and count as past.
const (
	underWay = ` BETWEEN clock_timestamp() AND clock_timestamp() + interval '$rescue seconds' + interval '1 minute'` // a claimed_until
	notDue   = ` BETWEEN clock_timestamp() AND clock_timestamp() + interval '61 minutes'`                            // a next_attempt

	// maxWait is the longest wait that next_attempt is given. An event that is asked too early waits once more.
	maxWait = time.Hour
)

// ready is true for a row l of the ledger that may be delivered now: no delivery of it is under way, it is due, and no event
// of its customer is under way, or came earlier and is not set aside.
const ready = `l.state = 'waiting' AND l.claimed_until NOT` + underWay + ` AND l.next_attempt NOT` + notDue + ` AND NOT EXISTS (
		SELECT 1 FROM $schema.fprom_ledger o WHERE o.account_id = l.account_id AND o.customer = l.customer AND o.customer <> '' AND o.state = 'waiting'
		AND o.key <> l.key AND (o.seq < l.seq AND NOT o.aside OR o.claimed_until` + underWay + `))`

const (
	// While the lock is held, nobody else begins or ends a delivery for the customer of the event $1.
	lockSQL = `SELECT pg_advisory_xact_lock(hashtextextended('$schema/$account/' || CASE customer WHEN '' THEN 'key/' || key ELSE 'customer/' || customer END, 7306040937))
		FROM $schema.fprom_ledger WHERE account_id = $account AND key = $1`
	// A bulk event, and one that was ($3), begins only where no other live one could.
	claimSQL = `UPDATE $schema.fprom_ledger l SET generation = generation + 1, claimed_until = clock_timestamp() + make_interval(secs => $2)
		WHERE l.account_id = $account AND l.key = $1 AND ` + ready + `
			AND NOT ((l.bulk OR $3) AND EXISTS (SELECT 1 FROM $schema.fprom_ledger l WHERE l.account_id = $account AND NOT l.bulk AND l.key <> $1 AND ` + ready + `))
		RETURNING generation, coalesce(clear_key, key), kind, customer, coalesce(body, ''), recorded_at, attempts + 1, digest, bulk`
	// In how many seconds to try again what was not claimed; null: not at all, as another job will come for it; -1: a live
	// event waits for another of its customer.
	laterSQL = `SELECT CASE WHEN ` + ready + ` THEN 0 WHEN l.state <> 'waiting' OR l.claimed_until` + underWay + ` THEN NULL
			WHEN l.next_attempt` + notDue + ` THEN extract(epoch FROM l.next_attempt - clock_timestamp()) WHEN l.aside THEN 1 WHEN NOT l.bulk THEN -1 END::float8
		FROM $schema.fprom_ledger l WHERE l.account_id = $account AND l.key = $1`
	// The bulk events that the live event $1 waits for become live.
	lendSQL = `WITH h AS MATERIALIZED (SELECT customer, seq FROM $schema.fprom_ledger WHERE account_id = $account AND key = $1 AND state = 'waiting' AND NOT bulk),
		b AS (UPDATE $schema.fprom_ledger SET bulk = false WHERE account_id = $account AND customer = (SELECT customer FROM h) AND customer <> ''
			AND state = 'waiting' AND bulk AND seq < (SELECT seq FROM h) RETURNING key, seq, bulk),
		j AS (` + jobsSQL + `now() FROM b ORDER BY seq LIMIT 1)
		SELECT ` + notifySQL + ` WHERE EXISTS (SELECT 1 FROM b)`
	settleSQL = `UPDATE $schema.fprom_ledger SET state = $3, outcome = $4, reason = $5, status_code = $6, promoter_event = $7, commissions = $8, attempts = $9,
			settled_at = clock_timestamp(), claimed_until = '-infinity', next_attempt = '-infinity', aside = false, forget = false,
			customer = CASE WHEN $3 = 'done' OR forget THEN '' ELSE customer END, body = CASE WHEN $3 = 'done' OR forget THEN NULL ELSE body END,
			clear_key = CASE WHEN $3 = 'done' OR forget THEN NULL ELSE clear_key END
		WHERE account_id = $account AND key = $1 AND generation = $2 AND state = 'waiting'`
	againSQL = `UPDATE $schema.fprom_ledger SET attempts = $3, reason = $4, status_code = $5, aside = aside OR $6,
			next_attempt = clock_timestamp() + make_interval(secs => $7), claimed_until = '-infinity'
		WHERE account_id = $account AND key = $1 AND generation = $2 AND state = 'waiting'`
	// The customer's next event gets a job, in the place of its age.
	nextSQL = `WITH n AS MATERIALIZED (SELECT key, bulk, recorded_at FROM $schema.fprom_ledger l WHERE l.account_id = $account AND l.customer = $1 AND l.customer <> ''
			AND l.key <> $2 AND NOT l.aside AND ` + ready + ` ORDER BY l.seq LIMIT 1),
		j AS (` + jobsSQL + `least(recorded_at, now()) FROM n)
		SELECT ` + notifySQL + ` FROM n WHERE NOT bulk`
)

// claimed is an event that this process delivers.
type claimed struct {
	message    fprom.Message
	key        string // in the ledger
	generation int
}

// claim begins the delivery of an event. Without one, later is when to try again: 0 is soon, with the job in hand, and less
// is never.
func (q *Queue) claim(ctx context.Context, key string, bulk bool) (c *claimed, later time.Duration, err error) {
	c = &claimed{key: key}
	m := &c.message
	var got, known bool
	var body string
	var digest int64
	var secs *float64
	err = q.finish(ctx, func(b *pgx.Batch) {
		b.Queue(q.sql(lockSQL), key)
		scan(b.Queue(q.sql(claimSQL), key, (q.cfg.Rescue*5/6).Seconds(), bulk), &got,
			&c.generation, &m.Key, &m.Kind, &m.Customer, &body, &m.RecordedAt, &m.Attempt, &digest, &m.Bulk)
		scan(b.Queue(q.sql(laterSQL), key), &known, &secs)
	})
	switch {
	case err != nil:
		return nil, 0, err
	case got:
		m.Body, m.Digest = []byte(body), uint64(digest)
		return c, 0, nil
	case secs == nil:
		return nil, -1, nil
	case *secs < 0:
		return nil, -1, q.finish(ctx, func(b *pgx.Batch) { b.Queue(q.sql(lendSQL), key) })
	}
	return nil, time.Duration(*secs * float64(time.Second)), nil
}

// conclude stores what became of the delivery. A delivery that ctx cut short does not count.
func (q *Queue) conclude(run, ctx context.Context, c *claimed, r fprom.Result, why error) error {
	e := fprom.NewEntry(c.message)
	e.Settle(r, why, time.Now())
	if why == nil || fprom.IsPermanent(why) {
		q.note(run, c, settleSQL, c.key, c.generation, string(e.State), string(e.Outcome), storable(e.Reason), e.StatusCode, e.ID, e.CommissionIDs, e.Attempts)
		return nil
	}
	wait := min(fprom.RetryDelay(e.Attempts, why), maxWait)
	if run.Err() != nil {
		wait = 0 // for another replica, or for this one after its restart
	}
	if ctx.Err() != nil || fprom.IsHeld(why) {
		e.Attempts--
	}
	q.note(run, c, againSQL, c.key, c.generation, e.Attempts, storable(e.Reason), e.StatusCode, fprom.IsSetAside(why), wait.Seconds())
	return river.JobSnooze(wait)
}

// note stores how a delivery ended, if it is still the last one that began, and wakes the next event of the customer. The
// database may be away: what is in hand is kept trying until Run ends. Then the event is delivered once more, which the
// event id makes safe.
func (q *Queue) note(run context.Context, c *claimed, sql string, args ...any) {
	for {
		err := q.finish(run, func(b *pgx.Batch) {
			b.Queue(q.sql(lockSQL), c.key)
			b.Queue(q.sql(sql), args...)
			b.Queue(q.sql(nextSQL), c.message.Customer, c.key)
		})
		if err == nil {
			return
		}
		q.outage.failed("store how a delivery ended", err)
		if run.Err() != nil {
			q.cfg.Logger.Error("fprom: riverqueue: how a delivery ended could not be stored before the end; the event is sent again by another process", "key", c.key)
			return
		}
		_ = q.sleep(run, pollTime) // if that ends it, there is one last try
	}
}

// storable makes text of any error fit for PostgreSQL.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}
