package ginadapter_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/ginadapter"
	"github.com/fprom-go/fprom/internal/adaptertest"
)

// sell records a sale as a Gin handler does.
func sell(c *gin.Context) {
	if err := ginadapter.Record(c, adaptertest.Sale("1")); err != nil {
		panic(err)
	}
}

// errorPage is the usual error middleware: the answer is made of c.Errors.
func errorPage(c *gin.Context) {
	c.Next()
	if err := c.Errors.Last(); err != nil {
		c.JSON(http.StatusBadGateway, gin.H{"error": err.Error()})
	}
}

var errDeclined = errors.New("declined")

func TestGin(t *testing.T) {
	t.Parallel()
	stored := []string{"stored sale:1", "status 200"}
	discarded := func(status string) []string { return []string{"discarded sale:1", "status " + status} }
	beside := func(status string) []string { // the client sees a success, so the reason is said
		return []string{"discarded sale:1: fprom: ginadapter: c.Errors is set beside a success: declined", "status " + status}
	}
	recovery := gin.RecoveryWithWriter(io.Discard)
	for _, c := range []struct {
		name         string
		outer, inner []gin.HandlerFunc
		handler      gin.HandlerFunc
		want         []string
		wantStatus   int
	}{
		{name: "JSON", handler: func(c *gin.Context) { sell(c); c.JSON(http.StatusOK, "ok") }, want: stored, wantStatus: 200},
		{name: "402 in a buffer outside", outer: []gin.HandlerFunc{buffer}, handler: func(c *gin.Context) { sell(c); c.JSON(http.StatusPaymentRequired, "no") }, want: discarded("402"), wantStatus: 402},
		{name: "402 and then -1 in a buffer outside", outer: []gin.HandlerFunc{buffer}, handler: func(c *gin.Context) {
			sell(c)
			c.Status(http.StatusPaymentRequired)
			c.JSON(-1, "no") // Gin keeps the status
		}, want: discarded("402"), wantStatus: 402},
		{name: "201 in a buffer outside", outer: []gin.HandlerFunc{buffer}, handler: func(c *gin.Context) { sell(c); c.Status(http.StatusCreated) }, want: []string{"stored sale:1", "status 201"}, wantStatus: 201},
		{name: "the buffer outside has timed out", outer: []gin.HandlerFunc{buffer}, handler: func(c *gin.Context) {
			sell(c)
			c.Status(http.StatusOK)
			timedOut(c)
		}, want: discarded("408"), wantStatus: 408},
		{name: "status without a body", handler: func(c *gin.Context) { sell(c); c.Status(http.StatusCreated) }, want: []string{"stored sale:1", "status 201"}, wantStatus: 201},
		{name: "status changed before it left", handler: func(c *gin.Context) {
			sell(c)
			c.Status(http.StatusBadGateway)
			c.JSON(http.StatusOK, "ok")
		}, want: stored, wantStatus: 200},
		{name: "redirect", handler: func(c *gin.Context) { sell(c); c.Redirect(http.StatusSeeOther, "/thanks") }, want: []string{"stored sale:1", "status 303"}, wantStatus: 303},
		{name: "fprom.Record", handler: func(c *gin.Context) {
			if err := fprom.Record(c.Request.Context(), adaptertest.Sale("1")); err != nil {
				panic(err)
			}
		}, want: stored, wantStatus: 200},
		{name: "panic, Recovery outside", outer: []gin.HandlerFunc{recovery}, handler: func(c *gin.Context) { sell(c); panic("no") }, want: discarded("500"), wantStatus: 500},
		{name: "panic, Recovery inside", inner: []gin.HandlerFunc{recovery}, handler: func(c *gin.Context) { sell(c); panic("no") }, want: discarded("500"), wantStatus: 500},
		{name: "panic after Status 200, Recovery outside", outer: []gin.HandlerFunc{recovery}, handler: func(c *gin.Context) {
			sell(c)
			c.Status(http.StatusOK)
			panic("no")
		}, want: discarded("500"), wantStatus: 500},
		{name: "panic after the response left, Recovery outside", outer: []gin.HandlerFunc{recovery}, handler: flushAndPanic, want: stored, wantStatus: 200},
		{name: "panic after the response left, Recovery inside", inner: []gin.HandlerFunc{recovery}, handler: flushAndPanic, want: stored, wantStatus: 200},
		{name: "Error, error middleware outside", outer: []gin.HandlerFunc{errorPage}, handler: fail, want: discarded("502"), wantStatus: 502},
		{name: "Error, error middleware inside", inner: []gin.HandlerFunc{errorPage}, handler: fail, want: discarded("502"), wantStatus: 502},
		{name: "Error, nobody handles it", handler: fail, want: discarded("200"), wantStatus: 200}, // another middleware may make a response of it
		{name: "Error before 200", handler: func(c *gin.Context) {
			fail(c)
			c.JSON(http.StatusOK, "ok")
		}, want: beside("200"), wantStatus: 200},
		{name: "Error before 204", handler: func(c *gin.Context) { fail(c); c.Status(http.StatusNoContent) }, want: beside("204"), wantStatus: 204},
		{name: "Error before 502", handler: func(c *gin.Context) { fail(c); c.Status(http.StatusBadGateway) }, want: discarded("502"), wantStatus: 502},
		{name: "Error after 200", handler: func(c *gin.Context) {
			sell(c)
			c.JSON(http.StatusOK, "ok")
			_ = c.Error(errDeclined)
		}, want: stored, wantStatus: 200},
		{name: "AbortWithError", handler: func(c *gin.Context) { sell(c); _ = c.AbortWithError(http.StatusPaymentRequired, errDeclined) }, want: discarded("402"), wantStatus: 402},
		{name: "AbortWithStatus", handler: func(c *gin.Context) { sell(c); c.AbortWithStatus(http.StatusUnauthorized) }, want: discarded("401"), wantStatus: 401},
		{name: "Abort with success", handler: func(c *gin.Context) { sell(c); c.AbortWithStatusJSON(http.StatusOK, "ok") }, want: stored, wantStatus: 200},
		{name: "aborted between", inner: []gin.HandlerFunc{func(c *gin.Context) { sell(c); c.AbortWithStatus(http.StatusForbidden) }}, handler: func(*gin.Context) { panic("not reached") }, want: discarded("403"), wantStatus: 403},
		{name: "Stream", handler: func(c *gin.Context) {
			sell(c)
			c.Stream(func(io.Writer) bool { c.SSEvent("message", "ok"); return false })
		}, want: stored, wantStatus: 200},
		{name: "Stream in a middleware that takes -1 for a status", outer: []gin.HandlerFunc{func(c *gin.Context) { c.Writer = &literal{c.Writer, 200} }}, handler: func(c *gin.Context) {
			sell(c)
			c.Stream(func(io.Writer) bool { c.SSEvent("message", "ok"); return false })
		}, want: stored, wantStatus: 200},
		{name: "early hints", handler: func(c *gin.Context) {
			sell(c)
			w := c.Writer.(interface{ Unwrap() http.ResponseWriter }).Unwrap()
			w.(interface{ Unwrap() http.ResponseWriter }).Unwrap().WriteHeader(http.StatusEarlyHints)
			c.JSON(http.StatusOK, "ok")
		}, want: []string{"status 103", "stored sale:1", "status 200"}, wantStatus: 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			adaptertest.Check(t, func(tracker fprom.Enqueuer, _ http.Handler, _ ...fprom.MiddlewareOption) http.Handler {
				e := gin.New()
				e.Use(c.outer...)
				e.Use(ginadapter.Middleware(tracker))
				e.Use(c.inner...)
				e.POST("/checkout", c.handler)
				return e
			}, adaptertest.Case{Want: c.want, WantStatus: c.wantStatus})
		})
	}
}

// literal keeps each status, as the writer of gin-contrib/gzip does. Gin sets -1 where the status shall stay.
type literal struct {
	gin.ResponseWriter

	status int
}

func (l *literal) Status() int { return l.status }

func (l *literal) WriteHeader(status int) {
	l.status = status
	l.ResponseWriter.WriteHeader(status)
}

// flushing writes at each Flush, as gin-contrib/gzip does.
type flushing struct{ gin.ResponseWriter }

func (f flushing) Flush() { _, _ = f.WriteString("compressed") }

// TestRefusedStream: nothing follows the 503 that replaces a stream.
func TestRefusedStream(t *testing.T) {
	t.Parallel()
	adaptertest.Check(t, func(tracker fprom.Enqueuer, _ http.Handler, opts ...fprom.MiddlewareOption) http.Handler {
		e := gin.New()
		e.POST("/checkout", func(c *gin.Context) { c.Writer = flushing{c.Writer} }, ginadapter.Middleware(tracker, opts...), func(c *gin.Context) {
			sell(c)
			c.Stream(func(io.Writer) bool { c.SSEvent("message", "ok"); return false })
		})
		return e
	}, adaptertest.Refused(adaptertest.Case{}))
}

// timedOut answers as a buffer does while the handler still runs.
func timedOut(c *gin.Context) {
	w := c.Writer.(interface{ Unwrap() http.ResponseWriter }).Unwrap().(*bufferWriter)
	w.status = http.StatusRequestTimeout
	w.ResponseWriter.WriteHeader(w.status)
	w.ResponseWriter.WriteHeaderNow()
}

// buffer sends the response when the chain has returned, as middlewares for time-outs do. Its Status is not the handler's.
func buffer(c *gin.Context) {
	w := &bufferWriter{ResponseWriter: c.Writer}
	c.Writer = w
	c.Next()
	c.Writer = w.ResponseWriter
	c.Data(w.status, "text/plain", w.body)
}

type bufferWriter struct {
	gin.ResponseWriter

	status int
	body   []byte
}

func (b *bufferWriter) WriteHeader(status int) {
	if status > 0 {
		b.status = status
	}
}

func (b *bufferWriter) WriteHeaderNow() {}

func (b *bufferWriter) Write(p []byte) (int, error) {
	b.body = append(b.body, p...)
	return len(p), nil
}

func fail(c *gin.Context) {
	sell(c)
	_ = c.Error(errDeclined)
}

func flushAndPanic(c *gin.Context) {
	sell(c)
	c.Status(http.StatusOK)
	c.Writer.Flush()
	panic("no")
}

// TestContextIsGivenBack: after the middleware, Gin's context has the writer and the request it had, whether the handler
// returned or panicked; what a handler put there stays.
func TestContextIsGivenBack(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]gin.HandlerFunc{
		"return": func(*gin.Context) {},
		"panic":  func(*gin.Context) { panic("no") },
	} {
		e := gin.New()
		e.Use(func(c *gin.Context) {
			writer, request := c.Writer, c.Request
			defer func() {
				_ = recover()
				if c.Writer != writer || c.Request != request {
					t.Errorf("%s: the context has another writer or request", name)
				}
				if err := ginadapter.Record(c, adaptertest.Sale("1")); !errors.Is(err, fprom.ErrNoMiddleware) {
					t.Errorf("%s: Record outside: %v, want ErrNoMiddleware", name, err)
				}
			}()
			c.Next()
		}, ginadapter.Middleware(nil))
		e.GET("/", handler)
		e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	}

	e := gin.New()
	var kept, own *http.Request
	e.Use(func(c *gin.Context) { c.Next(); kept = c.Request }, ginadapter.Middleware(nil))
	e.GET("/", func(c *gin.Context) {
		own = c.Request.Clone(c.Request.Context())
		c.Request = own
	})
	e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	if kept != own {
		t.Error("the handler's own request is gone")
	}
}

// TestContextWithFallback: Gin's context is a context too, if the engine says so.
func TestContextWithFallback(t *testing.T) {
	t.Parallel()
	for fallback, want := range map[bool]error{true: nil, false: fprom.ErrNoMiddleware} {
		e := gin.New()
		e.ContextWithFallback = fallback
		e.Use(ginadapter.Middleware(nil))
		e.GET("/", func(c *gin.Context) {
			if err := fprom.Record(c, adaptertest.Sale("1")); !errors.Is(err, want) {
				t.Errorf("fallback %v: error %v, want %v", fallback, err, want)
			}
		})
		e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	}
}

// TestCopy: a goroutine with a copy of Gin's context records nothing after the handler has returned, and one with its writer does
// not end the process.
func TestCopy(t *testing.T) {
	t.Parallel()
	tracker, j := adaptertest.NewTracker(t, false)
	var later *gin.Context
	var writer gin.ResponseWriter
	e := gin.New()
	e.Use(ginadapter.Middleware(tracker))
	e.GET("/", func(c *gin.Context) {
		sell(c)
		later, writer = c.Copy(), c.Writer
	})
	e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	if err := ginadapter.Record(later, adaptertest.Sale("2")); !errors.Is(err, fprom.ErrNoMiddleware) {
		t.Errorf("Record with a copy: %v, want ErrNoMiddleware", err)
	}
	_, _ = writer.WriteString("late") // must not panic
	if got := j.Entries(); !slices.Equal(got, []string{"stored sale:1"}) {
		t.Errorf("happened %q", got)
	}
}
