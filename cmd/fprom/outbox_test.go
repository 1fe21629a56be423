package main_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	root "github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/riverqueue"
)

// place is where an outbox is, and how a service opens it.
type place struct {
	where string
	open  func(t *testing.T) root.Outbox // as a service
	look  func(t *testing.T) root.Outbox // also while a service has it
}

// places are the kinds of outboxes: what the program shows must be the same for both.
var places = map[string]func(t *testing.T) place{"boltqueue": inFile, "riverqueue": inDatabase}

var schemas atomic.Int64

func inDatabase(t *testing.T) place {
	t.Helper()
	schema := fmt.Sprintf("cli_%d_%d", os.Getpid(), schemas.Add(1))
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("schema", schema)
	u.RawQuery = query.Encode()
	open := func(t *testing.T) root.Outbox {
		t.Helper()
		cfg, err := pgxpool.ParseConfig(database)
		if err != nil {
			t.Fatal(err)
		}
		cfg.MaxConns = 8
		pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		q, err := riverqueue.New(pool, riverqueue.Config{Schema: schema, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		return q
	}
	return place{u.String(), open, open}
}

// newRole creates a role that may log in, and returns it with a function that runs a statement as the owner of the database.
func newRole(t *testing.T, attributes string) (role string, exec func(sql string)) {
	t.Helper()
	role = fmt.Sprintf("role_%d_%d", os.Getpid(), schemas.Add(1))
	exec = func(sql string) {
		t.Helper()
		c, err := pgx.Connect(context.Background(), database)
		if err == nil {
			_, err = c.Exec(context.Background(), sql)
			err = errors.Join(err, c.Close(context.Background()))
		}
		if err != nil {
			t.Error(err)
		}
	}
	exec("CREATE ROLE " + role + " LOGIN " + attributes)
	t.Cleanup(func() { exec("DROP OWNED BY " + role + "; DROP ROLE " + role) })
	return role, exec
}

// asRole returns the address of an outbox for another role.
func asRole(t *testing.T, p place, role string) string {
	t.Helper()
	u, err := url.Parse(p.where)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	return u.String()
}

func inFile(t *testing.T) place {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fprom.db")
	quiet := boltqueue.WithLogger(slog.New(slog.DiscardHandler))
	return place{path, func(t *testing.T) root.Outbox {
		t.Helper()
		q, err := boltqueue.Open(path, quiet)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}, func(t *testing.T) root.Outbox {
		t.Helper()
		q, err := boltqueue.OpenOrDial(path, quiet)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}}
}

// everywhere runs a test on each kind of outbox.
func everywhere(t *testing.T, test func(t *testing.T, p place)) {
	t.Helper()
	for name, make := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, make(t))
		})
	}
}

// serve is a service on the outbox, until the function ends it or the test ends.
func serve(t *testing.T, p place, fake *fpromtest.Server) (tracker *root.Tracker, stop func()) {
	t.Helper()
	cfg := fake.Config()
	cfg.Queue, cfg.Logger, cfg.RequestsPerMinute, cfg.Burst = p.open(t), slog.New(slog.DiscardHandler), 100_000, 1000
	cfg.Retry.Max = time.Second // else an event that has failed for a while is due long after the fault is gone
	tracker, err := root.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		grace := time.Minute
		if filepath.IsAbs(p.where) { // a file is tried until then to be drained, also of what fails
			grace = 2 * time.Second
		}
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		if err := tracker.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	eventually(t, func() bool { // River takes a moment to elect its leader: until then other processes see no delivery
		status := fprom(t, env{"FPROM_OUTBOX": p.where}, "status", "-o", "json").out
		return strings.Contains(status, `"delivering": true`) || strings.Contains(status, "paused in River")
	})
	return tracker, stop
}

// sold is a service that has reported these sales, and an operator's environment beside it.
func sold(t *testing.T, p place, events ...root.Event) (fake *fpromtest.Server, e env, stop func()) {
	t.Helper()
	fake = fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
	tracker, stop := serve(t, p, fake)
	enqueue(t, tracker, events...)
	flush(t, tracker)
	return fake, account(fake).with(env{"FPROM_OUTBOX": p.where}), stop
}

// put stores messages in an outbox that no service has.
func put(t *testing.T, p place, change func(*root.Message), events ...root.Event) {
	t.Helper()
	box := p.open(t)
	for _, e := range events {
		m, err := root.NewMessage(e)
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(&m)
		}
		if err := box.Put(t.Context(), m); err != nil && !errors.Is(err, root.ErrConflict) {
			t.Fatal(err)
		}
	}
	if err := box.Close(); err != nil {
		t.Fatal(err)
	}
}

// enqueue tries until the events are stored: a Tracker waits for a slow machine's disk or database for a second only.
func enqueue(t *testing.T, tracker *root.Tracker, events ...root.Event) {
	t.Helper()
	eventually(t, func() bool {
		err := tracker.Enqueue(t.Context(), events...)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		return err == nil
	})
}

func flush(t *testing.T, tracker *root.Tracker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := tracker.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// migrated returns an empty outbox in a database, and the schema of its tables.
func migrated(t *testing.T) (p place, schema string) {
	t.Helper()
	p = inDatabase(t)
	if err := p.open(t).Close(); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(p.where)
	if err != nil {
		t.Fatal(err)
	}
	return p, u.Query().Get("schema")
}

// newer returns the address of a schema that a release has migrated with which this one cannot work.
func newer(t *testing.T) string {
	t.Helper()
	p, schema := migrated(t)
	c, err := pgx.Connect(t.Context(), database)
	if err == nil {
		_, err = c.Exec(t.Context(), "INSERT INTO "+schema+".fprom_migration (version, min_version) VALUES (99, 99)")
		err = errors.Join(err, c.Close(t.Context()))
	}
	if err != nil {
		t.Fatal(err)
	}
	return p.where
}

// What is wrong with an outbox is said in the words of doctor, and in one line.
func TestOutboxInWords(t *testing.T) {
	t.Parallel()
	held := inFile(t)
	box, err := boltqueue.Open(held.where, boltqueue.WithoutSocket(), boltqueue.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	empty := filepath.Join(t.TempDir(), "fprom.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(t.TempDir(), "fprom.db")
	box, err = boltqueue.Open(moved, boltqueue.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	if err := os.Rename(moved, moved+".old"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		where, says string
		code        int
	}{
		{moved, "moved or deleted while the service had it open", 1},
		{held.where, "another process has the file open", 1},
		{empty, "is an empty file", 1},
		{"postgres://nobody@127.0.0.1:1/shop", "PostgreSQL cannot be reached", 5},
		{inDatabase(t).where, "the tables are missing", 1},
		{newer(t), "the fprom of the service's release", 1},
	} {
		for _, args := range [][]string{{"status"}, {"events", "-o", "jsonl"}, {"dead", "list"}} {
			if r := fprom(t, env{"FPROM_OUTBOX": c.where}, args...).want(t, c.code); !strings.Contains(r.err, c.says) || strings.Contains(r.err, "boltqueue.Dial") || strings.Contains(r.err, "[address]") || strings.Count(r.err, "\n") != 1 {
				t.Errorf("no %q in %s", c.says, r)
			}
		}
		if r := fprom(t, env{"FPROM_OUTBOX": c.where}, "doctor"); !strings.Contains(r.out, c.says) {
			t.Errorf("no %q in %s", c.says, r)
		}
	}
	for _, flag := range []string{"--deliver", "--dry-run"} { // a new file would be a second outbox, and no row is known in it
		r := fprom(t, account(fpromtest.NewServer(t)), "backfill", past(t, 1), "--amount", "minor", "--outbox", moved, flag).want(t, 1)
		if _, err := os.Stat(moved); err == nil || !strings.Contains(r.err, "end the service, put the file back") {
			t.Errorf("%v: %s", err, r)
		}
	}
	if info, err := os.Stat(empty); err != nil || info.Size() != 0 {
		t.Errorf("the empty file became %v, %v", info, err)
	}
}

// A warning of the outbox is a note as others are, and in doctor a check.
func TestOutboxWarns(t *testing.T) {
	t.Parallel()
	path := emptyOutbox(t)
	if err := os.WriteFile(path+".sock", []byte("a file of somebody else"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := env{"FPROM_OUTBOX": path}
	if r := fprom(t, e, "status").want(t, 0); !strings.HasPrefix(r.err, "no socket beside the outbox") || !strings.Contains(r.err, "remove "+path+".sock") {
		t.Error(r)
	}
	if r := fprom(t, e, "status", "-o", "json").want(t, 0); !strings.HasPrefix(r.err, `{"type":"note","note":"no socket`) {
		t.Error(r)
	}
	r := fprom(t, e, "doctor", "-o", "json")
	if r.names(t, "outbox", `no socket beside the outbox.*remove `); r.err != "" {
		t.Error(r)
	}
}

// An outbox of the environment that cannot be read does not keep FirstPromoter from being asked; one that is named does.
func TestWhyWithoutItsOutbox(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t)
	for _, where := range []string{filepath.Join(t.TempDir(), "away.db"), "postgres://nobody@127.0.0.1:1/shop", inDatabase(t).where} {
		e := account(fake).with(env{"FPROM_OUTBOX": where})
		if r := fprom(t, e, "why", "ann@example.com").want(t, 0); !strings.Contains(r.out, "no lead: ") || !strings.HasPrefix(r.err, "goes on without the outbox of $FPROM_OUTBOX: outbox ") {
			t.Error(r)
		}
		if r := fprom(t, e, "why", "ann@example.com", "--outbox", where); r.code == 0 || r.out != "" || !strings.HasPrefix(r.err, "fprom: outbox ") {
			t.Error(r)
		}
	}
}

func sale(id, email string, amount int64, currency string) root.Sale {
	return root.Sale{EventID: id, Email: email, Amount: amount, Currency: currency}
}

// eventually waits for cond.
func eventually(t *testing.T, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come to that")
		}
	}
}

// filled is an outbox with events in every state, whose service is stopped.
func filled(t *testing.T, p place) (*fpromtest.Server, env) {
	t.Helper()
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0))
	fake.AddLead("jane@example.com")
	fake.Inject(fpromtest.Status(400).OnEvent("bad_1"), fpromtest.Status(400).OnEvent("bad_2"))
	tracker, stop := serve(t, p, fake)
	for _, e := range []root.Event{
		sale("ch_1", "jane@example.com", 1999, "USD"), sale("ch_2", "bob@example.com", 5000, "JPY"),
		root.Refund{EventID: "rf_1", Email: "jane@example.com", Amount: 99, Currency: "USD", SaleEventID: "ch_1"},
		sale("bad_1", "jane@example.com", 1250, "EUR"), sale("bad_2", "bob@example.com", 5, ""),
		root.Sale{EventID: "ch_3", Email: "kim@example.com", Amount: 700, Currency: "USD", TID: "tid1"},
	} {
		enqueue(t, tracker, e)
		if s, ok := e.(root.Sale); !ok || s.TID == "" { // that of an unknown visitor is asked about again, for an hour
			flush(t, tracker)
		}
	}
	box := p.look(t)
	eventually(t, func() bool {
		for e, err := range box.Entries(t.Context(), root.Filter{Keys: []string{"ch_3"}}) {
			if err != nil {
				t.Fatal(err)
			}
			return !e.NextAttempt.IsZero()
		}
		return false
	})
	stop()
	if err := box.Close(); err != nil {
		t.Fatal(err)
	}
	stop()
	signup, err := root.NewMessage(root.Signup{Email: "kim@example.com", TID: "tid1"})
	if err != nil {
		t.Fatal(err)
	}
	box = p.open(t)
	if err := errors.Join(box.Put(t.Context(), signup), box.Close()); err != nil {
		t.Fatal(err)
	}
	return fake, account(fake).with(env{"FPROM_OUTBOX": p.where})
}

// A password whose special characters are not escaped ends up anywhere in the address. It is not shown all the same.
func TestPasswordThatIsNotEscaped(t *testing.T) {
	t.Parallel()
	file := past(t, 1)
	for _, where := range []string{
		"postgres://shop:1/hunter2@127.0.0.1:1/shop", "postgres://shop:1?hunter2@127.0.0.1:1/shop", "postgres://shop:1#hunter2@127.0.0.1:1/shop",
		"postgres://shop:1@2:3/hunter2@127.0.0.1:1/shop", "postgres://shop@127.0.0.1:1/shop?password=hunter2;1&sslmode=no",
		"postgres://shop@127.0.0.1:1/shop?PASSWORD=hunter2&sslmode=no",
	} {
		hidesPassword(t, env{"FPROM_OUTBOX": where}, "status", "doctor", "backfill "+file+" --amount minor")
	}
}

// hidesPassword checks that the commands fail without showing the password of the outbox, hunter2.
func hidesPassword(t *testing.T, e env, commands ...string) {
	t.Helper()
	for _, args := range commands {
		if r := fprom(t, e, strings.Fields(args)...); strings.Contains(r.out+r.err, "hunter2") || r.code == 0 {
			t.Error(r)
		}
	}
}

// An address that is written wrongly is no file, and its password is not shown.
func TestPasswordOfAWrongAddress(t *testing.T) {
	t.Parallel()
	file := past(t, 1)
	for _, where := range []string{
		"host=db user=shop password=hunter2 dbname=shop", "Postgres://shop:hunter2@db/shop", "postgres:shop:hunter2@db",
		"host=db user=shop pasword=hunter2 dbname=shop", "/dev/null/postgres:shop:hunter2@db", "postgres://shop:hunter2%zz@db/shop",
		"jdbc:postgresql://db/shop?user=shop&password=hunter2",
	} {
		e := env{"FPROM_OUTBOX": where, "FIRSTPROMOTER_API_KEY": "key-0123456789", "FIRSTPROMOTER_ACCOUNT_ID": "acc-1", "FIRSTPROMOTER_API_URL": "http://127.0.0.1:1/api/v2/track"}
		hidesPassword(t, e, "status", "doctor", "page", "why ann@example.com", "backfill "+file+" --amount minor", "backfill "+file+" --amount minor --deliver")
	}
	const where = "postgres://shop:hunter2@db/shop" // in the place of a file
	hidesPassword(t, nil, "explain stripe "+where, "backfill "+where+" --amount minor", "events --outbox fprom.db --changes "+where)
}

// An address that says how long a connection may take is obeyed.
func TestConnectTimeoutOfTheAddress(t *testing.T) {
	t.Parallel()
	start := time.Now()
	const more = 18 // seconds, than by default
	r := fprom(t, nil, "status", "--outbox", fmt.Sprintf("postgres://shop@%s/shop?connect_timeout=%d", silentPort(t), more)).want(t, 5)
	if took := time.Since(start); took < more*time.Second || !strings.Contains(r.err, "cannot be reached") {
		t.Errorf("after %v: %s", took, r)
	}
	if r := fprom(t, nil, "status", "--outbox", database+"&connect_timeout=10000000000").want(t, 2); !strings.Contains(r.err, "check its parameters") {
		t.Errorf("too long for a duration: %s", r)
	}
}
