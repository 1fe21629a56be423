package fprom

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"reflect"
)

// What the original ResponseWriter has besides the three methods.
const (
	hasFlush = 1 << iota
	hasHijack
	hasReadFrom
	hasPush
	hasCloseNotify
)

// shape is what one type of ResponseWriter has.
type shape struct {
	of  reflect.Type
	has int
}

// optional finds out what w has besides the three methods.
func (h *Hook) optional(w http.ResponseWriter) int {
	t := reflect.TypeOf(w)
	s := h.shape.Load()
	if s != nil && s.of == t {
		return s.has
	}
	has := 0
	for bit, ok := range [...]bool{is[http.Flusher](w), is[http.Hijacker](w), is[io.ReaderFrom](w), is[http.Pusher](w), is[closeNotifier](w)} {
		if ok {
			has |= 1 << bit
		}
	}
	if s == nil {
		h.shape.Store(&shape{t, has})
	}
	return has
}

// closeNotifier is http.CloseNotifier, which is deprecated; but Gin's Context.Stream panics without it.
type closeNotifier interface{ CloseNotify() <-chan bool }

func is[T any](w http.ResponseWriter) bool {
	_, ok := w.(T)
	return ok
}

// A ResponseWriter's optional methods are found by type assertion, so each set of them needs a type: Flush, Hijack,
// ReadFrom, Push, CloseNotify. Each type is one pointer (no allocation), and is the type of a smaller set with one
// method more.
type (
	writer struct{ *exchangeWriter }

	writerF     struct{ writer }
	writerH     struct{ writer }
	writerFH    struct{ writerF }
	writerR     struct{ writer }
	writerFR    struct{ writerF }
	writerHR    struct{ writerH }
	writerFHR   struct{ writerFH }
	writerP     struct{ writer }
	writerFP    struct{ writerF }
	writerHP    struct{ writerH }
	writerFHP   struct{ writerFH }
	writerRP    struct{ writerR }
	writerFRP   struct{ writerFR }
	writerHRP   struct{ writerHR }
	writerFHRP  struct{ writerFHR }
	writerC     struct{ writer }
	writerFC    struct{ writerF }
	writerHC    struct{ writerH }
	writerFHC   struct{ writerFH }
	writerRC    struct{ writerR }
	writerFRC   struct{ writerFR }
	writerHRC   struct{ writerHR }
	writerFHRC  struct{ writerFHR }
	writerPC    struct{ writerP }
	writerFPC   struct{ writerFP }
	writerHPC   struct{ writerHP }
	writerFHPC  struct{ writerFHP }
	writerRPC   struct{ writerRP }
	writerFRPC  struct{ writerFRP }
	writerHRPC  struct{ writerHRP }
	writerFHRPC struct{ writerFHRP }
)

func (w writerF) Flush() { w.flush() }

func (w writerH) Hijack() (net.Conn, *bufio.ReadWriter, error)  { return w.hijack() }
func (w writerFH) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }

func (w writerR) ReadFrom(src io.Reader) (int64, error)   { return w.readFrom(src) }
func (w writerFR) ReadFrom(src io.Reader) (int64, error)  { return w.readFrom(src) }
func (w writerHR) ReadFrom(src io.Reader) (int64, error)  { return w.readFrom(src) }
func (w writerFHR) ReadFrom(src io.Reader) (int64, error) { return w.readFrom(src) }

func (w writerP) Push(target string, o *http.PushOptions) error    { return w.push(target, o) }
func (w writerFP) Push(target string, o *http.PushOptions) error   { return w.push(target, o) }
func (w writerHP) Push(target string, o *http.PushOptions) error   { return w.push(target, o) }
func (w writerFHP) Push(target string, o *http.PushOptions) error  { return w.push(target, o) }
func (w writerRP) Push(target string, o *http.PushOptions) error   { return w.push(target, o) }
func (w writerFRP) Push(target string, o *http.PushOptions) error  { return w.push(target, o) }
func (w writerHRP) Push(target string, o *http.PushOptions) error  { return w.push(target, o) }
func (w writerFHRP) Push(target string, o *http.PushOptions) error { return w.push(target, o) }

func (w writerC) CloseNotify() <-chan bool     { return w.closeNotify() }
func (w writerFC) CloseNotify() <-chan bool    { return w.closeNotify() }
func (w writerHC) CloseNotify() <-chan bool    { return w.closeNotify() }
func (w writerFHC) CloseNotify() <-chan bool   { return w.closeNotify() }
func (w writerRC) CloseNotify() <-chan bool    { return w.closeNotify() }
func (w writerFRC) CloseNotify() <-chan bool   { return w.closeNotify() }
func (w writerHRC) CloseNotify() <-chan bool   { return w.closeNotify() }
func (w writerFHRC) CloseNotify() <-chan bool  { return w.closeNotify() }
func (w writerPC) CloseNotify() <-chan bool    { return w.closeNotify() }
func (w writerFPC) CloseNotify() <-chan bool   { return w.closeNotify() }
func (w writerHPC) CloseNotify() <-chan bool   { return w.closeNotify() }
func (w writerFHPC) CloseNotify() <-chan bool  { return w.closeNotify() }
func (w writerRPC) CloseNotify() <-chan bool   { return w.closeNotify() }
func (w writerFRPC) CloseNotify() <-chan bool  { return w.closeNotify() }
func (w writerHRPC) CloseNotify() <-chan bool  { return w.closeNotify() }
func (w writerFHRPC) CloseNotify() <-chan bool { return w.closeNotify() }

// writerOf gives w the optional methods in has.
func writerOf(w *exchangeWriter, has int) http.ResponseWriter {
	v := writer{w}
	switch has {
	case hasFlush:
		return writerF{v}
	case hasHijack:
		return writerH{v}
	case hasFlush | hasHijack:
		return writerFH{writerF{v}}
	case hasReadFrom:
		return writerR{v}
	case hasFlush | hasReadFrom:
		return writerFR{writerF{v}}
	case hasHijack | hasReadFrom:
		return writerHR{writerH{v}}
	case hasFlush | hasHijack | hasReadFrom:
		return writerFHR{writerFH{writerF{v}}}
	case hasPush:
		return writerP{v}
	case hasFlush | hasPush:
		return writerFP{writerF{v}}
	case hasHijack | hasPush:
		return writerHP{writerH{v}}
	case hasFlush | hasHijack | hasPush:
		return writerFHP{writerFH{writerF{v}}}
	case hasReadFrom | hasPush:
		return writerRP{writerR{v}}
	case hasFlush | hasReadFrom | hasPush:
		return writerFRP{writerFR{writerF{v}}}
	case hasHijack | hasReadFrom | hasPush:
		return writerHRP{writerHR{writerH{v}}}
	case hasFlush | hasHijack | hasReadFrom | hasPush:
		return writerFHRP{writerFHR{writerFH{writerF{v}}}}
	case hasCloseNotify:
		return writerC{v}
	case hasFlush | hasCloseNotify:
		return writerFC{writerF{v}}
	case hasHijack | hasCloseNotify:
		return writerHC{writerH{v}}
	case hasFlush | hasHijack | hasCloseNotify:
		return writerFHC{writerFH{writerF{v}}}
	case hasReadFrom | hasCloseNotify:
		return writerRC{writerR{v}}
	case hasFlush | hasReadFrom | hasCloseNotify:
		return writerFRC{writerFR{writerF{v}}}
	case hasHijack | hasReadFrom | hasCloseNotify:
		return writerHRC{writerHR{writerH{v}}}
	case hasFlush | hasHijack | hasReadFrom | hasCloseNotify:
		return writerFHRC{writerFHR{writerFH{writerF{v}}}}
	case hasPush | hasCloseNotify:
		return writerPC{writerP{v}}
	case hasFlush | hasPush | hasCloseNotify:
		return writerFPC{writerFP{writerF{v}}}
	case hasHijack | hasPush | hasCloseNotify:
		return writerHPC{writerHP{writerH{v}}}
	case hasFlush | hasHijack | hasPush | hasCloseNotify:
		return writerFHPC{writerFHP{writerFH{writerF{v}}}}
	case hasReadFrom | hasPush | hasCloseNotify:
		return writerRPC{writerRP{writerR{v}}}
	case hasFlush | hasReadFrom | hasPush | hasCloseNotify:
		return writerFRPC{writerFRP{writerFR{writerF{v}}}}
	case hasHijack | hasReadFrom | hasPush | hasCloseNotify:
		return writerHRPC{writerHRP{writerHR{writerH{v}}}}
	case hasFlush | hasHijack | hasReadFrom | hasPush | hasCloseNotify:
		return writerFHRPC{writerFHRP{writerFHR{writerFH{writerF{v}}}}}
	default:
		return v
	}
}
