package echoadapter_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/echoadapter"
	"github.com/fprom-go/fprom/internal/adaptertest"
	"github.com/fprom-go/fprom/nethttpadapter"
)

func wrap(t fprom.Enqueuer, h http.Handler, opts ...fprom.MiddlewareOption) http.Handler {
	e := echo.New()
	e.Use(echoadapter.Middleware(t, opts...))
	e.Any("/*", echo.WrapHandler(h))
	return e
}

func TestMatrix(t *testing.T) {
	t.Parallel()
	adaptertest.Run(t, wrap)
}

func TestMemory(t *testing.T) { // not parallel: it measures the process
	adaptertest.Memory(t, wrap)
}

// sell records a sale as an Echo handler does.
func sell(c echo.Context) {
	if err := echoadapter.Record(c, adaptertest.Sale("1")); err != nil {
		panic(err)
	}
}

var errDeclined = echo.NewHTTPError(http.StatusPaymentRequired, "declined")

func decline(c echo.Context) error {
	sell(c)
	return errDeclined
}

// TestEcho: what Echo's handlers return.
func TestEcho(t *testing.T) {
	t.Parallel()
	stored := []string{"stored sale:1", "status 200"}
	discarded := func(status string) []string { return []string{"discarded sale:1", "status " + status} }
	handled := func(next echo.HandlerFunc) echo.HandlerFunc { // as a logger that wants the final status
		return func(c echo.Context) error {
			if err := next(c); err != nil {
				c.Error(err)
			}
			return nil
		}
	}
	quiet := middleware.RecoverWithConfig(middleware.RecoverConfig{LogErrorFunc: func(_ echo.Context, err error, _ []byte) error { return err }})
	limited := middleware.TimeoutWithConfig(middleware.TimeoutConfig{Timeout: time.Minute}) //nolint:staticcheck // deprecated, but in use
	// later records when a middleware inside has returned.
	later := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			defer sell(c)
			return next(c)
		}
	}
	for _, c := range []struct {
		name         string
		outer, inner []echo.MiddlewareFunc
		handler      echo.HandlerFunc
		want         []string
		wantStatus   int
	}{
		{name: "JSON", handler: func(c echo.Context) error { sell(c); return c.JSON(http.StatusOK, "ok") }, want: stored, wantStatus: 200},
		{name: "recorded outside of a middleware without tracker", inner: []echo.MiddlewareFunc{later, echoadapter.Middleware(nil)}, handler: func(echo.Context) error { return nil }, want: stored, wantStatus: 200},
		{name: "nothing", handler: func(c echo.Context) error { sell(c); return nil }, want: stored, wantStatus: 200},
		{name: "NoContent", handler: func(c echo.Context) error { sell(c); return c.NoContent(http.StatusNoContent) }, want: []string{"stored sale:1", "status 204"}, wantStatus: 204},
		{name: "status of a failure", handler: func(c echo.Context) error { sell(c); return c.String(http.StatusPaymentRequired, "no") }, want: discarded("402"), wantStatus: 402},
		{name: "HTTPError", handler: decline, want: discarded("402"), wantStatus: 402},
		{name: "error", handler: func(c echo.Context) error { sell(c); return http.ErrBodyNotAllowed }, want: discarded("500"), wantStatus: 500},
		{name: "error, made a response inside", inner: []echo.MiddlewareFunc{handled}, handler: decline, want: discarded("402"), wantStatus: 402},
		{name: "error, made a response outside", outer: []echo.MiddlewareFunc{handled}, handler: decline, want: discarded("402"), wantStatus: 402},
		{name: "error after the response left", handler: func(c echo.Context) error {
			sell(c)
			if err := c.String(http.StatusOK, "ok"); err != nil {
				return err
			}
			return errDeclined
		}, want: stored, wantStatus: 200},
		{name: "error after the response, which Echo's Timeout throws away", inner: []echo.MiddlewareFunc{limited}, handler: func(c echo.Context) error {
			sell(c)
			if err := c.String(http.StatusOK, "ok"); err != nil {
				return err
			}
			return errDeclined
		}, want: []string{"discarded sale:1: fprom: echoadapter: the handler returned an error beside its response…", "status 200"}, wantStatus: 200},
		{name: "panic, Recover outside", outer: []echo.MiddlewareFunc{quiet}, handler: func(c echo.Context) error { sell(c); panic("no") }, want: discarded("500"), wantStatus: 500},
		{name: "panic, Recover inside", inner: []echo.MiddlewareFunc{quiet}, handler: func(c echo.Context) error { sell(c); panic("no") }, want: discarded("500"), wantStatus: 500},
		{name: "gzip inside", inner: []echo.MiddlewareFunc{middleware.Gzip()}, handler: func(c echo.Context) error { sell(c); return c.String(http.StatusOK, "ok") }, want: stored, wantStatus: 200},
		{name: "gzip outside", outer: []echo.MiddlewareFunc{middleware.Gzip()}, handler: func(c echo.Context) error { sell(c); return c.String(http.StatusOK, "ok") }, want: stored, wantStatus: 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			adaptertest.Check(t, func(tracker fprom.Enqueuer, _ http.Handler, _ ...fprom.MiddlewareOption) http.Handler {
				e := echo.New()
				e.Use(c.outer...)
				e.Use(echoadapter.Middleware(tracker))
				e.Use(c.inner...)
				e.POST("/checkout", c.handler)
				return e
			}, adaptertest.Case{Want: c.want, WantStatus: c.wantStatus})
		})
	}
}

// TestRefused: with WithFailClosed, middlewares outside see the 503 that the client gets, whatever the handler does.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]echo.HandlerFunc{
		"JSON":   func(c echo.Context) error { sell(c); return c.JSON(http.StatusOK, "ok") },
		"silent": func(c echo.Context) error { sell(c); return nil },
		"recorded in a Before hook": func(c echo.Context) error {
			c.Response().Before(func() { sell(c) })
			return c.NoContent(http.StatusNoContent)
		},
		"error after the response": func(c echo.Context) error {
			sell(c)
			return errors.Join(c.String(http.StatusOK, "ok"), errDeclined)
		},
	} {
		for outer, m := range map[string]echo.MiddlewareFunc{
			"gzip":    middleware.GzipWithConfig(middleware.GzipConfig{MinLength: 1000}),
			"Timeout": middleware.TimeoutWithConfig(middleware.TimeoutConfig{Timeout: time.Minute}), //nolint:staticcheck // deprecated, but in use
			"nothing": func(next echo.HandlerFunc) echo.HandlerFunc { return next },
		} {
			t.Run(name+" in "+outer, func(t *testing.T) {
				t.Parallel()
				adaptertest.Check(t, func(tracker fprom.Enqueuer, _ http.Handler, opts ...fprom.MiddlewareOption) http.Handler {
					e := echo.New()
					e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
						return func(c echo.Context) error {
							err := next(c)
							if res := c.Response(); err != nil || res.Status != http.StatusServiceUnavailable || !res.Committed {
								t.Errorf("outside, the status is %d, committed %v, error %v", res.Status, res.Committed, err)
							}
							return err
						}
					}, m, echoadapter.Middleware(tracker, opts...))
					e.POST("/checkout", handler)
					return e
				}, adaptertest.Refused(adaptertest.Case{}))
			})
		}
	}
}

// TestContextIsGivenBack: after the middleware, Echo's context has the writer and the request it had, whether the handler returned or
// panicked; a request that a handler put there stays.
func TestContextIsGivenBack(t *testing.T) {
	t.Parallel()
	var own *http.Request
	for name, handler := range map[string]echo.HandlerFunc{
		"return": func(echo.Context) error { return nil },
		"panic":  func(echo.Context) error { panic("no") },
		"own": func(c echo.Context) error {
			own = c.Request().Clone(c.Request().Context())
			c.SetRequest(own)
			return nil
		},
	} {
		e := echo.New()
		e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error {
				writer := c.Response().Writer
				request := c.Request()
				defer func() {
					_ = recover()
					if c.Response().Writer != writer || name != "own" && c.Request() != request || name == "own" && c.Request() != own {
						t.Errorf("%s: the context has another writer or request", name)
					}
				}()
				return next(c)
			}
		}, echoadapter.Middleware(nil))
		e.GET("/", handler)
		e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	}
}

// TestWrapMiddleware holds Middleware's documentation to what Echo does: its bridge to net/http reports a declined card as
// a sale, and this adapter does not.
func TestWrapMiddleware(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		use  func(fprom.Enqueuer) echo.MiddlewareFunc
		want string
	}{
		{"echo.WrapMiddleware", func(t fprom.Enqueuer) echo.MiddlewareFunc {
			return echo.WrapMiddleware(nethttpadapter.Middleware(t))
		}, "stored sale:1"},
		{"echoadapter", func(t fprom.Enqueuer) echo.MiddlewareFunc { return echoadapter.Middleware(t) }, "discarded sale:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			adaptertest.Check(t, func(tracker fprom.Enqueuer, _ http.Handler, _ ...fprom.MiddlewareOption) http.Handler {
				e := echo.New()
				e.Use(c.use(tracker))
				e.POST("/checkout", decline)
				return e
			}, adaptertest.Case{Want: []string{c.want, "status 402"}, WantStatus: http.StatusPaymentRequired})
		})
	}
}
