package riverqueue_test

import (
	"context"
	"flag"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net/url"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest/queuetest"
	"github.com/fprom-go/fprom/internal/postgres"
	"github.com/fprom-go/fprom/riverqueue"
)

// database is the URL of the server that all tests but the crash tests share.
var database string

// TestMain takes the PostgreSQL of FPROM_TEST_POSTGRES or starts one. No test here is skipped for want of one.
func TestMain(m *testing.M) {
	if role := os.Getenv("FPROM_TEST_ROLE"); role != "" {
		os.Exit(playRole(role))
	}
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue { // mostly, the tests wait
		if err := f.Value.Set("6"); err != nil {
			panic(err)
		}
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if database = os.Getenv("FPROM_TEST_POSTGRES"); database != "" {
		return m.Run()
	}
	s, err := postgres.Start(context.Background(), "max_connections=200")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	database = s.URL
	code := m.Run()
	if err := s.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

var schemas atomic.Int64

// newSchema returns the name of a schema that is dropped at the end of the test.
func newSchema(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("t_%d_%d_%d", os.Getpid(), time.Now().UnixMilli(), schemas.Add(1))
	tb.Cleanup(func() { dropSchema(tb, name) })
	return name
}

// dropSchema lets a deadlock with what a River client still does end that client's transaction.
func dropSchema(tb testing.TB, name string) {
	tb.Helper()
	pool := newPool(tb, database)
	defer pool.Close()
	if _, err := pool.Exec(context.Background(), "SET deadlock_timeout = '1min'; DROP SCHEMA IF EXISTS "+name+" CASCADE"); err != nil {
		tb.Error(err)
	}
}

// newDatabase returns the URL of a database that is dropped at the end of the test.
func newDatabase(tb testing.TB, options string) string {
	tb.Helper()
	admin := newPool(tb, database)
	tb.Cleanup(admin.Close)
	name := newSchema(tb)
	if _, err := admin.Exec(tb.Context(), `CREATE DATABASE `+name+` `+options); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if _, err := admin.Exec(context.Background(), `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			tb.Error(err)
		}
	})
	u, err := url.Parse(database)
	if err != nil {
		tb.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// newPool returns a pool of 12 connections, unless change says otherwise.
func newPool(tb testing.TB, url string, change ...func(*pgxpool.Config)) *pgxpool.Pool {
	tb.Helper()
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		tb.Fatal(err)
	}
	cfg.MaxConns = 12
	for _, c := range change {
		c(cfg)
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return pool
}

// withQuery returns the URL with one more parameter.
func withQuery(tb testing.TB, dbURL, key, value string) string {
	tb.Helper()
	u, err := url.Parse(dbURL)
	if err != nil {
		tb.Fatal(err)
	}
	v := u.Query()
	v.Set(key, value)
	u.RawQuery = v.Encode()
	return u.String()
}

// asRole returns the URL of the database for a role with the password x.
func asRole(tb testing.TB, role string) string {
	tb.Helper()
	u, err := url.Parse(database)
	if err != nil {
		tb.Fatal(err)
	}
	u.User = url.UserPassword(role, "x")
	return u.String()
}

// open returns a migrated queue with a pool of its own.
func open(tb testing.TB, cfg riverqueue.Config) (*riverqueue.Queue, *pgxpool.Pool) {
	tb.Helper()
	return openAt(tb, database, cfg)
}

// openAt is open for the database of a URL.
func openAt(tb testing.TB, dbURL string, cfg riverqueue.Config) (*riverqueue.Queue, *pgxpool.Pool) {
	tb.Helper()
	if cfg.Schema == "" {
		cfg.Schema = newSchema(tb)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	pool := newPool(tb, dbURL)
	tb.Cleanup(pool.Close)
	q, err := riverqueue.New(pool, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	if err := q.Migrate(context.Background()); err != nil {
		tb.Fatal(err)
	}
	return q, pool
}

// openIn returns a queue in the schema that belongs to dir.
func openIn(t *testing.T, dir string) *riverqueue.Queue {
	t.Helper()
	schema := fmt.Sprintf("d%d_%x", os.Getpid(), crc32.ChecksumIEEE([]byte(dir)))
	q, _ := open(t, riverqueue.Config{Schema: schema})
	t.Cleanup(func() { dropSchema(t, schema) })
	return q
}

func TestQueue(t *testing.T) {
	t.Parallel()
	queuetest.TestQueue(t, func(t *testing.T) fprom.Queue {
		t.Helper()
		q, _ := open(t, riverqueue.Config{})
		return q
	})
}

func TestDurableQueue(t *testing.T) {
	t.Parallel()
	queuetest.TestDurableQueue(t, func(t *testing.T, dir string) fprom.Queue {
		t.Helper()
		return openIn(t, dir)
	})
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	queuetest.TestOutbox(t, func(t *testing.T, dir string) fprom.Outbox {
		t.Helper()
		return openIn(t, dir)
	})
}
