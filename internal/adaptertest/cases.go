package adaptertest

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/fprom-go/fprom"
)

// RunBuffered runs the cases for a framework that sends nothing before its handlers return.
func RunBuffered(t *testing.T, wrap Wrap) {
	t.Helper()
	cases := slices.Concat(statuses(), failures(), bodies(), timeouts(), options(wrap))
	run(t, wrap, slices.DeleteFunc(cases, func(c Case) bool { return c.Streams }))
}

func run(t *testing.T, wrap Wrap, cases []Case) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			Check(t, wrap, c)
		})
	}
	t.Run("nested", func(t *testing.T) { t.Parallel(); nested(t, wrap) })
	t.Run("WithFailClosed, header", func(t *testing.T) { t.Parallel(); refused(t, wrap) })
	t.Run("keep-alive", func(t *testing.T) { t.Parallel(); keepAlive(t, wrap) })
}

// Run runs all cases, for a framework on net/http.
func Run(t *testing.T, wrap Wrap) {
	t.Helper()
	run(t, wrap, slices.Concat(statuses(), failures(), bodies(), timeouts(), options(wrap)))
	for name, handler := range tooLate() {
		t.Run("TimeoutHandler outside, too late, "+name, func(t *testing.T) { t.Parallel(); lateOutside(t, wrap, handler) })
	}
	t.Run("TimeoutHandler outside, too late, WithFailClosed", func(t *testing.T) {
		t.Parallel()
		lateOutside(t, wrap, tooLate()["200"], fprom.WithFailClosed())
	})
	t.Run("abandoned", func(t *testing.T) { t.Parallel(); abandoned(t, wrap) })
	t.Run("client gone", func(t *testing.T) { t.Parallel(); clientGone(t, wrap) })
	t.Run("pattern", func(t *testing.T) { t.Parallel(); pattern(t, wrap) })
}

// answer records a sale and writes status. With 0 it writes nothing.
func answer(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		Sell(r, "1")
		if status != 0 {
			w.WriteHeader(status)
		}
	}
}

func statuses() []Case {
	stored := func(status string) []string { return []string{"stored sale:1", "status " + status} }
	discarded := func(status string) []string { return []string{"discarded sale:1", "status " + status} }
	return []Case{
		{Name: "silence is 200", Handler: answer(0), Want: stored("200"), WantStatus: 200},
		{Name: "200", Handler: answer(200), Want: stored("200"), WantStatus: 200},
		{Name: "204", Handler: answer(204), Want: stored("204"), WantStatus: 204},
		{Name: "303", Handler: func(w http.ResponseWriter, r *http.Request) {
			Sell(r, "1")
			http.Redirect(w, r, "/thanks", http.StatusSeeOther)
		}, Want: stored("303"), WantStatus: 303},
		{Name: "402", Handler: answer(402), Want: discarded("402"), WantStatus: 402},
		{Name: "500", Handler: answer(500), Want: discarded("500"), WantStatus: 500},
		{Name: "HEAD", Method: http.MethodHead, Handler: answer(200), Want: stored("200"), WantStatus: 200},
		{Name: "nothing recorded", Handler: func(http.ResponseWriter, *http.Request) {}, Want: []string{"status 200"}, WantStatus: 200},
		{Name: "first status wins", Handler: func(w http.ResponseWriter, r *http.Request) {
			Sell(r, "1")
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, "ok")
			w.WriteHeader(http.StatusInternalServerError)
		}, Want: stored("201"), WantStatus: 201, WantBody: "ok"},
		{Name: "two sales", Handler: func(_ http.ResponseWriter, r *http.Request) {
			Sell(r, "1")
			Sell(r, "2")
		}, Want: []string{"stored sale:1", "stored sale:2", "status 200"}, WantStatus: 200},
		{Name: "the same sale twice", Handler: func(_ http.ResponseWriter, r *http.Request) {
			Sell(r, "1")
			Sell(r, "1")
		}, Want: stored("200"), WantStatus: 200},
	}
}

func failures() []Case {
	return []Case{
		{Name: "panic before writing", Handler: func(_ http.ResponseWriter, r *http.Request) {
			Sell(r, "1")
			panic("no")
		}, Want: []string{"discarded sale:1"}},
		{Name: "ErrAbortHandler", Handler: func(_ http.ResponseWriter, r *http.Request) {
			Sell(r, "1")
			panic(http.ErrAbortHandler)
		}, Want: []string{"discarded sale:1"}},
		{Name: "panic after the response left", Streams: true, Handler: func(w http.ResponseWriter, r *http.Request) {
			Sell(r, "1")
			w.(http.Flusher).Flush()
			Sell(r, "2")
			panic("no")
		}, Want: []string{"stored sale:1", "status 200", "discarded sale:2: fprom: the handler sent a success…"}},
		{Name: "io.Copy of a file that cannot be read, then 500", Handler: func(w http.ResponseWriter, r *http.Request) {
			Sell(r, "1")
			if _, err := io.Copy(w, iotest.ErrReader(io.ErrUnexpectedEOF)); err != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}, Want: []string{"discarded sale:1", "status 500"}, WantStatus: 500},
		{
			Name: "hijacked", Streams: true, Handler: hijack(func(http.ResponseWriter) {}),
			Want: []string{"status 200", "discarded sale:1: fprom: the handler took the connection over…"}, WantStatus: 200,
		},
		{
			Name: "hijacked, then an error that nobody sees", Streams: true, Handler: hijack(func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }),
			Want: []string{"status 200", "discarded sale:1: fprom: the handler took the connection over…"}, WantStatus: 200,
		},
	}
}

func hijack(then func(http.ResponseWriter)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		Sell(r, "1")
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") // as a websocket handler writes 101
		then(w)
	}
}

func bodies() []Case {
	long := strings.Repeat("thank you ", 10_000)
	before := []string{"stored sale:1", "status 200"}
	write := func(write func(http.ResponseWriter)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			Sell(r, "1")
			write(w)
		}
	}
	return []Case{
		{Name: "long body", Handler: write(func(w http.ResponseWriter) { _, _ = w.Write([]byte(long)) }), Want: before, WantStatus: 200, WantBody: long},
		{Name: "WriteString", Handler: write(func(w http.ResponseWriter) { _, _ = io.WriteString(w, long) }), Want: before, WantStatus: 200, WantBody: long},
		{Name: "io.Copy", Handler: write(func(w http.ResponseWriter) {
			_, _ = io.Copy(w, io.LimitReader(strings.NewReader(long), int64(len(long))))
		}), Want: before, WantStatus: 200, WantBody: long},
		{Name: "long body of an error", Streams: true, Handler: func(w http.ResponseWriter, r *http.Request) {
			Sell(r, "1")
			http.Error(w, long, http.StatusBadGateway)
		}, Want: []string{"status 502", "discarded sale:1"}, WantStatus: 502},
		{
			Name: "server-sent events", Streams: true, Handler: stream(func(w http.ResponseWriter) { w.(http.Flusher).Flush() }),
			Want: []string{"stored sale:1", "status 200", "stored sale:2"}, WantStatus: 200, WantBody: "data: 1\n\ndata: 2\n\n",
		},
		{Name: "ResponseController", Streams: true, Handler: stream(func(w http.ResponseWriter) {
			rc := http.NewResponseController(w)
			if err := rc.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
				panic(err)
			}
			if err := rc.Flush(); err != nil {
				panic(err)
			}
		}), Want: []string{"stored sale:1", "status 200", "stored sale:2"}, WantStatus: 200, WantBody: "data: 1\n\ndata: 2\n\n"},
		{Name: "Flush before Write", Handler: write(func(w http.ResponseWriter) { w.(http.Flusher).Flush() }), Want: before, WantStatus: 200},
	}
}

func stream(flush func(http.ResponseWriter)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		Sell(r, "1")
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		flush(w)
		Sell(r, "2")
		_, _ = io.WriteString(w, "data: 2\n\n")
		flush(w)
	}
}

func timeouts() []Case {
	limit := func(d time.Duration) func(http.Handler) http.Handler {
		return func(h http.Handler) http.Handler { return http.TimeoutHandler(h, d, "too late") }
	}
	inTime := []string{"stored sale:1", "status 200"}
	return []Case{
		{Name: "TimeoutHandler outside, in time", Outer: limit(time.Minute), Handler: answer(200), Want: inTime, WantStatus: 200},
		{Name: "TimeoutHandler outside, a panic after 200", Outer: limit(time.Minute), Handler: func(w http.ResponseWriter, r *http.Request) {
			Sell(r, "1")
			w.WriteHeader(http.StatusOK)
			panic("no")
		}, Want: []string{"discarded sale:1"}},
		{Name: "TimeoutHandler inside, in time", Inner: limit(time.Minute), Handler: answer(200), Want: inTime, WantStatus: 200},
		{
			Name: "TimeoutHandler inside, an error in time", Inner: limit(time.Minute), Handler: answer(500),
			Want: []string{"discarded sale:1", "status 500"}, WantStatus: 500,
		},
		{Name: "TimeoutHandler inside, a panic", Inner: limit(time.Minute), Handler: func(_ http.ResponseWriter, r *http.Request) {
			Sell(r, "1")
			panic("no")
		}, Want: []string{"discarded sale:1"}},
		{
			Name: "TimeoutHandler inside, too late", Inner: func(h http.Handler) http.Handler {
				limited := limit(5 * time.Millisecond)(h)
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					Sell(r, "1") // before the time begins, which may be up before the handler runs
					limited.ServeHTTP(w, r)
				})
			}, Handler: func(w http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
				for err := error(nil); !errors.Is(err, http.ErrHandlerTimeout); { // the TimeoutHandler would take a return at this instant for one in time
					_, err = w.Write(nil)
				}
			},
			Want: []string{"discarded sale:1", "status 503"}, WantStatus: 503, WantBody: "too late",
		},
	}
}

// answered is the key of a channel in the request's context, which is closed when the client has its answer.
type answered struct{}

// tooLateFor waits until the http.TimeoutHandler has answered. It may take a return at the very instant of the deadline for one in time.
func tooLateFor(r *http.Request) { <-r.Context().Value(answered{}).(chan struct{}) }

// late ignores the deadline and returns as if it had succeeded.
func late(end func(http.ResponseWriter)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		Sell(r, "1")
		tooLateFor(r)
		end(w)
	}
}

// tooLate are handlers that record sale 1 and return normally after the deadline.
func tooLate() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"silent": late(func(http.ResponseWriter) {}),
		"200":    late(func(w http.ResponseWriter) { _, _ = io.WriteString(w, "ok") }),
		"200 in time": func(w http.ResponseWriter, r *http.Request) {
			Sell(r, "1")
			w.WriteHeader(http.StatusOK)
			tooLateFor(r)
		},
		"200 in time, sold late": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			tooLateFor(r)
			Sell(r, "1")
		},
	}
}

func options(wrap Wrap) []Case {
	closed := []fprom.MiddlewareOption{fprom.WithFailClosed()}
	created := []fprom.MiddlewareOption{fprom.WithSuccess(func(status int) bool { return status == http.StatusCreated })}
	page := func(w http.ResponseWriter, r *http.Request) {
		Sell(r, "1")
		w.Header().Set("Content-Length", "5")
		w.Header().Set("Location", "/thanks")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "thank")
		w.(http.Flusher).Flush()
	}
	nested := func(h http.Handler) http.Handler { return wrap(nil, h) }
	return []Case{
		{Name: "queue full", Full: true, Handler: page, Want: []string{"lost sale:1", "status 201"}, WantStatus: 201, WantBody: "thank"},
		Refused(Case{Name: "WithFailClosed, queue full", Handler: page}),
		Refused(Case{Name: "WithFailClosed, queue full, silent", Handler: answer(0)}),
		Refused(Case{Name: "WithFailClosed, queue full, 204", Handler: answer(204)}),
		Refused(Case{Name: "WithFailClosed, queue full, io.Copy", Streams: true, Handler: func(w http.ResponseWriter, r *http.Request) {
			Sell(r, "1")
			if n, err := io.Copy(w, io.LimitReader(strings.NewReader("thank you"), 9)); n != 9 || err != nil {
				panic(err)
			}
		}}),
		{
			Name: "WithFailClosed, nothing recorded", Full: true, Options: closed, Handler: func(http.ResponseWriter, *http.Request) {},
			Want: []string{"status 200"}, WantStatus: 200,
		},
		{Name: "WithFailClosed, recorded too late", Streams: true, Full: true, Options: closed, Handler: func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			Sell(r, "1")
		}, Want: []string{"status 200", "lost sale:1"}, WantStatus: 200},
		Refused(Case{Name: "WithFailClosed, queue full, in a TimeoutHandler", Handler: answer(204), Outer: func(h http.Handler) http.Handler {
			return http.TimeoutHandler(h, time.Minute, "")
		}}),
		{Name: "WithFailClosed", Options: closed, Handler: page, Want: []string{"stored sale:1", "status 201"}, WantStatus: 201, WantBody: "thank"},
		{Name: "WithSuccess, no", Options: created, Handler: answer(200), Want: []string{"discarded sale:1", "status 200"}, WantStatus: 200},
		{Name: "WithSuccess of nil", Options: []fprom.MiddlewareOption{fprom.WithSuccess(nil)}, Handler: answer(200), Want: []string{"stored sale:1", "status 200"}, WantStatus: 200},
		{Name: "WithSuccess, yes", Options: created, Handler: answer(201), Want: []string{"stored sale:1", "status 201"}, WantStatus: 201},
		{Name: "inside a middleware without tracker", Outer: nested, Handler: answer(200), Want: []string{"stored sale:1", "status 200"}, WantStatus: 200},
		{Name: "around a middleware without tracker", Inner: nested, Handler: answer(200), Want: []string{"status 200"}, WantStatus: 200},
	}
}
