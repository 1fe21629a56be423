package riverqueue

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/fprom-go/fprom"
)

var (
	//go:embed migrations/001_ledger.sql
	ledgerSQL string
	//go:embed migrations/002_record.sql
	recordSQL string
	//go:embed migrations/002_rules.sql
	rulesSQL string

	// migrations has at index i the SQL that makes version i+1 of this package's tables.
	migrations = []string{ledgerSQL, recordSQL + rulesSQL}
)

// ErrSchema is wrapped by the errors of a Queue whose tables are missing, too old, or too new for this program.
var ErrSchema = errors.New("fprom: riverqueue: the database does not have the tables of this version")

// Migrate brings River's tables and those of this package to the current version. It needs the right to create only if
// something is missing. Any number of processes may call it at once. Migrate does not change a database that a newer version of
// this package has migrated. If this program cannot work with that version, the error wraps ErrSchema.
func (q *Queue) Migrate(ctx context.Context) error {
	m, err := rivermigrate.New(riverpgxv5.New(q.pool), &rivermigrate.Config{Schema: q.cfg.Schema, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return explain("migrate", err)
	}
	// A step, and the wait for that of another process, may last. But a wait for a table beyond lock_timeout would hold up all that use the table.
	begin := pgx.TxOptions{BeginQuery: `begin isolation level read committed; SET LOCAL statement_timeout = 0`}
	for more := true; more; {
		if err := pgx.BeginTxFunc(ctx, q.pool, begin, func(tx pgx.Tx) error {
			more, err = q.migrateOnce(ctx, tx, m)
			return err
		}); err != nil {
			return explain("migrate schema "+q.cfg.Schema, err)
		}
	}
	return nil
}

// migrateOnce makes the next step, if there is one. A lock keeps other processes from a step of the same schema.
func (q *Queue) migrateOnce(ctx context.Context, tx pgx.Tx, m *rivermigrate.Migrator[pgx.Tx]) (more bool, err error) {
	if _, err := tx.Exec(ctx, q.sql(`SELECT set_config('fprom.was', current_setting('lock_timeout'), true); SET LOCAL lock_timeout = 0;
		SELECT pg_advisory_xact_lock(hashtextextended('migrate/' || '$schema', 7306040937)); SELECT set_config('lock_timeout', current_setting('fprom.was'), true)`)); err != nil {
		return false, err
	}
	var missing bool
	// Not by to_regclass, which may not see what another process has just made.
	if err := tx.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'fprom_migration')`, q.cfg.Schema).Scan(&missing); err != nil {
		return false, err
	}
	if missing {
		// CREATE SCHEMA IF NOT EXISTS needs the right to create a schema, even where there is one.
		_, err := tx.Exec(ctx, q.sql(`DO $$ BEGIN IF to_regnamespace('$schema') IS NULL THEN CREATE SCHEMA $schema; END IF; END $$;
			CREATE TABLE $schema.fprom_migration (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`))
		return true, err
	}
	have, err := q.version(ctx, tx.QueryRow)
	if err != nil || have > len(migrations) {
		return false, err
	}
	res, err := m.MigrateTx(ctx, tx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{MaxSteps: 1}) //nolint:staticcheck // deprecated for several steps in one transaction; this is one step
	if err != nil || len(res.Versions) > 0 {
		return true, err
	}
	if have == len(migrations) {
		return false, nil
	}
	_, err = tx.Exec(ctx, q.sql(migrations[have]))
	return true, err
}

// version returns the version of the tables. An error means that this program cannot work with them.
func (q *Queue) version(ctx context.Context, db queryRow) (have int, err error) {
	var needed int
	if err := db(ctx, q.sql(`SELECT coalesce(max(version), 0), coalesce(max((to_jsonb(m)->>'min_version')::integer), 0) FROM $schema.fprom_migration m`)).Scan(&have, &needed); err != nil {
		return 0, err
	}
	if known := len(migrations); needed > known {
		return have, fmt.Errorf("%w: schema %q has version %d, which needs a program that knows version %d, and this one knows %d: deploy the newer release of riverqueue", ErrSchema, q.cfg.Schema, have, needed, known)
	}
	return have, nil
}

// check returns an error if this program cannot work with the tables. It asks the database until the answer is yes.
func (q *Queue) check(ctx context.Context, db queryRow) error {
	if q.schemaChecked.Load() {
		return nil
	}
	have, err := q.version(ctx, db)
	if err != nil {
		return err
	}
	if have < len(migrations) {
		return fmt.Errorf("%w: schema %q has version %d, this program needs %d: call Migrate", ErrSchema, q.cfg.Schema, have, len(migrations))
	}
	q.schemaChecked.Store(true)
	return nil
}

// explain says what failed, and what to do if a table, view, function, schema or right is missing. It leaves nil, ErrQueueClosed and a conflict as they are.
func explain(what string, err error) error {
	switch state := sqlState(err); {
	case err == nil || errors.Is(err, fprom.ErrConflict) || errors.Is(err, fprom.ErrQueueClosed) || errors.Is(err, ErrSchema):
		return err
	case state == "42P01" || state == "42883" || state == "3F000":
		return fmt.Errorf("%w (%s): call Migrate, or restore the functions of the schema with its tables: %w", ErrSchema, what, err)
	case state == "42501":
		return fmt.Errorf("fprom: riverqueue: %s: %w: let another role call Migrate, or grant the right; the package documentation lists the rights under \"Deploying\"", what, err)
	case state == "23505": // not of a key, with which fprom_put deals
		return fmt.Errorf("fprom: riverqueue: %s: %w: a sequence is behind its table; docs/operations.md says under \"Moving the outbox\" what to do", what, err)
	}
	return fmt.Errorf("fprom: riverqueue: %s: %w", what, err)
}

// sqlState returns the code of an error of PostgreSQL from any driver, or an empty string.
func sqlState(err error) string {
	var pg interface{ SQLState() string }
	if errors.As(err, &pg) {
		return pg.SQLState()
	}
	return ""
}
