package riverqueue

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// ErrSchema is wrapped by the errors of a Queue whose tables are missing, older or newer than this package.
var ErrSchema = errors.New("riverqueue: the database does not have the tables of this version")

// migrations returns the SQL of each version of this package's tables, the first at index 0.
func migrations() ([]string, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	all := make([]string, len(names))
	for i, name := range names {
		if !strings.HasPrefix(name, fmt.Sprintf("migrations/%03d_", i+1)) {
			return nil, fmt.Errorf("riverqueue: %s is not migration %d", name, i+1)
		}
		b, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all[i] = string(b)
	}
	return all, nil
}

// Migrate creates the schema and brings River's tables and those of this package to the current version; what is
// current is left alone. Any number of processes may call it at once. A database that a newer version of this package
// has migrated is refused with an error that wraps ErrSchema.
func (q *Queue) Migrate(ctx context.Context) error {
	conn, err := q.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("riverqueue: migrate: %w", err)
	}
	defer conn.Release()
	const one = `hashtextextended('fprom migrations', 7306040937)`
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock(`+one+`)`); err != nil {
		return fmt.Errorf("riverqueue: migrate: %w", err)
	}
	defer conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock(`+one+`)`) //nolint:errcheck // it ends with the connection at the latest

	if _, err := conn.Exec(ctx, prologue(q.cfg.Schema)); err != nil {
		return fmt.Errorf("riverqueue: migrate: create the schema: %w", err)
	}
	all, err := migrations()
	if err != nil {
		return err
	}
	if _, err := q.store.version(ctx, q.pool, len(all)); err != nil {
		return err
	}
	m, err := rivermigrate.New(riverpgxv5.New(q.pool), &rivermigrate.Config{Schema: q.cfg.Schema, Logger: loud(q.log)})
	if err != nil {
		return fmt.Errorf("riverqueue: migrate: %w", err)
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("riverqueue: migrate River's tables: %w", err)
	}
	return q.apply(ctx, all)
}

// apply runs those of all that are missing, each in a transaction.
func (q *Queue) apply(ctx context.Context, all []string) error {
	have, err := q.store.version(ctx, q.pool, len(all))
	if err != nil {
		return err
	}
	for i := have; i < len(all); i++ {
		err := q.transact(ctx, &pgx.Batch{}, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, numbered(q.cfg.Schema, i+1, all[i]))
			return err
		})
		if err != nil {
			return fmt.Errorf("riverqueue: migration %d: %w", i+1, err)
		}
	}
	q.store.sound.Store(true)
	return nil
}

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// version is what the database has; an error if that is more than want.
func (s *store) version(ctx context.Context, db querier, want int) (int, error) {
	var have int
	if err := db.QueryRow(ctx, s.sql.version).Scan(&have); err != nil {
		return 0, explain(err)
	}
	if have > want {
		return have, fmt.Errorf("%w: schema %q has version %d, this program knows %d: deploy the newer release of riverqueue", ErrSchema, s.schema, have, want)
	}
	return have, nil
}

// check makes sure once that the tables are those of this version.
func (s *store) check(ctx context.Context, db querier) error {
	if s.sound.Load() {
		return nil
	}
	all, err := migrations()
	if err != nil {
		return err
	}
	have, err := s.version(ctx, db, len(all))
	if err != nil {
		return err
	}
	if have < len(all) {
		return fmt.Errorf("%w: schema %q has version %d, this program needs %d: call Migrate", ErrSchema, s.schema, have, len(all))
	}
	s.sound.Store(true)
	return nil
}

// explain says what to do about a missing table.
func explain(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == "42P01" || pg.Code == "3F000") {
		return fmt.Errorf("%w: call Migrate: %w", ErrSchema, err)
	}
	return err
}

func prologue(schema string) string {
	return fmt.Sprintf(`CREATE SCHEMA IF NOT EXISTS %s;
CREATE TABLE IF NOT EXISTS %[1]s.fprom_migration (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
`, schema)
}

func numbered(schema string, version int, sql string) string {
	return strings.ReplaceAll(sql, "$schema", schema) + fmt.Sprintf("\nINSERT INTO %s.fprom_migration (version) VALUES (%d);\n", schema, version)
}

// MigrationSQL returns what Migrate does to a database without these tables, River's included, as SQL for psql or a
// migration tool: steps, each of which must be committed before the next. An empty schema means DefaultSchema. Each
// begins with a comment that names it; Migrate takes a database that was made with them for current.
func MigrationSQL(schema string) ([]string, error) {
	cfg, err := Config{Schema: schema}.withDefaults()
	if err != nil {
		return nil, err
	}
	schema = cfg.Schema
	m, err := rivermigrate.New(riverpgxv5.New(nil), &rivermigrate.Config{Schema: schema, Logger: loud(cfg.Logger)})
	if err != nil {
		return nil, fmt.Errorf("riverqueue: %w", err)
	}
	steps := []string{"-- schema\n" + prologue(schema)}
	var done strings.Builder
	done.WriteString("-- River's migrations are done\n")
	for _, v := range m.AllVersions() {
		sql := strings.TrimSpace(strings.ReplaceAll(v.SQLUp, "/* TEMPLATE: schema */", schema+"."))
		steps = append(steps, fmt.Sprintf("-- River, version %d\n%s\n", v.Version, sql))
		fmt.Fprintf(&done, "INSERT INTO %s.river_migration (line, version) VALUES ('main', %d) ON CONFLICT DO NOTHING;\n", schema, v.Version)
	}
	steps = append(steps, done.String())
	all, err := migrations()
	if err != nil {
		return nil, err
	}
	for i, sql := range all {
		steps = append(steps, fmt.Sprintf("-- fprom, version %d\n%s", i+1, numbered(schema, i+1, sql)))
	}
	return steps, nil
}
