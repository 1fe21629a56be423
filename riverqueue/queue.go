package riverqueue

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/safelog"
)

// DefaultSchema is the PostgreSQL schema of the tables unless Config.Schema names another.
const DefaultSchema = "fprom"

// Config is the configuration of a Queue. The zero value is sound. All replicas must use the same.
type Config struct {
	// Schema holds River's tables and those of this package: a lower-case name of at most 40 letters, digits and
	// underscores. Do not let another River client run in it: its leader would discard jobs of a kind it does not know.
	// One schema serves one FirstPromoter account. Default "fprom".
	Schema string
	// Rescue is how long after a delivery began it is taken for lost with its process, and its event is given to another
	// replica. A delivery that takes two thirds of it is cut short. With many workers most of that time is the wait for the
	// rate limit: the workers of all replicas, divided by the calls a second, must fit. Default 3 min, at least 3 s.
	Rescue time.Duration
	// Retention is how long an event id is remembered after its event was delivered. Dead letters and what waits are kept
	// for ever. Default 400 days: a yearly renewal under last year's id is still noticed.
	Retention time.Duration
	// Logger gets what is wrong with the database, and River's warnings. Default slog.Default().
	Logger *slog.Logger
}

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`)

func (c Config) withDefaults() (Config, error) {
	c.Schema = cmp.Or(c.Schema, DefaultSchema)
	c.Rescue = cmp.Or(c.Rescue, 3*time.Minute)
	c.Retention = cmp.Or(c.Retention, 400*24*time.Hour)
	c.Logger = cmp.Or(c.Logger, slog.Default())
	c.Logger = safelog.New(c.Logger) // River's goroutines call it
	switch {
	case !schemaName.MatchString(c.Schema):
		return c, &fprom.ValidationError{Field: "riverqueue.Config.Schema", Reason: "is not a lower-case name of at most 40 letters, digits and underscores"}
	case c.Rescue < 3*time.Second:
		return c, &fprom.ValidationError{Field: "riverqueue.Config.Rescue", Reason: "is less than 3 seconds"}
	case c.Retention < 24*time.Hour:
		return c, &fprom.ValidationError{Field: "riverqueue.Config.Retention", Reason: "is less than a day"}
	}
	return c, nil
}

// Queue is a durable fprom.Queue in PostgreSQL, shared by any number of processes. Make it with New. Safe for
// concurrent use.
type Queue struct {
	cfg    Config
	pool   *pgxpool.Pool
	outage outage

	running       atomic.Bool
	schemaChecked atomic.Bool  // the tables are fit for this program
	lastNotify    atomic.Int64 // see mayNotify; in nanoseconds
	closed        chan struct{}
	closing       sync.Once

	liveTurn, bulkTurn chan struct{} // held by the call that asks for its slot
	bulkBegins         chan struct{} // held by the bulk event that asks whether it may begin
	limit              atomic.Int64  // the account's, as this process knows it
}

var (
	_ fprom.Outbox  = (*Queue)(nil)
	_ fprom.Limiter = (*Queue)(nil)
)

// New returns the queue in the database of pool. It does not connect: call Migrate first where the tables may be missing
// or old. The pool stays the caller's: close it after the Tracker's Shutdown. Best is one that only this queue uses, see the
// package documentation. An error is a *fprom.ValidationError that names the field of cfg.
func New(pool *pgxpool.Pool, cfg Config) (*Queue, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if pool == nil {
		return nil, &fprom.ValidationError{Field: "pool", Reason: "is nil"}
	}
	return &Queue{
		cfg: cfg, pool: pool, outage: outage{log: cfg.Logger}, closed: make(chan struct{}),
		liveTurn: make(chan struct{}, 1), bulkTurn: make(chan struct{}, 1), bulkBegins: make(chan struct{}, 1),
	}, nil
}

// Close makes what still waits in Admit return. The pool stays open. It is called by the Tracker's Shutdown.
func (q *Queue) Close() error {
	q.closing.Do(func() { close(q.closed) })
	return nil
}

// open is fprom.ErrQueueClosed after Close.
func (q *Queue) open() error {
	select {
	case <-q.closed:
		return fprom.ErrQueueClosed
	default:
		return nil
	}
}

// readCommitted lets each statement see what is committed before it, whatever the database's default is.
var readCommitted = pgx.TxOptions{IsoLevel: pgx.ReadCommitted}

// finish is batch, which the end of ctx does not cut short.
func (q *Queue) finish(ctx context.Context, fill func(*pgx.Batch)) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dbTimeout)
	defer cancel()
	return q.batch(ctx, fill)
}

// row is the query of this pool: a statement in a batch of its own.
func (q *Queue) row(ctx context.Context, sql string, args ...any) pgx.Row {
	return scanner(func(dest ...any) error {
		return q.batch(ctx, func(b *pgx.Batch) {
			b.Queue(sql, args...).QueryRow(func(row pgx.Row) error { return row.Scan(dest...) })
		})
	})
}

type scanner func(dest ...any) error

// Scan runs the statement.
func (s scanner) Scan(dest ...any) error { return s(dest...) }

// batch runs statements in one transaction and one round trip.
func (q *Queue) batch(ctx context.Context, fill func(*pgx.Batch)) error {
	b := &pgx.Batch{}
	b.Queue(`BEGIN ISOLATION LEVEL READ COMMITTED`)
	fill(b)
	b.Queue(`COMMIT`)
	err := q.pool.SendBatch(ctx, b).Close() // a connection that is still in a transaction is closed by the pool
	if err == nil {
		q.outage.over()
	}
	return err
}

// scan reads the row of a statement of a batch, if there is one, into dest.
func scan(s *pgx.QueuedQuery, found *bool, dest ...any) {
	s.QueryRow(func(row pgx.Row) error {
		err := row.Scan(dest...)
		if *found = err == nil; errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
}

// take waits until it can put something into ch.
func (q *Queue) take(ctx context.Context, ch chan struct{}) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-q.closed:
		return fprom.ErrQueueClosed
	case ch <- struct{}{}:
	}
	err := cmp.Or(ctx.Err(), q.open()) // select takes any that is ready
	if err != nil {
		<-ch
	}
	return err
}

// sleep waits for d, the end of ctx or Close.
func (q *Queue) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-q.closed:
		return fprom.ErrQueueClosed
	case <-timer.C:
		return ctx.Err()
	}
}
