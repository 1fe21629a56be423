package fprom

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// writer is the handler's ResponseWriter. It has all optional methods, since those of the original would bypass Commit.
type writer struct{ x *Exchange }

// flushWriter is for an original with Flush: handlers look for it before they stream.
type flushWriter struct{ writer }

func (w writer) Header() http.Header         { return w.x.w.Header() }
func (w writer) Unwrap() http.ResponseWriter { return w.x.w } // for http.ResponseController

func (w writer) WriteHeader(status int) {
	if w.x.commit(status) {
		w.x.w.WriteHeader(status)
	}
}

func (w writer) Write(p []byte) (int, error) {
	if w.x.commit(http.StatusOK) {
		return w.x.w.Write(p)
	}
	return len(p), nil
}

// ReadFrom lets the kernel copy a file once the status is known. Before that src may fail, and the handler may answer an error.
func (w writer) ReadFrom(src io.Reader) (int64, error) {
	if w.x.decision == undecided || w.x.Refused() {
		return io.Copy(struct{ io.Writer }{w}, src)
	}
	return io.Copy(w.x.w, src)
}

func (w flushWriter) Flush() { _ = w.FlushError() } // Flush has no result

// FlushError is what http.ResponseController.Flush calls.
func (w flushWriter) FlushError() error {
	w.x.commit(http.StatusOK)
	return http.NewResponseController(w.x.w).Flush()
}

// reaches reports whether wanted is true for w or a ResponseWriter that it unwraps to.
func reaches(w http.ResponseWriter, wanted func(http.ResponseWriter) bool) bool {
	for !wanted(w) {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = u.Unwrap()
	}
	return true
}

func (w writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.x.w).Hijack()
	if err == nil {
		w.x.Discard(errHijacked)
	}
	return c, rw, err
}

func (w writer) Push(target string, o *http.PushOptions) error {
	if p, ok := w.x.w.(http.Pusher); ok {
		return p.Push(target, o)
	}
	return http.ErrNotSupported
}

// CloseNotify is deprecated, but Gin's Context.Stream panics without it.
func (w writer) CloseNotify() <-chan bool {
	if c, ok := w.x.w.(interface{ CloseNotify() <-chan bool }); ok {
		return c.CloseNotify()
	}
	return nil // never says that the client is gone; the request's context does
}
