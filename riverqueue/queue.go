package riverqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/fprom-go/fprom"
)

// DefaultSchema is the PostgreSQL schema of the tables unless Config.Schema names another.
const DefaultSchema = "fprom"

// Config is the configuration of a Queue. The zero value is sound. All replicas must use the same.
type Config struct {
	// Schema holds River's tables and those of this package: a lower-case name of at most 40 letters, digits and
	// underscores. Do not let another River client run in it: its leader would discard jobs of a kind it does not know.
	// One schema serves one FirstPromoter account. Default "fprom".
	Schema string
	// RequestsPerMinute is the limit of the account, kept by all replicas together whatever the size of their minute's
	// windows: calls are given a time each, evenly spaced, 5 % below the limit. Use the same number in fprom.Config.
	// Default 400.
	RequestsPerMinute int
	// Lease is how long a replica may be silent before the others take over the events that it had in hand. Default 15 s.
	Lease time.Duration
	// Retention is how long an event id is remembered after its event was delivered. Dead letters and open events are
	// kept for ever. Default 400 days: a yearly renewal under last year's id is still noticed.
	Retention time.Duration
	// Logger gets what is wrong with the database, and River's warnings. Default slog.Default().
	Logger *slog.Logger
}

const minConns = 4

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`)

func (c Config) withDefaults() (Config, error) {
	if c.Schema == "" {
		c.Schema = DefaultSchema
	}
	if c.RequestsPerMinute == 0 {
		c.RequestsPerMinute = 400
	}
	if c.Lease == 0 {
		c.Lease = 15 * time.Second
	}
	if c.Retention == 0 {
		c.Retention = 400 * 24 * time.Hour
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	switch {
	case !schemaName.MatchString(c.Schema):
		return c, &fprom.ValidationError{Field: "riverqueue.Config.Schema", Reason: "is not a lower-case name of at most 40 letters, digits and underscores"}
	case c.RequestsPerMinute < 0:
		return c, &fprom.ValidationError{Field: "riverqueue.Config.RequestsPerMinute", Reason: "is negative"}
	case c.Lease < time.Second:
		return c, &fprom.ValidationError{Field: "riverqueue.Config.Lease", Reason: "is less than a second"}
	case c.Retention < 24*time.Hour:
		return c, &fprom.ValidationError{Field: "riverqueue.Config.Retention", Reason: "is less than a day"}
	}
	return c, nil
}

// Queue is a durable fprom.Queue in PostgreSQL, shared by any number of processes. Make it with New. Safe for
// concurrent use.
type Queue struct {
	cfg   Config
	pool  *pgxpool.Pool
	store *store
	log   *slog.Logger

	running atomic.Pointer[replica] // while Run runs
	gate    chan struct{}           // of Admit: one at a time asks for slots
	slots   slots                   // held with gate
	pauses  atomic.Uint64           // calls of Pause
	closed  chan struct{}
	closing sync.Once
}

var _ fprom.Queue = (*Queue)(nil)

// New returns the queue in the database of pool. It does not connect: call Migrate first where the tables may be
// missing or old. The pool stays the caller's: close it after the Tracker's Shutdown. It needs 4 connections at least, of
// which one listens for new jobs; one per worker and three more is plenty. An error is a *fprom.ValidationError that names the field of cfg.
func New(pool *pgxpool.Pool, cfg Config) (*Queue, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if pool == nil {
		return nil, &fprom.ValidationError{Field: "pool", Reason: "is nil"}
	}
	if pool.Config().MaxConns < minConns {
		return nil, &fprom.ValidationError{Field: "pool", Reason: "has fewer than 4 connections"}
	}
	s, err := newStore(pool, cfg.Schema)
	if err != nil {
		return nil, err
	}
	return &Queue{
		cfg: cfg, pool: pool, store: s, log: cfg.Logger,
		gate: make(chan struct{}, 1), slots: newSlots(cfg.RequestsPerMinute), closed: make(chan struct{}),
	}, nil
}

// Put stores messages and their River jobs in one transaction. Of a key that is in the ledger nothing is stored, unless
// it is that of a dead letter: a message with its key replaces it and is tried anew.
func (q *Queue) Put(ctx context.Context, ms ...fprom.Message) error {
	if len(ms) == 0 {
		return nil
	}
	if q.isClosed() {
		return errClosed
	}
	if err := q.store.check(ctx, q.pool); err != nil {
		return err
	}
	var conflict error
	for try := 1; ; try++ {
		var b pgx.Batch
		e := q.store.enter(&b, ms)
		err := q.transact(ctx, &b, func(tx pgx.Tx) (err error) {
			conflict, err = q.store.finish(ctx, tx, e)
			return err
		})
		var pg *pgconn.PgError
		if try < 3 && errors.As(err, &pg) && pg.Code == "40P01" { // two Puts with the same keys in different order
			continue
		}
		if err != nil {
			return fmt.Errorf("riverqueue: put: %w", err)
		}
		return conflict
	}
}

// EnqueueTx stores events in the caller's transaction: with its commit they will be delivered, without it they never
// existed. See the package function of this name, which uses the default schema.
func (q *Queue) EnqueueTx(ctx context.Context, tx pgx.Tx, events ...fprom.Event) error {
	return q.store.enqueue(ctx, tx, events)
}

// Close makes what still waits in Admit return. The pool stays open. It is called by the Tracker's Shutdown.
func (q *Queue) Close() error {
	q.closing.Do(func() { close(q.closed) })
	return nil
}

func (q *Queue) isClosed() bool {
	select {
	case <-q.closed:
		return true
	default:
		return false
	}
}

// loud is log without River's reports of normal work.
func loud(log *slog.Logger) *slog.Logger { return slog.New(warnings{log.Handler()}) }

type warnings struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h warnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (h warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h warnings) WithGroup(name string) slog.Handler { return warnings{h.Handler.WithGroup(name)} }

// store writes messages into the ledger and into River.
type store struct {
	schema string
	sql    statements
	river  *river.Client[pgx.Tx] // only inserts
	sound  atomic.Bool           // the tables are those of this version
}

// newStore returns the store in schema. pool may be nil.
func newStore(pool *pgxpool.Pool, schema string) (*store, error) {
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema: schema, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, fmt.Errorf("riverqueue: river: %w", err)
	}
	return &store{schema: schema, sql: newStatements(schema), river: client}, nil
}
