package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/riverqueue"
)

const (
	envOutbox = "FPROM_OUTBOX"
	noOutbox  = "no outbox is named: use --outbox FILE or --outbox postgres://…, or set $" + envOutbox
	dbTimeout = 15 * time.Second
)

// location is where the outbox is, from the flag or the environment.
func (a *app) location() (string, error) {
	where := cmp.Or(a.where, os.Getenv(envOutbox))
	if where == "" {
		return "", usage(noOutbox)
	}
	return where, nil
}

func isDatabase(where string) bool {
	return strings.HasPrefix(where, "postgres://") || strings.HasPrefix(where, "postgresql://")
}

// withOutbox opens the outbox for f, a file with opts: by default only to read and feed it.
func (a *app) withOutbox(ctx context.Context, f func(fprom.Outbox) error, opts ...boltqueue.Option) error {
	where, err := a.location()
	if err != nil {
		return err
	}
	box, end, err := a.open(ctx, where, opts...)
	if err != nil {
		return inWords(where, err)
	}
	return a.use(where, box, end, f)
}

// opener calls a function with the open outbox, and closes it.
type opener func(func(fprom.Outbox) error) error

// opener opens the outbox at each call. In between, as while the program asks, a service can open the file.
func (a *app) opener(ctx context.Context) opener {
	return func(f func(fprom.Outbox) error) error { return a.withOutbox(ctx, f) }
}

// use calls f with the open outbox at where, and closes it.
func (a *app) use(where string, box fprom.Outbox, end func() error, f func(fprom.Outbox) error) error {
	err := errors.Join(f(box), end())
	_, coded := errors.AsType[*exitError](err)
	if _, file := errors.AsType[*fs.PathError](err); coded || file { // not an error of the outbox
		return err
	}
	return inWords(where, err)
}

// inWords returns err in doctor's words, if it is a known problem of an outbox.
func inWords(where string, err error) error {
	if p := problemOf(err); p != nil {
		return &exitError{cmp.Or(p.exit, exitFailed), fmt.Errorf("outbox %s: %w", shown(where), p)}
	}
	return err
}

// open opens the outbox at where. A file must exist: a wrong path must not become an empty outbox. The caller must call the function
// after use.
func (a *app) open(ctx context.Context, where string, opts ...boltqueue.Option) (fprom.Outbox, func() error, error) {
	if isDatabase(where) {
		return a.openDatabase(ctx, where)
	}
	if p := fileProblem(where); p != nil {
		return nil, nil, p
	}
	if opts == nil {
		opts = []boltqueue.Option{boltqueue.WithoutCreate(), boltqueue.WithoutRun()}
	}
	box, err := boltqueue.OpenOrDial(where, append(opts, boltqueue.WithLogger(a.logger()))...)
	if err != nil {
		return nil, nil, err
	}
	return box, box.Close, nil
}

// openSound opens the outbox at where, and looks whether it can be read: a database is not asked before.
func (a *app) openSound(ctx context.Context, where string) (fprom.Outbox, func() error, error) {
	box, end, err := a.open(ctx, where)
	if err != nil {
		return nil, nil, err
	}
	if _, err = box.Stats(ctx); err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return box, end, nil
}

// openDatabase connects to riverqueue's schema. It creates and migrates nothing.
func (a *app) openDatabase(ctx context.Context, where string) (fprom.Outbox, func() error, error) {
	cfg, schema, err := databaseConfig(where)
	if err != nil {
		return nil, nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	box, err := riverqueue.New(pool, riverqueue.Config{Schema: schema, Logger: a.logger()})
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	return box, func() error { defer pool.Close(); return box.Close() }, nil
}

// databaseConfig removes the parameter schema from the address, since PostgreSQL would refuse it.
func databaseConfig(where string) (*pgxpool.Config, string, error) {
	u, err := url.Parse(where)
	if err != nil {
		return nil, "", &problem{what: "is not a URL", do: "special characters of the password must be escaped, such as %23 for #", exit: exitUsage}
	}
	query, badQuery := url.ParseQuery(u.RawQuery)
	schema := query.Get("schema")
	query.Del("schema")
	u.RawQuery = query.Encode()
	cfg, err := pgxpool.ParseConfig(u.String())
	if err != nil || badQuery != nil || cfg.ConnConfig.ConnectTimeout < 0 { // which is too large
		return nil, "", &problem{what: "cannot be read as an address of PostgreSQL", do: "check its parameters and the files that they name; in a value ; is written %3B, and % is %25", exit: exitUsage}
	}
	if cfg.ConnConfig.ConnectTimeout == 0 { // no connect_timeout in the address
		cfg.ConnConfig.ConnectTimeout = dbTimeout
	}
	return cfg, schema, nil
}

func scheme(where string) string {
	s, _, _ := strings.Cut(where, "://")
	return s
}

// shown is where without a password.
func shown(where string) string {
	if !isDatabase(where) {
		before, _, at := strings.Cut(where[len(filepath.VolumeName(where)):], "@") // without the colon of C:
		pairs := strings.Contains(where, "=") && strings.ContainsAny(where, " ?;") // host=db password=…, jdbc:…?password=…
		if at && strings.Contains(before, ":") || pairs {
			return "(not shown, since it may have a password; an address begins with postgres://)"
		}
		return where
	}
	u, err := url.Parse(where)
	if err != nil {
		return scheme(where) + "://…"
	}
	query, err := url.ParseQuery(u.RawQuery)
	if _, rest, at := strings.Cut(where, "@"); err != nil || at && (u.User == nil || strings.Contains(rest, "@")) || u.Fragment != "" {
		return scheme(where) + "://…" // a password whose special characters are not escaped may be anywhere
	}
	for name := range query {
		if strings.Contains(strings.ToLower(name), "password") {
			query.Set(name, "xxxxx")
			u.RawQuery = query.Encode()
		}
	}
	return u.Redacted()
}

// withoutPath is the cause of an error of a file.
func withoutPath(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
