package fiberadapter_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/gofiber/fiber/v3/middleware/timeout"
	"github.com/valyala/fasthttp"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fiberadapter"
	"github.com/fprom-go/fprom/internal/adaptertest"
)

// wrap serves h in Fiber, and Fiber in net/http, where the matrix looks.
func wrap(t fprom.Enqueuer, h http.Handler, opts ...fprom.MiddlewareOption) http.Handler {
	app := fiber.New()
	app.Use(fiberadapter.Middleware(t, opts...))
	app.Use(func(c fiber.Ctx) error {
		r, err := http.NewRequestWithContext(c.Context(), c.Method(), string(c.Request().URI().FullURI()), http.NoBody)
		if err != nil {
			return err
		}
		r.RequestURI = r.URL.RequestURI()
		w := &bridge{c: c, header: http.Header{}}
		h.ServeHTTP(w, r)
		w.WriteHeader(http.StatusOK)
		return nil
	})
	return adaptor.FiberApp(app)
}

// bridge is Fiber's response as an http.ResponseWriter.
type bridge struct {
	c      fiber.Ctx
	header http.Header
	wrote  bool
}

func (b *bridge) Header() http.Header { return b.header }
func (b *bridge) Flush()              { b.WriteHeader(http.StatusOK) }

func (b *bridge) WriteHeader(status int) {
	if b.wrote {
		return
	}
	b.wrote = true
	for name, values := range b.header {
		for _, v := range values {
			b.c.Response().Header.Add(name, v)
		}
	}
	b.c.Status(status)
}

func (b *bridge) Write(p []byte) (int, error) {
	b.WriteHeader(http.StatusOK)
	return b.c.Write(p)
}

func TestMatrix(t *testing.T) {
	t.Parallel()
	adaptertest.RunBuffered(t, wrap)
}

func TestMemory(t *testing.T) { // not parallel: it measures the process
	adaptertest.MemoryBuffered(t, wrap)
}

// sell records a sale as a Fiber handler does.
func sell(c fiber.Ctx) {
	if err := fiberadapter.Record(c, adaptertest.Sale("1")); err != nil {
		panic(err)
	}
}

func decline(c fiber.Ctx) error {
	sell(c)
	return fiber.NewError(fiber.StatusPaymentRequired, "declined")
}

// TestFiber: what Fiber's handlers return.
func TestFiber(t *testing.T) {
	t.Parallel()
	stored := []string{"stored sale:1", "status 200"}
	discarded := func(status string) []string { return []string{"discarded sale:1", "status " + status} }
	for _, c := range []struct {
		name         string
		outer, inner []any
		handler      fiber.Handler
		want         []string
		wantStatus   int
	}{
		{name: "JSON", handler: func(c fiber.Ctx) error { sell(c); return c.JSON("ok") }, want: stored, wantStatus: 200},
		{name: "nothing", handler: func(c fiber.Ctx) error { sell(c); return nil }, want: stored, wantStatus: 200},
		{name: "SendStatus", handler: func(c fiber.Ctx) error { sell(c); return c.SendStatus(fiber.StatusPaymentRequired) }, want: discarded("402"), wantStatus: 402},
		{name: "Error", handler: decline, want: discarded("402"), wantStatus: 402},
		{name: "error", handler: func(c fiber.Ctx) error { sell(c); return io.ErrUnexpectedEOF }, want: discarded("500"), wantStatus: 500},
		{name: "error after a body", handler: func(c fiber.Ctx) error {
			return errors.Join(c.SendString("Thank you"), decline(c))
		}, want: discarded("402"), wantStatus: 402},
		{name: "panic, recover outside", outer: []any{recover.New()}, handler: func(c fiber.Ctx) error { sell(c); panic("no") }, want: discarded("500"), wantStatus: 500},
		{name: "panic, recover inside", inner: []any{recover.New()}, handler: func(c fiber.Ctx) error { sell(c); panic("no") }, want: discarded("500"), wantStatus: 500},
		{name: "abandoned, as by the timeout middleware", handler: func(c fiber.Ctx) error {
			sell(c)
			c.Abandon()
			return c.SendString("too late")
		}, want: discarded("200"), wantStatus: 200},
		{name: "redirect", handler: func(c fiber.Ctx) error { sell(c); return c.Redirect().To("/thanks") }, want: []string{"stored sale:1", "status 303"}, wantStatus: 303},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			adaptertest.Check(t, func(tracker fprom.Enqueuer, _ http.Handler, _ ...fprom.MiddlewareOption) http.Handler {
				app := fiber.New()
				for _, m := range c.outer {
					app.Use(m)
				}
				app.Use(fiberadapter.Middleware(tracker))
				for _, m := range c.inner {
					app.Use(m)
				}
				app.Post("/checkout", c.handler)
				return adaptor.FiberApp(app)
			}, adaptertest.Case{Want: c.want, WantStatus: c.wantStatus})
		})
	}
}

// TestOwnServer: over Fiber's own server, the visitor's cookies are read, what a middleware outside has set stays on a 503,
// and a stream that is sent after the handler belongs to a success.
func TestOwnServer(t *testing.T) {
	t.Parallel()
	full, fullJournal := adaptertest.NewTracker(t, true)
	tracker, j := adaptertest.NewTracker(t, false)
	app := fiber.New()
	app.Use(func(c fiber.Ctx) error { c.Set("X-Request-Id", "7"); return c.Next() })
	app.Get("/stream", fiberadapter.Middleware(tracker), func(c fiber.Ctx) error {
		sell(c)
		return c.SendStream(io.LimitReader(neverEnding{}, 1<<20))
	})
	app.Get("/full", fiberadapter.Middleware(full, fprom.WithFailClosed()), func(c fiber.Ctx) error {
		sell(c)
		c.Set(fiber.HeaderContentEncoding, "gzip")
		c.Set(fiber.HeaderCacheControl, "public")
		return c.SendString("thank you")
	})
	url := listen(t, app)

	res := get(t, url+"/stream")
	if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK || len(body) != 1<<20 {
		t.Errorf("status %d, %d bytes, %v", res.StatusCode, len(body), err)
	}
	if got := j.Entries(); !slices.Equal(got, []string{"stored sale:1"}) {
		t.Errorf("happened %q", got)
	}
	res = get(t, url+"/full")
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusServiceUnavailable || string(body) != "Service Unavailable\n" {
		t.Errorf("status %d, body %q, %v", res.StatusCode, body, err)
	}
	if h := res.Header; h.Get("X-Request-Id") != "7" || h.Get("Retry-After") == "" || h.Get("Content-Encoding") != "" || h.Get("Cache-Control") != "" {
		t.Errorf("header %v", h)
	}
	if got := fullJournal.Entries(); !slices.EqualFunc(got, []string{"discarded sale:1: fprom: the request is answered with 503…"}, adaptertest.Matches) {
		t.Errorf("happened %q", got)
	}
}

// TestTimeout: a handler that its time is up for still uses the fiber.Ctx, which nobody else may touch.
func TestTimeout(t *testing.T) {
	t.Parallel()
	tracker, j := adaptertest.NewTracker(t, false)
	app := fiber.New()
	app.Use(fiberadapter.Middleware(tracker))
	app.Use(func(c fiber.Ctx) error { sell(c); return c.Next() }) // the time may be up before the handler begins
	answered, ended := make(chan struct{}), make(chan struct{})
	app.Get("/", timeout.New(func(c fiber.Ctx) error {
		defer close(ended)
		for {
			_ = c.Context()
			select {
			case <-answered:
				return nil
			case <-time.After(time.Millisecond):
			}
		}
	}, timeout.Config{Timeout: 50 * time.Millisecond}))
	url := listen(t, app)
	res := get(t, url+"/")
	close(answered)
	<-ended
	if got := j.Entries(); res.StatusCode != http.StatusRequestTimeout || !slices.Equal(got, []string{"discarded sale:1"}) {
		t.Errorf("status %d, happened %q", res.StatusCode, got)
	}
}

// TestResponseOfAnother: what leaves is not the handler's response, so its status 200 is no success. If the client may have seen
// one all the same, the log says what is discarded.
func TestResponseOfAnother(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler    func(*fasthttp.RequestCtx)
		wantStatus int
		wantReason bool
	}{
		"timed out": {func(ctx *fasthttp.RequestCtx) { ctx.TimeoutError("too late") }, http.StatusRequestTimeout, false},
		"hijacked":  {func(ctx *fasthttp.RequestCtx) { ctx.Hijack(func(net.Conn) {}) }, http.StatusOK, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			steps := make(chan fprom.Step, 9)
			tracker, err := fprom.New(fprom.Config{
				APIKey: "test", AccountID: "1", BaseURL: "http://127.0.0.1:1", Logger: slog.New(slog.DiscardHandler),
				Observer: func(_ context.Context, s fprom.Step) { steps <- s },
			})
			if err != nil {
				t.Fatal(err)
			}
			app := fiber.New()
			app.Post("/", fiberadapter.Middleware(tracker), func(ctx fiber.Ctx) error {
				sell(ctx)
				c.handler(ctx.RequestCtx())
				return nil
			})
			// The zero TestConfig has no time limit, and no config has one of a second.
			res, err := app.Test(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody), fiber.TestConfig{})
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if s := <-steps; res.StatusCode != c.wantStatus || s.Stage != fprom.StageDiscarded || (s.Err != nil) != c.wantReason {
				t.Errorf("status %d, %s: %v", res.StatusCode, s.Stage, s.Err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // nothing listens: do not wait
			if err := tracker.Shutdown(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// listen serves app and returns its address.
func listen(t *testing.T, app *fiber.App) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = app.Listener(l, fiber.ListenConfig{DisableStartupMessage: true}) }()
	t.Cleanup(func() { _ = app.Shutdown() })
	return "http://" + l.Addr().String()
}

func get(t *testing.T, url string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "identity")
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }

// TestAttribution: the events keep the visitor's id when Fiber has reused the request's memory.
func TestAttribution(t *testing.T) {
	t.Parallel()
	var got kept
	app := fiber.New()
	app.Use(fiberadapter.Middleware(&got))
	app.Post("/", func(c fiber.Ctx) error { sell(c); return nil })
	h := adaptor.FiberApp(app)
	for _, cookie := range []string{"_fprom_tid=first-visitor", "_fprom_tid=other-visitor"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
		r.Header.Set("Cookie", "session=1; "+cookie)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	if !slices.Equal(got.tids, []string{"first-visitor", "other-visitor"}) {
		t.Errorf("tids %q", got.tids)
	}
}

// kept is an Enqueuer that keeps the visitors' ids.
type kept struct{ tids []string }

func (k *kept) Enqueue(_ context.Context, events ...fprom.Event) error {
	for _, e := range events {
		k.tids = append(k.tids, e.(fprom.Sale).TID)
	}
	return nil
}
