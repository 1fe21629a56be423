package ginadapter

import (
	"bufio"
	"cmp"
	"fmt"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/fprom-go/fprom"
)

// writer is Gin's ResponseWriter, but calls commit before each method that sends the header. Gin's WriteHeader only stores the status.
type writer struct {
	gin.ResponseWriter

	x   *fprom.Exchange
	c   *gin.Context // nil when the handler has returned
	set int          // the status that was set through this writer; 0 if none was
}

// commit tells the Exchange the status. It reports whether the handler's response may be sent.
func (w *writer) commit() bool {
	if err := w.failed(); err != nil {
		w.x.Discard(fmt.Errorf("fprom: ginadapter: c.Errors is set beside a success: %w", err))
	}
	if w.x.Commit(w.status()) != nil {
		w.x.Refuse()
	}
	return !w.x.Refused()
}

// status returns the status of the response. Until the response is sent, Status may always say 200 where a middleware outside buffers it.
// After that, such a middleware may have answered with another status.
func (w *writer) status() int {
	if w.Written() {
		return w.Status()
	}
	return cmp.Or(w.set, max(w.Status(), http.StatusOK)) // with -1 Gin keeps the status
}

func (w *writer) WriteHeader(status int) {
	if status > 0 {
		w.set = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// failed returns the last of c.Errors.
func (w *writer) failed() error {
	if w.c == nil || len(w.c.Errors) == 0 {
		return nil
	}
	return w.c.Errors.Last()
}

// finish is called if the chain returned normally. If then c.Errors is set, nothing is written, and the status is Gin's default, a
// middleware outside will write the error response.
func (w *writer) finish() {
	if w.failed() != nil && !w.Written() && w.status() == http.StatusOK {
		w.x.Discard(nil)
	}
	w.commit()
	w.x.Finish()
}

// end restores the Writer and the Request of c, unless someone else has replaced them.
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
	if w.commit() {
		w.ResponseWriter.Flush()
	}
}

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.x.Writer().(http.Hijacker).Hijack()
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
