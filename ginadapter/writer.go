package ginadapter

import (
	"bufio"
	"fmt"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/fprom-go/fprom"
)

// writer is Gin's ResponseWriter with a call of commit before everything that sends the header. Gin sends it late:
// WriteHeader only notes the status.
type writer struct {
	gin.ResponseWriter

	x       *fprom.Exchange
	c       *gin.Context // nil when the handler has returned
	refused bool         // 503 was answered instead of what the handler writes
}

// commit reports whether the response is still the handler's.
func (w *writer) commit() bool {
	if w.refused {
		return false
	}
	if err := w.failed(); err != nil {
		w.x.Discard(fmt.Errorf("fprom: ginadapter: c.Errors is set: %w", err))
	}
	if w.x.Commit(w.Status()) != nil {
		w.refused = true
		w.x.Refuse()
	}
	return !w.refused
}

// failed is the last of c.Errors.
func (w *writer) failed() error {
	if w.c == nil || len(w.c.Errors) == 0 {
		return nil
	}
	return w.c.Errors.Last()
}

// finish is for a chain that returned normally. Where it wrote nothing and left Gin's default status, the response to
// c.Errors is another middleware's to make.
func (w *writer) finish() {
	if w.failed() != nil && !w.Written() && w.Status() == http.StatusOK {
		w.x.Discard(nil)
	}
	w.commit()
	w.x.Finish()
}

// end gives c back what it had, unless somebody else has changed it since.
func (w *writer) end(original *http.Request) {
	w.x.Close()
	c := w.c
	w.c = nil
	if c.Writer == gin.ResponseWriter(w) {
		c.Writer = w.ResponseWriter
	}
	if c.Request == w.x.Request() {
		c.Request = original
	}
}

func (w *writer) WriteHeaderNow() {
	if w.commit() {
		w.ResponseWriter.WriteHeaderNow()
	}
}

func (w *writer) Write(p []byte) (int, error) {
	if w.commit() {
		return w.ResponseWriter.Write(p)
	}
	return len(p), nil
}

func (w *writer) WriteString(s string) (int, error) {
	if w.commit() {
		return w.ResponseWriter.WriteString(s)
	}
	return len(s), nil
}

func (w *writer) Flush() {
	w.commit()
	w.ResponseWriter.Flush()
}

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.refused {
		return nil, nil, fmt.Errorf("fprom: ginadapter: hijack: the request was answered with 503: %w", http.ErrNotSupported)
	}
	conn, rw, err := w.ResponseWriter.Hijack()
	if err == nil {
		w.x.Discard(nil)
	}
	return conn, rw, err
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
