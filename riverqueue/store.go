package riverqueue

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/fprom-go/fprom"
)

// jobKind and jobQueue are how River knows the jobs of this package.
const (
	jobKind  = "fprom_event"
	jobQueue = "fprom"
)

// account is the one FirstPromoter account of a schema. Every key has it, so that a schema may hold more one day.
const account = "1"

// wakeUp is a River job: it says that the event with this key in the ledger may be delivered, and nothing else.
type wakeUp struct {
	Key string `json:"key"` // fprom.SafeKey
}

// Kind implements river.JobArgs.
func (wakeUp) Kind() string { return jobKind }

// jobOptions: River takes jobs of a higher priority first, then those of an earlier time.
func jobOptions(bulk bool) *river.InsertOpts {
	const live, last = 1, 3
	o := &river.InsertOpts{Queue: jobQueue, MaxAttempts: math.MaxInt16, Priority: live}
	if bulk {
		o.Priority = last
	}
	return o
}

// store writes messages into the ledger and into River. Its clients only insert.
type store struct {
	schema string
	pgx    *river.Client[pgx.Tx]
	std    *river.Client[*sql.Tx]
	sound  atomic.Bool // the tables are those of this version
}

// newStore returns the store in schema. pool may be nil: then only the caller's transactions are used.
func newStore(pool *pgxpool.Pool, schema string) (*store, error) {
	// River gives no notice of a job that is inserted within FetchCooldown of another: it would wait for the next poll.
	cfg := river.Config{Schema: schema, Logger: slog.New(slog.DiscardHandler), FetchCooldown: river.FetchCooldownMin}
	p, err := river.NewClient(riverpgxv5.New(pool), &cfg)
	if err != nil {
		return nil, fmt.Errorf("fprom: riverqueue: %w", err)
	}
	cfg = river.Config{Schema: schema, Logger: slog.New(slog.DiscardHandler), FetchCooldown: river.FetchCooldownMin}
	d, err := river.NewClient(riverdatabasesql.New(nil), &cfg)
	if err != nil {
		return nil, fmt.Errorf("fprom: riverqueue: %w", err)
	}
	return &store{schema: schema, pgx: p, std: d}, nil
}

// sql puts the schema and the account into a statement.
func (s *store) sql(text string) string {
	return strings.NewReplacer("$schema", s.schema, "$account", account).Replace(text)
}

// session is a transaction of pgx or of database/sql. What goes in and out of a statement is text, so that it works with
// every driver of database/sql.
type session interface {
	queryRow(ctx context.Context, sql string, args ...any) interface{ Scan(dest ...any) error }
	insertJobs(ctx context.Context, jobs []river.InsertManyParams) error
}

type pgxSession struct {
	tx interface {
		QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	}
	client *river.Client[pgx.Tx]
}

func (p pgxSession) queryRow(ctx context.Context, sql string, args ...any) interface{ Scan(dest ...any) error } {
	return p.tx.QueryRow(ctx, sql, args...)
}

func (p pgxSession) insertJobs(ctx context.Context, jobs []river.InsertManyParams) error {
	_, err := p.client.InsertManyTx(ctx, p.tx.(pgx.Tx), jobs)
	return err
}

type sqlSession struct {
	tx     *sql.Tx
	client *river.Client[*sql.Tx]
}

func (d sqlSession) queryRow(ctx context.Context, query string, args ...any) interface{ Scan(dest ...any) error } {
	return d.tx.QueryRowContext(ctx, query, args...)
}

func (d sqlSession) insertJobs(ctx context.Context, jobs []river.InsertManyParams) error {
	_, err := d.client.InsertManyTx(ctx, d.tx, jobs)
	return err
}

// record is a message as a row of the ledger.
type record struct {
	N        int       `json:"n"` // place among those of one Put
	Key      string    `json:"key"`
	ClearKey *string   `json:"clear_key"`
	Kind     string    `json:"kind"`
	Customer string    `json:"customer"`
	Body     string    `json:"body"`
	Amount   int64     `json:"amount"`
	Currency string    `json:"currency"`
	Digest   int64     `json:"digest"` // fprom.Message.Digest, bit for bit
	Bulk     bool      `json:"bulk"`
	At       time.Time `json:"recorded_at"`

	message *fprom.Message
}

func recordOf(n int, m *fprom.Message) record {
	r := record{
		N: n, Key: fprom.SafeKey(m.Key), Kind: m.Kind, Customer: m.Customer, Body: string(m.Body), Digest: int64(m.Digest),
		Bulk: m.Bulk, At: m.RecordedAt, message: m,
	}
	r.Amount, r.Currency = m.Money()
	if r.Key != m.Key {
		r.ClearKey = &m.Key
	}
	return r
}

const records = `m AS MATERIALIZED (SELECT * FROM jsonb_to_recordset($1::text::jsonb) AS m(n integer, key text, clear_key text, kind text, customer text,
		body text, amount bigint, currency text, digest bigint, bulk boolean, recorded_at timestamptz)),
	s AS MATERIALIZED (SELECT row_number() OVER (ORDER BY v) AS i, v FROM (SELECT nextval('$schema.fprom_seq') AS v FROM m) v),
	e AS MATERIALIZED (SELECT m.*, s.v AS seq FROM (SELECT m.*, row_number() OVER (ORDER BY n) AS i FROM m) m JOIN s USING (i))`

// Rows are written in the order of their keys, so that two transactions with the same keys do not wait for each other.
const (
	insertSQL = `WITH ` + records + `,
		w AS (INSERT INTO $schema.fprom_ledger (account_id, key, clear_key, seq, kind, customer, body, amount, currency, digest, bulk, recorded_at)
			SELECT $account, key, clear_key, seq, kind, customer, body, amount, currency, digest, bulk, recorded_at FROM e ORDER BY key, n
			ON CONFLICT (account_id, key) DO NOTHING RETURNING key)
		SELECT coalesce(jsonb_agg(key), '[]')::text FROM w`
	reviveSQL = `WITH ` + records + `,
		k AS MATERIALIZED (SELECT l.key FROM $schema.fprom_ledger l JOIN e USING (key) WHERE l.account_id = $account AND l.state <> 'waiting' ORDER BY l.key FOR UPDATE OF l),
		w AS (UPDATE $schema.fprom_ledger l SET clear_key = e.clear_key, seq = e.seq, customer = e.customer, body = e.body, amount = e.amount, currency = e.currency,
				digest = e.digest, bulk = e.bulk, recorded_at = e.recorded_at, state = 'waiting', generation = l.generation + 1, attempts = 0, next_attempt = '-infinity',
				aside = false, forget = false, settled_at = NULL, outcome = '', reason = '', status_code = 0, promoter_event = 0, commissions = NULL
			FROM e JOIN k USING (key) WHERE l.account_id = $account AND l.key = e.key RETURNING l.key)
		SELECT coalesce(jsonb_agg(key), '[]')::text FROM w`
	knownSQL = `SELECT coalesce(jsonb_agg(jsonb_build_object('key', key, 'digest', digest, 'state', state)), '[]')::text
		FROM $schema.fprom_ledger WHERE account_id = $account AND key IN (SELECT jsonb_array_elements_text($1::text::jsonb))`
	refuseSQL = `WITH ` + records + `, w AS (INSERT INTO $schema.fprom_conflict (account_id, key, digest)
			SELECT DISTINCT $account::integer, key, digest FROM m ORDER BY key, digest ON CONFLICT DO NOTHING RETURNING key)
		SELECT coalesce(jsonb_agg(key), '[]')::text FROM w`
)

// write runs a statement on rs and returns the keys that it names.
func (s *store) write(ctx context.Context, tx session, statement string, rs []record) (map[string]bool, error) {
	in, err := json.Marshal(rs)
	if err != nil {
		return nil, err
	}
	var keys []string
	if err := s.read(ctx, tx, statement, in, &keys); err != nil {
		return nil, err
	}
	set := make(map[string]bool, len(keys))
	for _, k := range keys {
		set[k] = true
	}
	return set, nil
}

func (s *store) read(ctx context.Context, tx session, statement string, in []byte, out any) error {
	var text string
	if err := tx.queryRow(ctx, s.sql(statement), string(in)).Scan(&text); err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), out)
}
