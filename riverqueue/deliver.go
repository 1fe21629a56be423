package riverqueue

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fprom-go/fprom"
)

// Conditions on a row x of the ledger. A time of its own that is more than a minute ahead was written before the
// database's clock stepped back, and does not count.
const (
	sane = `(x.touched_at <= clock_timestamp() + interval '1 minute')`
	busy = `(x.claimed_until > clock_timestamp() AND ` + sane + `)`
	due  = `(x.next_attempt <= clock_timestamp() OR NOT ` + sane + `)`
)

// of is a condition on another row than x.
func of(row, condition string) string { return strings.ReplaceAll(condition, "x.", row+".") }

// blocked is true for a row l that must wait for another event of its customer: one that is under way, or an earlier one
// that is not set aside.
var blocked = `(l.customer <> '' AND EXISTS (SELECT 1 FROM $schema.fprom_ledger o WHERE o.account_id = l.account_id AND o.customer = l.customer AND o.state = 'waiting'
	AND o.customer <> '' AND o.key <> l.key AND (o.seq < l.seq AND NOT o.aside OR ` + of("o", busy) + `)))`

// livelier are the live events of the customer of l: what they wait for is as urgent as they are.
const livelier = `SELECT 1 FROM $schema.fprom_ledger o WHERE o.account_id = l.account_id AND o.customer = l.customer AND o.customer <> '' AND o.state = 'waiting' AND NOT o.bulk`

var (
	// While the lock is held, nobody else begins or ends a delivery for the customer of the event $1.
	lockSQL = `SELECT pg_advisory_xact_lock(hashtextextended('$schema/$account/' || CASE customer WHEN '' THEN 'key/' || key ELSE 'customer/' || customer END, 7306040937))
		FROM $schema.fprom_ledger WHERE account_id = $account AND key = $1`
	claimSQL = `UPDATE $schema.fprom_ledger l SET generation = generation + 1, touched_at = clock_timestamp(), claimed_until = clock_timestamp() + make_interval(secs => $2::float8)
		WHERE account_id = $account AND key = $1 AND state = 'waiting' AND NOT ` + of("l", busy) + ` AND ` + of("l", due) + ` AND NOT ` + blocked + `
		RETURNING generation, coalesce(clear_key, key), kind, customer, coalesce(body, ''), recorded_at, attempts + 1, digest, bulk,
			bulk AND NOT EXISTS (` + livelier + `)`
	// Why it was not claimed.
	lookSQL = `SELECT l.state = 'waiting' AND NOT ` + of("l", busy) + `, CASE WHEN ` + of("l", due) + ` THEN 0 ELSE extract(epoch FROM l.next_attempt - clock_timestamp()) END::float8,
			l.aside, l.bulk, coalesce(h.key, ''), coalesce(h.bulk, false)
		FROM $schema.fprom_ledger l LEFT JOIN LATERAL (SELECT * FROM $schema.fprom_ledger o WHERE o.account_id = l.account_id AND o.customer = l.customer AND o.customer <> ''
			AND o.state = 'waiting' AND o.seq < l.seq AND NOT o.aside ORDER BY o.seq LIMIT 1) h ON true
		WHERE l.account_id = $account AND l.key = $1`
	settleSQL = `UPDATE $schema.fprom_ledger SET state = $3, outcome = $4, reason = $5, status_code = $6, promoter_event = $7, commissions = $8, attempts = $9,
			settled_at = clock_timestamp(), touched_at = clock_timestamp(), claimed_until = '-infinity', next_attempt = '-infinity', aside = false, forget = false,
			customer = CASE WHEN $3 = 'done' OR forget THEN '' ELSE customer END, body = CASE WHEN $3 = 'done' OR forget THEN NULL ELSE body END,
			clear_key = CASE WHEN $3 = 'done' OR forget THEN NULL ELSE clear_key END
		WHERE account_id = $account AND key = $1 AND generation = $2 AND state = 'waiting'`
	againSQL = `UPDATE $schema.fprom_ledger SET attempts = $3, reason = $4, status_code = $5, aside = aside OR $6, next_attempt = clock_timestamp() + make_interval(secs => $7::float8),
			touched_at = clock_timestamp(), claimed_until = '-infinity'
		WHERE account_id = $account AND key = $1 AND generation = $2 AND state = 'waiting'`
	// The event of a customer whose turn it is.
	nextSQL = `SELECT l.key, l.bulk AND NOT EXISTS (` + livelier + `), l.recorded_at
		FROM (SELECT * FROM $schema.fprom_ledger x WHERE x.account_id = $account AND x.customer = $1 AND x.customer <> '' AND x.state = 'waiting' AND NOT x.aside
			ORDER BY x.seq LIMIT 1) l WHERE ` + of("l", due)
)

// claimed is an event that this process delivers.
type claimed struct {
	message    fprom.Message
	key        string // in the ledger
	generation int
	delivery   delivery
}

// next is an event that may be delivered now.
type next struct {
	found bool
	key   string
	bulk  bool
	since time.Time // when it was recorded
}

// claim begins the delivery of an event. A nil event and no time: nothing is to do now, and if there will be, another job
// says so. A time: the job is to come back after it.
func (q *Queue) claim(ctx context.Context, key string) (c *claimed, later time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dbTimeout)
	defer cancel()
	c = &claimed{key: key}
	m := &c.message
	var got, known, free, aside, isBulk bool
	var body string
	var digest int64
	var wait float64
	var head next
	err = q.batch(ctx, func(b *pgx.Batch) {
		b.Queue(q.store.sql(lockSQL), key)
		scan(b.Queue(q.store.sql(claimSQL), key, (q.cfg.Rescue*5/6).Seconds()), &got,
			&c.generation, &m.Key, &m.Kind, &m.Customer, &body, &m.RecordedAt, &m.Attempt, &digest, &m.Bulk, &c.delivery.bulk)
		scan(b.Queue(q.store.sql(lookSQL), key), &known, &free, &wait, &aside, &isBulk, &head.key, &head.bulk)
	})
	switch {
	case err != nil:
		return nil, 0, err
	case got:
		m.Body, m.Digest = []byte(body), uint64(digest)
		return c, 0, nil
	case !known || !free: // it has its outcome, or is under way by another wake-up
		return nil, 0, nil
	case wait > 0:
		return nil, time.Duration(wait * float64(time.Second)), nil
	case aside: // the end of the one that is under way wakes the next in the order, and this one is out of it
		return nil, time.Second, nil
	case head.key != "" && head.bulk && !isBulk: // what waits behind a bulk event lends it its own urgency
		q.wake(ctx, next{found: true, key: head.key, since: time.Now()})
	}
	return nil, 0, nil
}

// settle writes the outcome into the ledger, and wakes the next event of the customer.
func (q *Queue) settle(ctx context.Context, ended <-chan struct{}, c *claimed, r fprom.Result, why error) error {
	e := fprom.NewEntry(c.message)
	e.Settle(r, why, time.Now())
	q.note(ctx, ended, c, settleSQL, c.key, c.generation, string(e.State), string(e.Outcome), storable(e.Reason), e.StatusCode, e.ID, e.CommissionIDs, e.Attempts)
	return nil
}

// again puts the event off.
func (q *Queue) again(ctx context.Context, ended <-chan struct{}, c *claimed, r fprom.Result, why error, interrupted bool) error {
	wait := fprom.RetryDelay(c.message.Attempt, why)
	attempts := c.message.Attempt
	if interrupted || fprom.IsHeld(why) {
		attempts--
	}
	if over(ended) {
		wait = 0 // for another replica, or for this one after its restart
	}
	e := fprom.NewEntry(c.message)
	e.Settle(r, why, time.Now())
	q.note(ctx, ended, c, againSQL, c.key, c.generation, attempts, storable(e.Reason), e.StatusCode, fprom.IsSetAside(why), wait.Seconds())
	return river.JobSnooze(wait)
}

// note stores how a delivery ended, if it is still the last one that began, and wakes the next event of the customer. The
// database may be away: what is in hand is kept trying until Run ends. Then the event is delivered once more, which the
// event id makes safe.
func (q *Queue) note(ctx context.Context, ended <-chan struct{}, c *claimed, sql string, args ...any) {
	var n next
	for {
		once, cancel := context.WithTimeout(context.WithoutCancel(ctx), dbTimeout)
		err := q.batch(once, func(b *pgx.Batch) {
			b.Queue(q.store.sql(lockSQL), c.key)
			b.Queue(q.store.sql(sql), args...)
			scan(b.Queue(q.store.sql(nextSQL), c.message.Customer), &n.found, &n.key, &n.bulk, &n.since)
		})
		cancel()
		if err == nil {
			break
		}
		q.outage.failed("store how a delivery ended", err)
		if over(ended) {
			q.log.Error("fprom: riverqueue: how a delivery ended could not be stored before the end; the event is sent again by another process", "key", c.key)
			return
		}
		wait(ended, pollTime) // if that ends it, there is one last try
	}
	if n.key != c.key {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dbTimeout)
		defer cancel()
		q.wake(ctx, n)
	}
}

// wake makes a River job for n, in the place of its age. If that fails, the sweep does it.
func (q *Queue) wake(ctx context.Context, n next) {
	if !n.found {
		return
	}
	err := pgx.BeginTxFunc(ctx, q.pool, readCommitted, func(tx pgx.Tx) error {
		job, err := q.store.pgx.InsertTx(ctx, tx, wakeUp{n.key}, jobOptions(n.bulk))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, q.store.sql(`UPDATE $schema.river_job SET scheduled_at = least(scheduled_at, $2) WHERE id = $1`), job.Job.ID, n.since)
		return err
	})
	if err != nil {
		q.outage.failed("wake the next event of a customer", err)
	}
}

// storable makes text of any error fit for PostgreSQL.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}
