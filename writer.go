package fprom

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
)

// writer is the Exchange as the handler's ResponseWriter. What a ResponseWriter has beyond the three methods is found by
// type assertion, so what it may not have needs types of its own.
type (
	writer      Exchange
	flushWriter struct{ *writer }
	pushWriter  struct{ flushWriter }
)

// commit reports whether the response is still the handler's.
func (w *writer) commit(status int) bool {
	x := (*Exchange)(w)
	if x.Commit(status) != nil {
		x.Refuse()
	}
	return w.decision != handlerRefused
}

func (w *writer) Header() http.Header { return w.w.Header() }

func (w *writer) WriteHeader(status int) {
	if w.commit(status) {
		w.w.WriteHeader(status)
	}
}

func (w *writer) Write(p []byte) (int, error) {
	if w.commit(http.StatusOK) {
		return w.w.Write(p)
	}
	return len(p), nil
}

func (w *writer) WriteString(s string) (int, error) {
	if w.commit(http.StatusOK) {
		return io.WriteString(w.w, s)
	}
	return len(s), nil
}

// ReadFrom leads to the original's, so that the kernel can copy a file.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	if w.commit(http.StatusOK) {
		return io.Copy(w.w, src)
	}
	return io.Copy(io.Discard, src)
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.w }

// FlushError is what http.ResponseController.Flush calls.
func (w *writer) FlushError() error {
	if !canFlush(w.w) {
		return fmt.Errorf("fprom: flush: %w", http.ErrNotSupported)
	}
	w.commit(http.StatusOK)
	return http.NewResponseController(w.w).Flush()
}

func canFlush(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case http.Flusher, interface{ FlushError() error }:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.decision == handlerRefused {
		return nil, nil, fmt.Errorf("fprom: hijack: the request was answered with 503: %w", http.ErrNotSupported)
	}
	c, rw, err := http.NewResponseController(w.w).Hijack()
	if err == nil {
		(*Exchange)(w).Discard(nil)
	}
	return c, rw, err
}

// CloseNotify is deprecated, but Gin's Context.Stream panics without it.
func (w *writer) CloseNotify() <-chan bool {
	if c, ok := w.w.(interface{ CloseNotify() <-chan bool }); ok {
		return c.CloseNotify()
	}
	return nil // the client is never gone; the request's context says it too
}

func (w flushWriter) Flush() { _ = w.FlushError() } // Flush has no error to give

func (w pushWriter) Push(target string, o *http.PushOptions) error {
	return w.w.(http.Pusher).Push(target, o)
}
