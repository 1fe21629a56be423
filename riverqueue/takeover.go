package riverqueue

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom"
)

// takeOver makes new jobs of those that nobody has in hand any more: of silent replicas, and of this one where the
// answer to a fetch got lost with its connection.
func (q *Queue) takeOver(ctx context.Context, r *replica) error {
	held := r.held()
	var n int
	err := q.transact(ctx, &pgx.Batch{}, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, q.store.sql.takeOver, jobQueue, q.cfg.Lease.Seconds(), held, r.id)
		if err != nil {
			return err
		}
		ms, err := collectArgs(rows)
		if err != nil || len(ms) == 0 {
			return err
		}
		ms, err = q.stillOpen(ctx, tx, ms)
		n = len(ms)
		if err != nil {
			return err
		}
		return q.store.insertJobs(ctx, tx, ms)
	})
	if err == nil && n > 0 {
		q.log.Warn("riverqueue: events that a vanished replica had in hand were taken over", "events", n)
	}
	return err
}

func collectArgs(rows pgx.Rows) ([]fprom.Message, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (fprom.Message, error) {
		var raw []byte
		var args eventArgs
		if err := row.Scan(&raw); err != nil {
			return fprom.Message{}, err
		}
		err := json.Unmarshal(raw, &args)
		return args.message(), err
	})
}

// stillOpen returns those of ms that wait for their outcome and have no other job.
func (q *Queue) stillOpen(ctx context.Context, tx pgx.Tx, ms []fprom.Message) ([]fprom.Message, error) {
	keys := make([]string, len(ms))
	for i, m := range ms {
		keys[i] = m.Key
	}
	rows, err := tx.Query(ctx, q.store.sql.open, keys)
	if err != nil {
		return nil, err
	}
	open, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	isOpen := make(map[string]bool, len(open))
	for _, key := range open {
		isOpen[key] = true
	}
	left := ms[:0]
	for _, m := range ms {
		if isOpen[m.Key] {
			isOpen[m.Key] = false // once
			left = append(left, m)
		}
	}
	return left, nil
}

// restore looks for events whose job was ended from outside: cancelled by hand they become dead letters, deleted as
// well (without a body), discarded ones get a new job.
func (q *Queue) restore(ctx context.Context) error {
	type found struct {
		Args  []byte
		State string
	}
	rows, err := q.pool.Query(ctx, q.store.sql.lost, jobKind)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[found])
	if err != nil {
		return err
	}
	for _, f := range all {
		var args eventArgs
		if err := json.Unmarshal(f.Args, &args); err != nil {
			return err
		}
		if err := q.restoreOne(ctx, args, f.State); err != nil {
			return err
		}
	}
	return nil
}

func (q *Queue) restoreOne(ctx context.Context, args eventArgs, state string) error {
	s := &q.store.sql
	return q.transact(ctx, &pgx.Batch{}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, s.lock, q.lane(args.Customer)); err != nil {
			return err
		}
		if state == "discarded" {
			return q.store.insertJobs(ctx, tx, []fprom.Message{args.message()})
		}
		var body *string // a deleted job took it along
		if state != "deleted" {
			body = &args.Body
		}
		q.log.Warn("riverqueue: a job was ended in River by hand; its event is a dead letter", "how", state)
		if _, err := tx.Exec(ctx, s.settle, args.Key, "dead", state+" in River", body); err != nil || args.Customer == "" {
			return err
		}
		return q.promote(ctx, tx, args.Customer)
	})
}

// promote makes a job of the next event of customer if it has none. The customer's lock is held.
func (q *Queue) promote(ctx context.Context, tx pgx.Tx, customer string) error {
	rows, err := tx.Query(ctx, q.store.sql.promote, customer)
	if err != nil {
		return err
	}
	next, err := collectMessages(rows)
	if err != nil {
		return err
	}
	return q.store.insertJobs(ctx, tx, next)
}

// prune forgets what was delivered longer than Config.Retention ago, a thousand at a time.
func (q *Queue) prune(ctx context.Context) error {
	if _, err := q.pool.Exec(ctx, q.store.sql.forget); err != nil {
		return err
	}
	for range 100 {
		tag, err := q.pool.Exec(ctx, q.store.sql.prune, q.cfg.Retention.Seconds())
		if err != nil || tag.RowsAffected() < 1000 {
			return err
		}
	}
	return nil
}
