package fprom

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// Exchange is the Recording of a net/http request, with the request and the ResponseWriter that the handler gets in
// place of the original ones. Hook.Wrap makes it.
type Exchange struct {
	Recording

	w          http.ResponseWriter
	inner      http.Request // a copy of the original with the Recording's context
	formParsed bool         // before Wrap, so that its files are the server's to remove
}

// Request is the request for the handler: Record works with its context.
func (x *Exchange) Request() *http.Request { return &x.inner }

// Writer is the ResponseWriter for the handler. It calls Commit before the status leaves, has Flush, Hijack, ReadFrom,
// Push and CloseNotify exactly where the original has them, and Unwrap. Frameworks that need a richer type wrap their own
// around the calls to Commit, Discard and Refuse.
func (x *Exchange) Writer() http.ResponseWriter {
	return writerOf((*exchangeWriter)(x), x.hook.optional(x.w))
}

// Commit is Recording.Commit. Where http.TimeoutHandler holds the response back until the handler returns, and may still
// answer 503 in its place, the events are accepted in Finish; with WithFailClosed they are accepted here all the same.
func (x *Exchange) Commit(status int) error {
	if x.pending() && x.inTimeoutHandler() {
		if x.timedOut() {
			x.Discard()
		}
		if !x.hook.failClosed {
			x.decide(status)
			return nil
		}
	}
	return x.Recording.Commit(status)
}

// Finish says that the handler returned normally. If it wrote nothing, its status is 200.
func (x *Exchange) Finish() {
	(*exchangeWriter)(x).commit(http.StatusOK)
	if x.pending() && x.timedOut() && x.inTimeoutHandler() {
		x.decision = handlerFailed
	}
	x.Recording.Finish()
}

// Close ends the recording and removes the temporary files of a multipart form that the handler parsed: the server
// removes only those of the original request.
func (x *Exchange) Close() {
	x.Recording.Close()
	if f := x.inner.MultipartForm; f != nil && !x.formParsed {
		_ = f.RemoveAll() // as the server does
	}
}

// timedOut reports whether the request's time is over. If an http.TimeoutHandler set it, the client got 503, and what the
// handler says now is thrown away.
func (x *Exchange) timedOut() bool { return errors.Is(x.ctx.Err(), context.DeadlineExceeded) }

// inTimeoutHandler reports whether an http.TimeoutHandler is around, and nothing between hides it.
func (x *Exchange) inTimeoutHandler() bool {
	if _, ok := x.ctx.Deadline(); !ok {
		return false
	}
	for w := x.w; ; {
		if fmt.Sprintf("%T", w) == "*http.timeoutWriter" {
			return true
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = u.Unwrap()
	}
}

// Refuse answers 503 in place of the handler's response. Headers that described that one are removed.
func Refuse(w http.ResponseWriter) {
	for _, name := range [...]string{"Content-Range", "Location", "Trailer"} {
		w.Header().Del(name)
	}
	w.Header().Set("Retry-After", "10")
	http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
}

// exchangeWriter is the Exchange as the handler's ResponseWriter, without the optional methods.
type exchangeWriter Exchange

// commit reports whether the response is still the handler's.
func (w *exchangeWriter) commit(status int) bool {
	if w.decision == undecided && (*Exchange)(w).Commit(status) != nil {
		Refuse(w.w)
	}
	return w.decision != handlerRefused
}

func (w *exchangeWriter) Header() http.Header { return w.w.Header() }

func (w *exchangeWriter) WriteHeader(status int) {
	if w.commit(status) {
		w.w.WriteHeader(status)
	}
}

func (w *exchangeWriter) Write(p []byte) (int, error) {
	if w.commit(http.StatusOK) {
		return w.w.Write(p)
	}
	return len(p), nil
}

func (w *exchangeWriter) WriteString(s string) (int, error) {
	if w.commit(http.StatusOK) {
		return io.WriteString(w.w, s)
	}
	return len(s), nil
}

// Unwrap is for http.ResponseController.
func (w *exchangeWriter) Unwrap() http.ResponseWriter { return w.w }

// FlushError is what http.ResponseController.Flush calls. It is always there, because what lies below Unwrap would
// flush the header without Commit.
func (w *exchangeWriter) FlushError() error {
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

func (w *exchangeWriter) flush() {
	w.commit(http.StatusOK)
	w.w.(http.Flusher).Flush()
}

func (w *exchangeWriter) hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.decision == handlerRefused {
		return nil, nil, fmt.Errorf("fprom: hijack: the request was answered with 503: %w", http.ErrNotSupported)
	}
	c, rw, err := w.w.(http.Hijacker).Hijack()
	if err == nil {
		(*Exchange)(w).Discard()
	}
	return c, rw, err
}

func (w *exchangeWriter) readFrom(src io.Reader) (int64, error) {
	if w.commit(http.StatusOK) {
		return w.w.(io.ReaderFrom).ReadFrom(src)
	}
	return io.Copy(io.Discard, src)
}

func (w *exchangeWriter) push(target string, o *http.PushOptions) error {
	return w.w.(http.Pusher).Push(target, o)
}

func (w *exchangeWriter) closeNotify() <-chan bool {
	return w.w.(closeNotifier).CloseNotify()
}
