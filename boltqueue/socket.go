package boltqueue

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/fprom-go/fprom"
)

// The bounds of the socket.
const (
	socketSuffix   = ".sock"
	maxSocketPath  = 103      // bytes, on the systems that take the least
	maxRequest     = 16 << 20 // bytes
	requestsAtOnce = 2        // of each sort: they share the processor with checkouts
	socketTimeout  = 30 * time.Second
	socketEntries  = 500 // in one answer
)

// socket serves the outbox to other processes of the same user.
type socket struct {
	q      *Queue
	path   string
	server *http.Server
	stop   context.CancelFunc
	quick  chan struct{} // the turns of what takes no time
	turns  chan struct{} // and of all else
	ended  chan struct{}
}

// listen serves FILE.sock. The outbox works without it, so what is wrong is only logged.
func (q *Queue) listen() *socket {
	path := q.path + socketSuffix
	warn := func(why string, err error) *socket {
		q.logger.Warn("fprom: no socket beside the outbox: other processes cannot see it; "+why, slog.String("path", path), slog.Any("error", err))
		return nil
	}
	if len(path) > maxSocketPath {
		return warn("use a path of at most 98 bytes, such as a relative one, or WithoutSocket", errors.New("the path is too long"))
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return warn("remove what is in its place", errors.New("it is another file"))
	}
	_ = os.Remove(path) // left by a process that was killed: who has the file has the socket
	l, err := (&net.ListenConfig{Control: onlyOwner}).Listen(context.Background(), "unix", path)
	if err != nil {
		return warn("see the error", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return warn("see the error", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &socket{q: q, path: path, stop: stop, quick: make(chan struct{}, requestsAtOnce), turns: make(chan struct{}, requestsAtOnce), ended: make(chan struct{})}
	s.server = &http.Server{
		Handler: s.routes(), BaseContext: func(net.Listener) context.Context { return ctx }, ErrorLog: log.New(io.Discard, "", 0),
		ReadHeaderTimeout: socketTimeout, ReadTimeout: socketTimeout, IdleTimeout: socketTimeout, MaxHeaderBytes: 4 << 10,
	}
	go func() {
		defer close(s.ended)
		_ = s.server.Serve(l)
	}()
	return s
}

// close ends what is under way and removes the socket.
func (s *socket) close() {
	if s == nil {
		return
	}
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		_ = s.server.Close()
	}
	<-s.ended
	_ = os.Remove(s.path)
}

func (s *socket) routes() http.Handler {
	mux, q := http.NewServeMux(), s.q
	mux.Handle("GET /status", handle(s, s.quick, func(ctx context.Context, _ nothing) (fprom.QueueStats, error) { return q.status(ctx) }))
	mux.Handle("POST /entries", handle(s, s.turns, s.entries))
	mux.Handle("POST /put", handle(s, s.turns, func(ctx context.Context, r putRequest) (nothing, error) { return nothing{}, q.Put(ctx, r.Messages...) }))
	mux.Handle("POST /redrive", handle(s, s.turns, func(ctx context.Context, f wireFilter) (numberAnswer, error) {
		n, err := q.Redrive(ctx, fprom.Filter(f))
		return numberAnswer{n}, err
	}))
	mux.Handle("POST /drop", handle(s, s.turns, func(ctx context.Context, f wireFilter) (numberAnswer, error) {
		n, err := q.Drop(ctx, fprom.Filter(f))
		return numberAnswer{n}, err
	}))
	mux.Handle("POST /forget", handle(s, s.turns, func(ctx context.Context, r forgetRequest) (numberAnswer, error) {
		n, err := q.Forget(ctx, r.Customer)
		return numberAnswer{n}, err
	}))
	mux.Handle("POST /history", handle(s, s.turns, func(ctx context.Context, r historyRequest) (historyAnswer, error) {
		b, err := q.History(ctx, r.From, r.To, r.Step)
		return historyAnswer{b}, err
	}))
	mux.Handle("POST /flush", handle(s, s.turns, s.flush))
	return mux
}

func (s *socket) entries(ctx context.Context, f wireFilter) (a entriesAnswer, err error) {
	limit := f.Limit
	if limit <= 0 || limit > socketEntries {
		f.Limit = socketEntries
	}
	a.Events = []wireEntry{}
	for e, err := range s.q.Entries(ctx, fprom.Filter(f)) {
		if err != nil {
			return a, err
		}
		a.Events = append(a.Events, wireEntry(e))
	}
	if n := len(a.Events); n == f.Limit && n != limit {
		a.Next = a.Events[n-1].Cursor
	}
	return a, nil
}

// flush gives its turn back: it may wait for long.
func (s *socket) flush(ctx context.Context, r flushRequest) (nothing, error) {
	<-s.turns
	defer func() { s.turns <- struct{}{} }()
	if !r.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, r.Deadline)
		defer cancel()
	}
	return nothing{}, s.q.Flush(ctx)
}

// handle makes a handler of f, which runs when it has its turn.
func handle[Request, Answer any](s *socket, turns chan struct{}, f func(context.Context, Request) (Answer, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request Request
		body := http.MaxBytesReader(w, r.Body, maxRequest)
		if r.Method == http.MethodPost {
			if err := json.NewDecoder(body).Decode(&request); err != nil {
				s.reply(w, http.StatusBadRequest, wireError{Message: "fprom: the request is not the JSON that this release reads: " + err.Error()})
				return
			}
		}
		select {
		case turns <- struct{}{}:
		case <-r.Context().Done():
			return
		}
		answer, err := f(r.Context(), request)
		<-turns
		if err != nil {
			status, e := toWire(err)
			s.reply(w, status, e)
			return
		}
		s.reply(w, http.StatusOK, answer)
	})
}

func (s *socket) reply(w http.ResponseWriter, status int, answer any) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(socketTimeout))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}
