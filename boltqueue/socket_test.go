package boltqueue_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/fpromtest/queuetest"
)

// shortDir is a directory whose name leaves room for that of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bq") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func dial(t *testing.T, dir string) fprom.Outbox {
	t.Helper()
	r, err := boltqueue.DialWithin(filepath.Join(dir, "fprom.db"), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// served is an outbox that is used through its socket, and delivers itself.
type served struct {
	fprom.Outbox
	q *boltqueue.Queue
}

func (s served) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	return s.q.Run(ctx, workers, deliver)
}

func (s served) Close() error { return errors.Join(s.Outbox.Close(), s.q.Close()) }

// TestDialed: what is used through the socket keeps all rules of an outbox.
func TestDialed(t *testing.T) {
	t.Parallel()
	dirs := sync.Map{} // a test's directory → a short one
	queuetest.TestOutbox(t, func(t *testing.T, dir string) fprom.Outbox {
		t.Helper()
		short, ok := dirs.Load(dir)
		if !ok {
			short = shortDir(t)
			dirs.Store(dir, short)
		}
		q := openServed(t, short.(string))
		return served{dial(t, short.(string)), q}
	})
	queuetest.TestQueue(t, func(t *testing.T) fprom.Queue {
		t.Helper()
		dir := shortDir(t)
		q := openServed(t, dir)
		return served{dial(t, dir), q}
	})
}

func TestSocket(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	path := filepath.Join(dir, "fprom.db")
	if _, err := boltqueue.Dial(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Dial where there is nothing: %v", err)
	}
	q := openServed(t, dir)
	info, err := os.Stat(path + ".sock")
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != fs.ModeSocket {
		t.Fatalf("the socket: %v, %v; want mode 0600", info, err)
	}
	r, err := boltqueue.OpenOrDial(path, boltqueue.WithWait(time.Minute), discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(t.Context(), 1, nil); !errors.Is(err, boltqueue.ErrServed) {
		t.Errorf("Run of an outbox of another process: %v", err)
	}
	if err := r.Put(t.Context(), sale(t, 1, 100)); err != nil {
		t.Error(err)
	}
	if got := deliver(t, q, nil); len(got) != 1 || got[0].Key != "sale:1" {
		t.Errorf("delivered %v, want what another process put", got)
	}
	closeQueue(t, q)
	if _, err := os.Lstat(path + ".sock"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket after Close: %v", err)
	}
	if _, err := r.Stats(t.Context()); err == nil || !strings.Contains(err.Error(), "no service answers") {
		t.Errorf("Stats when the service has ended: %v", err)
	}
	_ = r.Close()
	if _, err := r.Stats(t.Context()); !errors.Is(err, fprom.ErrQueueClosed) {
		t.Errorf("Stats after Close: %v", err)
	}
	own, err := boltqueue.OpenOrDial(path)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := own.Stats(t.Context()); err != nil || s.Ledger != 1 {
		t.Errorf("the file that nobody has: %+v, %v", s, err)
	}
	if _, opened := own.(*boltqueue.Queue); !opened {
		t.Errorf("OpenOrDial of a file that nobody has: %T, want one that Run delivers from", own)
	}
	if err := own.Close(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := boltqueue.OpenOrDial(path); !errors.Is(err, boltqueue.ErrForeign) {
		t.Errorf("OpenOrDial of another file: %v", err)
	}
}

// TestSocketStands: what a killed process left is replaced, what is no socket stays, and the outbox works without one.
func TestSocketStands(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		make   func(t *testing.T, dir string) string
		socket bool
	}{
		{"left by a killed process", func(t *testing.T, dir string) string {
			t.Helper()
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "fprom.db.sock")})
			if err != nil {
				t.Fatal(err)
			}
			l.SetUnlinkOnClose(false)
			_ = l.Close()
			return dir
		}, true},
		{"another file", func(t *testing.T, dir string) string {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, "fprom.db.sock"), []byte("mine"), 0o600); err != nil {
				t.Fatal(err)
			}
			return dir
		}, false},
		{"the longest path", pathOf(98), true},
		{"a path that is too long", pathOf(99), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := tt.make(t, shortDir(t))
			var log bytes.Buffer
			q := openServed(t, dir, boltqueue.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			put(t, q, sale(t, 1, 100))
			_, err := boltqueue.DialWithin(filepath.Join(dir, "fprom.db"), time.Minute)
			if (err == nil) != tt.socket {
				t.Errorf("Dial: %v, want a socket: %v", err, tt.socket)
			}
			if text := log.String(); (text == "") != tt.socket || !tt.socket && !strings.Contains(text, "remove "+filepath.Join(dir, "fprom.db.sock")) && !strings.Contains(text, "at most 98 bytes") {
				t.Errorf("logged %q, want the file to remove, which is not the outbox, or how long a path may be", text)
			}
			closeQueue(t, q)
			if b, err := os.ReadFile(filepath.Join(dir, "fprom.db.sock")); !tt.socket && err == nil && string(b) != "mine" {
				t.Errorf("the other file has %q", b)
			}
		})
	}
}

// pathOf makes a directory whose fprom.db has a path of n bytes.
func pathOf(n int) func(t *testing.T, dir string) string {
	return func(t *testing.T, dir string) string {
		t.Helper()
		dir += "/" + strings.Repeat("x", n-len(dir+"//fprom.db"))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		return dir
	}
}

// TestSocketOfNext: a service whose file was moved away leaves the socket of the next service alone when it ends.
func TestSocketOfNext(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	path := filepath.Join(dir, "fprom.db")
	old := openServed(t, dir)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	next := openServed(t, dir)
	closeQueue(t, old)
	if err := dial(t, dir).Put(t.Context(), sale(t, 1, 100)); err != nil {
		t.Errorf("Put by another process: %v", err)
	}
	if s := stats(t, next); s.Pending != 1 {
		t.Errorf("the next service has %+v", s)
	}
}

// TestSocketThroughLink: a service is found by any name of its file.
func TestSocketThroughLink(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link", "fprom.db")
	if err := errors.Join(os.Mkdir(real, 0o700), os.Mkdir(filepath.Dir(link), 0o700), os.Symlink("../real/fprom.db", link)); err != nil {
		t.Fatal(err)
	}
	for _, names := range [][2]string{{link, filepath.Join(real, "fprom.db")}, {filepath.Join(real, "fprom.db"), link}} {
		q, err := openAt(names[0])
		if err != nil {
			t.Fatal(err)
		}
		r, err := boltqueue.OpenOrDial(names[1], boltqueue.WithWait(time.Minute), discard)
		if err != nil {
			t.Errorf("OpenOrDial of %s, which is open as %s: %v", names[1], names[0], err)
		} else if err := r.Put(t.Context(), sale(t, names[0], 100)); err != nil {
			t.Errorf("Put: %v", err)
		}
		closeQueue(t, q)
	}
}

// TestSocketOfLongPath: a symbolic link with a short path gives a socket to a file whose own path is too long for one.
func TestSocketOfLongPath(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	long := filepath.Join(dir, strings.Repeat("d", 100))
	link := filepath.Join(dir, "fprom.db")
	if err := errors.Join(os.Mkdir(long, 0o700), os.Symlink(filepath.Join(long, "fprom.db"), link)); err != nil {
		t.Fatal(err)
	}
	q := openServed(t, dir, discard)
	put(t, q, sale(t, 1, 100))
	if s, err := dial(t, dir).Stats(t.Context()); err != nil || s.Pending != 1 {
		t.Errorf("Stats: %+v, %v", s, err)
	}
	closeQueue(t, q)
	if _, err := os.Stat(link + ".sock"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket after Close: %v", err)
	}
}

// TestManyDial: more than a hundred processes find the service at once.
func TestManyDial(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	openServed(t, dir)
	var all sync.WaitGroup
	for range 120 {
		all.Go(func() {
			if _, err := boltqueue.DialWithin(filepath.Join(dir, "fprom.db"), time.Minute); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// TestDialWithWait: who would wait for the file uses the service that has it.
func TestDialWithWait(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	openServed(t, dir)
	start := time.Now()
	r, err := boltqueue.OpenOrDial(filepath.Join(dir, "fprom.db"), boltqueue.WithWait(2*time.Minute), discard)
	if err != nil || time.Since(start) > time.Minute {
		t.Fatalf("OpenOrDial beside a service: %v after %v", err, time.Since(start))
	}
	if _, err := r.Stats(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestDialWaits: who waits for a file that no service shows says so, once.
func TestDialWaits(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	open(t, dir)
	var log bytes.Buffer
	path, logger := filepath.Join(dir, "fprom.db"), boltqueue.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))
	start := time.Now()
	_, err := boltqueue.OpenOrDial(path, boltqueue.WithWait(1500*time.Millisecond), logger)
	if !errors.Is(err, boltqueue.ErrLocked) || time.Since(start) < 1500*time.Millisecond || strings.Count(log.String(), "waiting for it to end") != 1 || !strings.Contains(err.Error(), "no service answers") {
		t.Errorf("OpenOrDial: %v after %v, and logged %q", err, time.Since(start), log.String())
	}
}

// TestWatched: other processes see what the Tracker that delivers knows, and no secret.
func TestWatched(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	q := openServed(t, dir)
	fake := fpromtest.NewServer(t, fpromtest.WithAllLeads())
	fake.Inject(fpromtest.Status(http.StatusTooManyRequests).RetryAfter("60"))
	r := dial(t, dir)
	q.Watch(func() fprom.Stats { return fprom.Stats{Breaker: "open"} })
	if s, err := r.Stats(t.Context()); err != nil || s.Breaker != "" || s.LastMinute != nil {
		t.Errorf("Stats: %+v, %v; want nothing of a Tracker that does not deliver", s, err)
	}
	cfg := fake.Config()
	cfg.Queue = q
	tracker, err := fprom.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	put(t, q, sale(t, 1, 100))
	for _, amount := range []int64{100, 200, 200} { // two conflicts of one pair
		_ = tracker.Enqueue(t.Context(), fprom.Sale{EventID: "2", Email: "ann@example.com", Amount: amount})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		s, err := r.Stats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if s.Delivering && !s.PausedUntil.IsZero() && s.PauseReason != "" && s.Breaker == "closed" && s.LastMinute != nil && *s.LastMinute > 0 && s.Conflicts == 2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if ctx.Err() != nil {
		t.Error("the pause of the account, its cause, the calls, or the conflict, is not told")
	}
	_ = q.Put(ctx, sale(t, 1, 200))
	_ = q.Put(ctx, sale(t, 1, 300))
	if s, err := r.Stats(ctx); err != nil || s.Conflicts != 3 {
		t.Errorf("Stats: %+v, %v; want the three pairs of the file, which are more", s, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_ = tracker.Shutdown(ended)
}

// TestSocketRefuses: requests that are no such, or too large, are answered and do no harm.
func TestSocketRefuses(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	q := openServed(t, dir)
	put(t, q, sale(t, "dead", 100))
	deliver(t, q, reject)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, "fprom.db.sock"))
	}}}
	for _, tt := range []struct {
		name, method, path, body string
		want                     int
	}{
		{"no JSON", http.MethodPost, "/entries", "hello", http.StatusBadRequest},
		{"nothing", http.MethodPost, "/put", "", http.StatusBadRequest},
		{"too large", http.MethodPost, "/put", strings.Repeat(" ", 16<<20-1) + "[]", http.StatusBadRequest}, // by one byte: what the service leaves unread may break the connection
		{"a field that is none", http.MethodPost, "/drop", `{"key":["sale:another"]}`, http.StatusBadRequest},
		{"no such operation", http.MethodPost, "/delete", "{}", http.StatusNotFound},
		{"another method", http.MethodGet, "/put", "", http.StatusMethodNotAllowed},
		{"a cursor that is none", http.MethodPost, "/entries", `{"after":"x"}`, http.StatusInternalServerError},
		{"the status", http.MethodGet, "/status", "", http.StatusOK},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://outbox"+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		_ = res.Body.Close()
		if json := res.Header.Get("Content-Type") == "application/json"; res.StatusCode != tt.want || tt.want == http.StatusOK && !json {
			t.Errorf("%s: %s, want %d, as JSON: %v", tt.name, res.Status, tt.want, json)
		}
	}
	put(t, q, sale(t, 1, 100))
	if s := stats(t, q); s.Pending != 1 || s.Dead != 1 {
		t.Errorf("%+v, want the event that waits and the dead letter", s)
	}
}
