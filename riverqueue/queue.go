package riverqueue

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/safelog"
)

// DefaultSchema is the PostgreSQL schema of the tables unless Config.Schema names another.
const DefaultSchema = "fprom"

// Config is the configuration of a Queue. The zero value is ready for use. All replicas must use the same values.
type Config struct {
	// Schema holds River's tables and those of this package: a lower-case name of at most 40 letters, digits and
	// underscores. Do not let another River client run in it, such as the application's: River's leader discards jobs of a kind that it does
	// not know, here those that run for longer than Rescue. The log warns of it.
	// One schema serves one FirstPromoter account. Default "fprom".
	Schema string
	// Rescue is the time after which an unfinished delivery counts as lost with its process. Another replica then delivers the
	// event. A delivery is cancelled after two thirds of Rescue. Most of that time it may wait for the rate limit. So if all
	// replicas have w workers and make c calls a second, two thirds of Rescue must be more than w/c seconds. Default 3 min,
	// at least 3 s, at most an hour.
	Rescue time.Duration
	// Retention is how long an event id is remembered after its event was delivered. Dead letters and waiting events are
	// never removed. Default 400 days: a yearly renewal under last year's id is still noticed. At least a day.
	Retention time.Duration
	// Logger gets warnings about the database, and River's warnings. Default slog.Default().
	Logger *slog.Logger
}

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`)

func (c Config) withDefaults() (Config, error) {
	c.Schema = cmp.Or(c.Schema, DefaultSchema)
	c.Rescue = cmp.Or(c.Rescue, 3*time.Minute)
	c.Retention = cmp.Or(c.Retention, 400*24*time.Hour)
	c.Logger = safelog.New(cmp.Or(c.Logger, slog.Default())) // a panic in a goroutine of River would end the process
	switch {
	case !schemaName.MatchString(c.Schema):
		return c, &fprom.ValidationError{Field: "riverqueue.Config.Schema", Reason: "is not a lower-case name of at most 40 letters, digits and underscores"}
	case c.Rescue < 3*time.Second || c.Rescue > maxWait:
		return c, &fprom.ValidationError{Field: "riverqueue.Config.Rescue", Reason: "is less than 3 seconds or more than an hour"}
	case c.Retention < 24*time.Hour:
		return c, &fprom.ValidationError{Field: "riverqueue.Config.Retention", Reason: "is less than a day"}
	}
	return c, nil
}

// Queue is a durable fprom.Queue in PostgreSQL, shared by any number of processes. Make it with New. Safe for
// concurrent use.
type Queue struct {
	cfg           Config
	pool          *pgxpool.Pool
	outage, river outage // what fails: the database, River

	running       atomic.Bool
	closed        chan struct{}
	closing       sync.Once
	schemaChecked atomic.Bool // the tables are fit for this program

	limit     atomic.Int64           // the account's calls a minute, as this process last saw it; 0: not yet
	turns     map[bool]chan struct{} // semaphores: at a time, one call for a live event and one for a bulk event (true) may ask for a slot
	bulkClaim chan struct{}          // semaphore: one bulk event at a time waits to be claimed
}

var (
	_ fprom.Outbox  = (*Queue)(nil)
	_ fprom.Limiter = (*Queue)(nil)
)

// New returns the queue in the database of pool. It does not connect. If the tables may be missing or old, call Migrate first.
// Close the pool after the Tracker's Shutdown. Best is a pool that only this queue uses, see the package documentation. An
// error is a *fprom.ValidationError that names the field of cfg.
func New(pool *pgxpool.Pool, cfg Config) (*Queue, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if pool == nil {
		return nil, &fprom.ValidationError{Field: "pool", Reason: "is nil"}
	}
	return &Queue{
		cfg: cfg, pool: pool, closed: make(chan struct{}),
		outage: outage{log: cfg.Logger, fails: map[string]bool{}, text: "the database fails, and delivery waits for it; stored events are kept"},
		river:  outage{log: cfg.Logger, fails: map[string]bool{}, text: "River reports a problem; no event is lost by it"},
		turns:  map[bool]chan struct{}{false: semaphore(1), true: semaphore(1)}, bulkClaim: semaphore(1),
	}, nil
}

// Close ends the calls that wait, with fprom.ErrQueueClosed. The pool stays open. The Tracker's Shutdown calls Close.
func (q *Queue) Close() error {
	q.closing.Do(func() { close(q.closed) })
	return nil
}

// errClosed returns fprom.ErrQueueClosed after Close, and nil before.
func (q *Queue) errClosed() error {
	select {
	case <-q.closed:
		return fprom.ErrQueueClosed
	default:
		return nil
	}
}

// ready returns an error after Close, and if this program cannot work with the tables: it could misread them.
func (q *Queue) ready(ctx context.Context) error {
	return cmp.Or(q.errClosed(), q.check(ctx, q.pool.QueryRow))
}

// row runs a statement in a READ COMMITTED transaction of one round trip, so that a process that stops holds no lock. If the statement
// returns no row, Scan leaves its arguments as they are.
func (q *Queue) row(ctx context.Context, sql string, args ...any) pgx.Row {
	return scanner(func(dest ...any) error {
		b := &pgx.Batch{}
		b.Queue(`BEGIN ISOLATION LEVEL READ COMMITTED`)
		b.Queue(sql, args...).QueryRow(func(row pgx.Row) error {
			if err := row.Scan(dest...); !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			return nil
		})
		b.Queue(`COMMIT`)
		return q.pool.SendBatch(ctx, b).Close() // after an error the pool closes the connection, and with it the transaction
	})
}

// note logs the beginning and the end of an outage by the outcomes of what is tried again until it succeeds.
func (q *Queue) note(what string, err error) {
	q.outage.note(what, err)
	q.renew(err)
}

// renew closes the connections of the pool after an error that makes them all useless: the server, or a pooler, ends them, is silent, or has
// become a standby. New ones lead to the server that has taken its place. If none is idle, perhaps the application uses all, and they stay.
func (q *Queue) renew(err error) {
	_, refused := errors.AsType[*pgconn.ConnectError](err) // a new connection failed, which says nothing about the open ones
	if err != nil && !refused && q.pool.Stat().IdleConns() > 0 && (disconnected(err) || sqlState(err) == "25006") {
		q.pool.Reset()
	}
}

// disconnected reports whether an error is of the connection, and not of what was to be done.
func disconnected(err error) bool {
	state := sqlState(err)
	return state == "" && !errors.Is(err, ErrSchema) || strings.HasPrefix(state, "57P0")
}

type scanner func(dest ...any) error

// Scan runs the statement.
func (s scanner) Scan(dest ...any) error { return s(dest...) }

// lasting returns a context for what must be stored although ctx has ended.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), dbTimeout)
}

// wait waits for a value of ch, the end of ctx or Close: for a time with time.After, for a place with a semaphore.
func wait[T any](ctx context.Context, q *Queue, ch <-chan T) error {
	if err := cmp.Or(ctx.Err(), q.errClosed()); err != nil { // if several cases are ready, select chooses at random
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-q.closed:
		return fprom.ErrQueueClosed
	case <-ch:
		return nil
	}
}

// semaphore returns a channel with n places. Receive one and send it back.
func semaphore(n int) chan struct{} {
	s := make(chan struct{}, n)
	for range n {
		s <- struct{}{}
	}
	return s
}
