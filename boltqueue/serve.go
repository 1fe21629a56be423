package boltqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/safelog"
)

const (
	maxPath    = 103      // bytes; the smallest limit of the systems
	maxRequest = 16 << 20 // bytes
	maxEntries = 500      // in one answer
	ioTimeout  = 30 * time.Second
)

// listen serves the outbox to other processes: JSON over HTTP, on a Unix socket beside the file. This process has the file, so a
// socket that exists was left by a process that died, and is replaced. The outbox works without a socket, so an error is only logged.
func (q *Queue) listen() {
	path := socketOf(q.path)
	l, err := bind(path)
	if err != nil {
		q.logger.Warn("fprom: no socket beside the outbox: other processes cannot see it", slog.String("path", q.path), safelog.Error(err))
		return
	}
	mine, _ := os.Lstat(path)
	server := &http.Server{Handler: q.handlers(), ErrorLog: log.New(io.Discard, "", 0), ReadTimeout: ioTimeout}
	go func() { _ = server.Serve(l) }()
	q.unlisten = func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		now, _ := os.Lstat(path)
		l.(*net.UnixListener).SetUnlinkOnClose(os.SameFile(mine, now)) // otherwise it is the socket of the next service
		_ = server.Shutdown(ctx)
		_ = server.Close()
		_ = l.Close() // in case Serve has not begun; it removes the file, too
	}
}

// watched returns the Stats that other processes see: with the pause, the breaker, the calls and the conflicts of the Tracker that
// delivers.
func (q *Queue) watched(ctx context.Context, _ struct{}) (fprom.QueueStats, error) {
	s, err := q.Stats(ctx)
	if stats := q.tracker.Load(); stats != nil && s.Delivering {
		t := (*stats)()
		s.PausedUntil, s.PauseReason, s.Breaker, s.LastMinute = t.PausedUntil, t.PauseReason, t.Breaker, &t.LastMinute
		s.Conflicts = max(s.Conflicts, int(t.Conflicts)) // the file gets no event that the Tracker itself refuses
	}
	return s, err
}

// socketOf returns the path of the socket of a file: beside the file itself, if symbolic links lead to it. If that is too long, it
// is beside path.
func socketOf(path string) string {
	const suffix = ".sock"
	if file, err := filepath.EvalSymlinks(path); err == nil && len(file+suffix) <= maxPath {
		path = file
	}
	return path + suffix
}

var socketConfig net.ListenConfig

// bind replaces a socket that exists, but no other file.
func bind(path string) (net.Listener, error) {
	if len(path) > maxPath {
		return nil, errors.New("the path is too long: use one of at most 98 bytes, such as a relative one, or WithoutSocket")
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("another file has the name of the socket: remove %s", path)
	}
	_ = os.Remove(path)
	l, err := socketConfig.Listen(context.Background(), "unix", path)
	if err != nil || runtime.GOOS == "linux" { // where the socket has its mode already; Chmod would follow a link that somebody has put in its place
		return l, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (q *Queue) handlers() http.Handler {
	mux := http.NewServeMux()
	// The pause of status is short, since every Dial calls it.
	handle(mux, "/status", paced(5*time.Millisecond, q.watched))
	handle(mux, "POST /entries", paced(20*time.Millisecond, func(ctx context.Context, f fprom.Filter) (es []fprom.Entry, err error) {
		if f.Limit <= 0 || f.Limit > maxEntries {
			f.Limit = maxEntries
		}
		for e, failure := range q.Entries(ctx, f) {
			es, err = append(es, e), failure
		}
		return es, err
	}))
	handle(mux, "POST /history", paced(20*time.Millisecond, func(ctx context.Context, p period) ([]fprom.Bucket, error) {
		return q.History(ctx, p.From, p.To, p.Step)
	}))
	handle(mux, "POST /put", func(ctx context.Context, ms []fprom.Message) (struct{}, error) {
		return struct{}{}, q.Put(ctx, ms...)
	})
	handle(mux, "POST /redrive", q.Redrive)
	handle(mux, "POST /drop", q.Drop)
	handle(mux, "POST /forget", q.Forget)
	handle(mux, "POST /flush", func(ctx context.Context, deadline time.Time) (struct{}, error) {
		ctx, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		return struct{}{}, q.Flush(ctx)
	})
	return mux
}

// paced returns do, limited to one call at a time with a pause after it, so that readers leave most of the processor to checkouts.
func paced[Q, A any](pause time.Duration, do func(context.Context, Q) (A, error)) func(context.Context, Q) (A, error) {
	var turn sync.Mutex
	return func(ctx context.Context, question Q) (A, error) {
		turn.Lock()
		defer time.AfterFunc(pause, turn.Unlock)
		return do(ctx, question)
	}
}

// handle serves an operation. The body of a request is the question. The body of the response is the answer, or a failure with it.
func handle[Q, A any](mux *http.ServeMux, pattern string, do func(context.Context, Q) (A, error)) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		var question Q
		var answer any
		status, err := http.StatusOK, error(nil)
		if r.Method == http.MethodPost {
			body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
			body.DisallowUnknownFields() // if Drop did not know a field of the filter, it would drop more
			err = body.Decode(&question)
		}
		if err != nil {
			status, err = http.StatusBadRequest, fmt.Errorf("fprom: the request is too large, or not the JSON that this release reads: %w", err)
		} else if answer, err = do(r.Context(), question); err != nil {
			status = http.StatusInternalServerError
		}
		if err != nil {
			f := failure{Error: err.Error(), Answer: answer}
			f.Invalid, _ = errors.AsType[*fprom.ValidationError](err)
			f.Conflict, _ = errors.AsType[*fprom.ConflictError](err)
			answer = f
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(ioTimeout)) // ends a call of a process that stands still while it reads
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer)
	})
}
