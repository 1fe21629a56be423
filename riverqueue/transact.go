package riverqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// transact runs first and then fn in one transaction, each statement of which sees what is committed before it,
// whatever the database's default isolation is. BEGIN travels with first: a round trip less for every event.
func (q *Queue) transact(ctx context.Context, first *pgx.Batch, fn func(pgx.Tx) error) (err error) {
	conn, err := q.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // closes a connection that is still in a transaction
	tx := openTx{conn.Conn()}
	defer func() {
		if err != nil {
			bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = tx.Rollback(bound) // else Release does it
		}
	}()
	batch := &pgx.Batch{}
	batch.Queue(`BEGIN ISOLATION LEVEL READ COMMITTED`)
	batch.QueuedQueries = append(batch.QueuedQueries, first.QueuedQueries...)
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// openTx is the transaction that its connection is in.
type openTx struct{ *connection }

// connection gives *pgx.Conn another name to be embedded by, as Conn is a method of pgx.Tx.
type connection = pgx.Conn

var _ pgx.Tx = openTx{}

// Begin implements pgx.Tx.
func (t openTx) Begin(context.Context) (pgx.Tx, error) {
	return nil, fmt.Errorf("riverqueue: a nested transaction: %w", errors.ErrUnsupported)
}

// Commit implements pgx.Tx.
func (t openTx) Commit(ctx context.Context) error {
	tag, err := t.Exec(ctx, `COMMIT`)
	if err == nil && tag.String() != "COMMIT" { // PostgreSQL's answer for a transaction that failed before
		return pgx.ErrTxCommitRollback
	}
	return err
}

// Rollback implements pgx.Tx.
func (t openTx) Rollback(ctx context.Context) error {
	_, err := t.Exec(ctx, `ROLLBACK`)
	return err
}

// LargeObjects implements pgx.Tx; nothing here uses them.
func (t openTx) LargeObjects() pgx.LargeObjects { return pgx.LargeObjects{} }

// Conn implements pgx.Tx.
func (t openTx) Conn() *pgx.Conn { return t.connection }
