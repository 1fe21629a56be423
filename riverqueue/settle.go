package riverqueue

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fprom-go/fprom"
)

const dbTimeout = 10 * time.Second

// settle writes the outcome of job's event into the ledger and makes a job of the next event of the customer. The
// database may be away: the outcome is in hand and is kept trying until the process stops; then the event is delivered
// once more by another, which the event id makes safe.
func (q *Queue) settle(ctx context.Context, job *river.Job[eventArgs], state string, why error) error {
	var reason, body *string
	if why != nil {
		text := why.Error()
		reason, body = &text, &job.Args.Body
	}
	for {
		err := q.settleOnce(context.WithoutCancel(ctx), job, state, reason, body)
		switch {
		case err == nil && why != nil:
			return river.JobCancel(why)
		case err == nil:
			return nil
		case ctx.Err() != nil:
			q.log.Error("riverqueue: an outcome could not be stored before the end; the event will be sent again", "job", job.ID, "error", err)
			return river.JobSnooze(0)
		}
		q.log.Warn("riverqueue: the database fails; an outcome waits to be stored", "job", job.ID, "error", err)
		if q.sleep(ctx, pollTime) != nil {
			continue // one last time
		}
	}
}

func (q *Queue) settleOnce(ctx context.Context, job *river.Job[eventArgs], state string, reason, body *string) error {
	ctx, cancel := context.WithTimeout(ctx, dbTimeout)
	defer cancel()
	s := &q.store.sql
	var next []fprom.Message
	b := &pgx.Batch{}
	b.Queue(s.lock, q.lane(job.Args.Customer))
	b.Queue(s.settle, job.Args.Key, state, reason, body)
	if job.Args.Customer != "" {
		b.Queue(s.promote, job.Args.Customer).Query(func(rows pgx.Rows) (err error) {
			next, err = collectMessages(rows)
			return err
		})
	}
	return q.transact(ctx, b, func(tx pgx.Tx) error {
		if err := q.store.insertJobs(ctx, tx, next); err != nil {
			return err
		}
		if state == "done" {
			return complete(ctx, tx, job)
		}
		return nil
	})
}

// collectMessages reads rows of key, kind, customer, body and recorded_at.
func collectMessages(rows pgx.Rows) ([]fprom.Message, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (fprom.Message, error) {
		var m fprom.Message
		var body string
		err := row.Scan(&m.Key, &m.Kind, &m.Customer, &body, &m.RecordedAt)
		m.Body = []byte(body)
		return m, err
	})
}

// again puts off the event of m, whose delivery ended with why.
func (q *Queue) again(ctx context.Context, m fprom.Message, why error) error {
	if ctx.Err() != nil {
		return river.JobSnooze(0) // for another replica, or for this one after its restart
	}
	if !fprom.IsHeld(why) {
		db, cancel := context.WithTimeout(context.WithoutCancel(ctx), dbTimeout)
		defer cancel()
		if _, err := q.pool.Exec(db, q.store.sql.fail, m.Key, why.Error()); err != nil {
			q.log.Warn("riverqueue: an attempt was not counted", "error", err)
		}
	}
	return river.JobSnooze(fprom.RetryDelay(m.Attempt, why))
}
