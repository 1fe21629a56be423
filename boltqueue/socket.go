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
	"time"

	"github.com/fprom-go/fprom/internal/safelog"
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

// listen serves the outbox to other processes of the same user, on FILE.sock, and returns what ends that. The outbox works
// without it, so what is wrong is only logged.
func (q *Queue) listen() (end func()) {
	path := q.path + socketSuffix
	warn := func(why string, err error) func() {
		q.logger.Warn("fprom: no socket beside the outbox: other processes cannot see it; "+why, slog.String("path", path), safelog.Error(err))
		return func() {}
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
	mux := http.NewServeMux()
	for name, f := range operations {
		mux.HandleFunc("POST /"+name, q.handler(name, f))
	}
	mux.HandleFunc("GET /status", q.handler("status", operations["status"]))
	server := &http.Server{
		Handler: mux, ErrorLog: log.New(io.Discard, "", 0),
		ReadHeaderTimeout: socketTimeout, ReadTimeout: socketTimeout, IdleTimeout: socketTimeout, MaxHeaderBytes: 4 << 10,
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
		<-ended
		_ = os.Remove(path)
	}
}

// handler serves one request of a sort at a time. After one that only reads, its turn rests for a while: however many ask,
// checkouts have most of the processor. Writes wait for the disk and need no rest; flush only waits and takes no turn.
func (q *Queue) handler(name string, do operation) http.HandlerFunc {
	turn := make(chan struct{}, 1)
	rests := name == "status" || name == "entries" || name == "history"
	return func(w http.ResponseWriter, r *http.Request) {
		var request wireRequest
		var answer wireAnswer
		var err error
		status := http.StatusOK
		if r.Method == http.MethodPost {
			err = json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&request)
		}
		if err != nil {
			status, err = http.StatusBadRequest, fmt.Errorf("fprom: the request is not the JSON that this release reads: %w", err)
		} else {
			if name != "flush" {
				select {
				case turn <- struct{}{}:
					defer giveBack(turn, rests, time.Now())
				case <-r.Context().Done():
					return
				}
			}
			if err = do(r.Context(), q, request, &answer); err != nil {
				status = http.StatusInternalServerError
			}
		}
		if err != nil {
			answer.fail(err)
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(socketTimeout))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func giveBack(turn chan struct{}, rests bool, since time.Time) {
	if rests {
		time.AfterFunc(min(max(restFactor*time.Since(since), minRest), maxRest), func() { <-turn })
	} else {
		<-turn
	}
}
