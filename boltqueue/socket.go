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
)

// The bounds of the socket.
const (
	socketSuffix  = ".sock"
	maxSocketPath = 103      // bytes, on the systems that take the least
	maxRequest    = 16 << 20 // bytes
	restFactor    = 4        // times as long as a request took its turn rests: the processor is for checkouts
	minRest       = 5 * time.Millisecond
	maxRest       = 100 * time.Millisecond
	socketTimeout = 30 * time.Second
	socketEntries = 500 // in one answer
)

// socket serves the outbox to other processes of the same user.
type socket struct {
	q      *Queue
	path   string
	server *http.Server
	stop   context.CancelFunc
	status chan struct{} // one request of each sort at a time
	reads  chan struct{}
	writes chan struct{}
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
	s := &socket{
		q: q, path: path, stop: stop, ended: make(chan struct{}),
		status: make(chan struct{}, 1), reads: make(chan struct{}, 1), writes: make(chan struct{}, 1),
	}
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
	mux.HandleFunc("GET /status", s.handle(s.status, func(ctx context.Context, _ wireRequest, a *wireAnswer) error {
		stats, err := q.status(ctx)
		a.QueueStats = &stats
		return err
	}))
	mux.HandleFunc("POST /entries", s.handle(s.reads, s.entries))
	mux.HandleFunc("POST /history", s.handle(s.reads, func(ctx context.Context, r wireRequest, a *wireAnswer) (err error) {
		a.Buckets, err = q.History(ctx, r.From, r.To, r.Step)
		return err
	}))
	mux.HandleFunc("POST /flush", s.handle(nil, s.flush)) // it only waits
	for name, f := range map[string]func(context.Context, wireRequest, *wireAnswer) error{
		"put": func(ctx context.Context, r wireRequest, _ *wireAnswer) error { return q.Put(ctx, r.Messages...) },
		"redrive": func(ctx context.Context, r wireRequest, a *wireAnswer) (err error) {
			a.N, err = q.Redrive(ctx, r.Filter)
			return err
		},
		"drop": func(ctx context.Context, r wireRequest, a *wireAnswer) (err error) {
			a.N, err = q.Drop(ctx, r.Filter)
			return err
		},
		"forget": func(ctx context.Context, r wireRequest, a *wireAnswer) (err error) {
			a.N, err = q.Forget(ctx, r.Customer)
			return err
		},
	} {
		mux.HandleFunc("POST /"+name, s.handle(s.writes, f))
	}
	return mux
}

func (s *socket) entries(ctx context.Context, r wireRequest, a *wireAnswer) error {
	limit := r.Limit
	if limit <= 0 || limit > socketEntries {
		r.Limit = socketEntries
	}
	for e, err := range s.q.Entries(ctx, r.Filter) {
		if err != nil {
			return err
		}
		a.Events = append(a.Events, e)
	}
	if n := len(a.Events); n == r.Limit && n != limit {
		a.Next = a.Events[n-1].Cursor
	}
	return nil
}

func (s *socket) flush(ctx context.Context, r wireRequest, _ *wireAnswer) error {
	if !r.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, r.Deadline)
		defer cancel()
	}
	return s.q.Flush(ctx)
}

// handle makes a handler of f, which runs when it has its turn, if it needs one.
func (s *socket) handle(turn chan struct{}, f func(context.Context, wireRequest, *wireAnswer) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request wireRequest
		var answer wireAnswer
		status := http.StatusOK
		if r.Method == http.MethodPost {
			if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&request); err != nil {
				status = http.StatusBadRequest
				answer.Error = "fprom: the request is not the JSON that this release reads: " + err.Error()
			}
		}
		if turn != nil {
			select {
			case turn <- struct{}{}:
				defer s.rest(turn, time.Now())
			case <-r.Context().Done():
				return
			}
		}
		if status == http.StatusOK {
			if err := f(r.Context(), request, &answer); err != nil {
				status = http.StatusInternalServerError
				answer.fail(err)
			}
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(socketTimeout))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer)
	}
}

// rest gives the turn back after a while, so that however many ask, checkouts have most of the processor. Writes wait for
// the disk, and need no rest.
func (s *socket) rest(turn chan struct{}, since time.Time) {
	if turn == s.writes {
		<-turn
		return
	}
	time.AfterFunc(min(max(restFactor*time.Since(since), minRest), maxRest), func() { <-turn })
}
