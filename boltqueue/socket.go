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
	"time"

	"github.com/fprom-go/fprom/internal/safelog"
)

const (
	maxSocketPath = 103      // bytes; the smallest limit of the systems
	maxRequest    = 16 << 20 // bytes
	socketTimeout = 30 * time.Second
	socketEntries = 500 // in one answer
)

// listen serves the outbox to other processes of the same user on FILE.sock. The returned function ends that. The outbox works
// without a socket, so errors are only logged.
func (q *Queue) listen() (end func()) {
	path := socketOf(q.path)
	l, err := bind(path)
	if err != nil {
		q.logger.Warn("fprom: no socket beside the outbox: other processes cannot see it", slog.String("path", path), safelog.Error(err))
		return func() {}
	}
	mux := http.NewServeMux()
	for name := range operations {
		mux.HandleFunc("POST /"+name, q.handler(name))
	}
	mux.HandleFunc("GET /status", q.handler("status"))
	server := &http.Server{
		Handler: mux, ErrorLog: log.New(io.Discard, "", 0),
		ReadHeaderTimeout: socketTimeout, ReadTimeout: socketTimeout, IdleTimeout: socketTimeout, MaxHeaderBytes: 4 << 10,
	}
	go func() { _ = server.Serve(l) }()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		l.(*net.UnixListener).SetUnlinkOnClose(inPlace(q.file, q.absolute)) // otherwise it is the socket of the next service
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
		_ = l.Close() // in case Serve has not begun; it removes the file, too
	}
}

// socketOf returns the path of the socket: beside the file itself, if path is a symbolic link to it. If that is too long, it is
// beside the link.
func socketOf(path string) string {
	const suffix = ".sock"
	if _, err := os.Readlink(path); err == nil {
		if file, err := filepath.EvalSymlinks(path); err == nil && len(file+suffix) <= maxSocketPath {
			path = file
		}
	}
	return path + suffix
}

// bind replaces a socket that exists: this process has the file, so a killed process left the socket.
func bind(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, errors.New("the path is too long: use one of at most 98 bytes, such as a relative one, or WithoutSocket")
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, errors.New("another file has the name of the socket: remove it")
	}
	_ = os.Remove(path)
	l, err := (&net.ListenConfig{Control: onlyOwner}).Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// handler serves an operation. One with a pause runs once at a time, so that readers leave most of the processor to checkouts.
func (q *Queue) handler(operation string) http.HandlerFunc {
	turn := make(chan struct{}, 1)
	operate := func(ctx context.Context, request wireRequest) (wireAnswer, error) {
		if pause := operations[operation]; pause > 0 {
			select {
			case turn <- struct{}{}:
			case <-ctx.Done():
				return wireAnswer{}, ctx.Err()
			}
			defer time.AfterFunc(pause, func() { <-turn })
		}
		return q.operate(ctx, operation, request)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		var request wireRequest
		var answer wireAnswer
		var err error
		status := http.StatusOK
		if r.Method == http.MethodPost {
			body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
			body.DisallowUnknownFields() // without a field of a filter, Drop would drop more
			err = body.Decode(&request)
		}
		if err != nil {
			status, err = http.StatusBadRequest, fmt.Errorf("fprom: the request is too large, or not the JSON that this release reads: %w", err)
		} else if answer, err = operate(r.Context(), request); err != nil {
			status = http.StatusInternalServerError
		}
		answer.fail(err)
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(socketTimeout))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer)
	}
}
