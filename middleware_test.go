package fprom_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// accepted is an Enqueuer that keeps what it gets.
type accepted struct {
	events []fprom.Event
	ctx    context.Context //nolint:containedctx // to look at
	err    error
}

func (a *accepted) Enqueue(ctx context.Context, events ...fprom.Event) error {
	a.ctx = ctx
	if a.err != nil {
		return a.err
	}
	a.events = append(a.events, events...)
	return nil
}

// serve runs handler in an Exchange as an adapter does, for a request with these cookies.
func serve(t *testing.T, hook *fprom.Hook, cookies string, handler http.HandlerFunc) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(context.WithValue(t.Context(), ctxKey{}, "outer"), http.MethodPost, "/", http.NoBody)
	r.Header.Set("Cookie", cookies)
	w := httptest.NewRecorder()
	x := hook.Wrap(w, r)
	defer x.Close()
	handler(x.Writer(), x.Request())
	x.Finish()
	return w
}

type ctxKey struct{}

func validSale(id string) fprom.Sale {
	return fprom.Sale{EventID: id, Email: "ann@example.com", Amount: 4900, Currency: "usd"}
}

func TestRecordFillsInAttribution(t *testing.T) {
	t.Parallel()
	const cookies = "_fprom_tid=abc; _fprom_ref=joe13"
	signup := fprom.Signup{Email: "ann@example.com"}
	refund := fprom.Refund{EventID: "r1", Email: "ann@example.com", Amount: 100}
	with := func(e fprom.Sale, tid, ref string) fprom.Sale { e.TID, e.RefID = tid, ref; return e }
	for _, c := range []struct {
		name    string
		opts    []fprom.MiddlewareOption
		cookies string
		record  fprom.Event
		want    fprom.Event
	}{
		{"sale", nil, cookies, validSale("1"), with(validSale("1"), "abc", "")},
		{"sale with its own", nil, cookies, with(validSale("1"), "own", ""), with(validSale("1"), "own", "")},
		{"sale, no cookies", nil, "", validSale("1"), validSale("1")},
		{"sale, forged cookie", nil, "_fprom_tid=../x", validSale("1"), validSale("1")},
		{"WithRefIDCookie", []fprom.MiddlewareOption{fprom.WithRefIDCookie()}, cookies, validSale("1"), with(validSale("1"), "abc", "joe13")},
		{"WithRefIDCookie, its own", []fprom.MiddlewareOption{fprom.WithRefIDCookie()}, cookies, with(validSale("1"), "", "own"), with(validSale("1"), "abc", "own")},
		{"signup", nil, cookies, signup, fprom.Signup{Email: "ann@example.com", TID: "abc"}},
		{"refund", nil, cookies, refund, refund},
		{"cancellation", nil, cookies, fprom.Cancellation{UID: "7"}, fprom.Cancellation{UID: "7"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got accepted
			serve(t, fprom.NewHook(&got, c.opts...), c.cookies, func(_ http.ResponseWriter, r *http.Request) {
				if err := fprom.Record(r.Context(), c.record); err != nil {
					t.Error(err)
				}
			})
			if !slices.Equal(got.events, []fprom.Event{c.want}) {
				t.Errorf("accepted %+v, want %+v", got.events, c.want)
			}
		})
	}
}

func TestRecordRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		event fprom.Event
		field string
	}{
		{"sale", fprom.Sale{EventID: "2", Email: "ann@example.com"}, "Amount"},
		{"refund", fprom.Refund{Email: "ann@example.com", Amount: 1}, "EventID"},
		{"signup without a visitor", fprom.Signup{Email: "ann@example.com"}, "TID"},
		{"cancellation", fprom.Cancellation{}, "Email"},
		{"pointer", &fprom.Sale{}, "Event"},
		{"nil", nil, "Event"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got accepted
			for _, hook := range []*fprom.Hook{fprom.NewHook(&got), fprom.NewHook(nil)} {
				serve(t, hook, "", func(_ http.ResponseWriter, r *http.Request) {
					err := fprom.Record(r.Context(), validSale("1"), c.event)
					var v *fprom.ValidationError
					if !errors.As(err, &v) || v.Field != c.field {
						t.Errorf("error %v, want a ValidationError of %s", err, c.field)
					}
				})
			}
			if len(got.events) != 0 {
				t.Errorf("accepted %+v of a call with a wrong event", got.events)
			}
		})
	}
}

func TestRecordOutside(t *testing.T) {
	t.Parallel()
	var none context.Context
	for _, ctx := range []context.Context{none, t.Context()} {
		if err := fprom.Record(ctx, validSale("1")); !errors.Is(err, fprom.ErrNoMiddleware) {
			t.Errorf("error %v, want ErrNoMiddleware", err)
		}
	}
}

// TestRecordInDerivedContext: what the handler derives from the request's context works too, and the context is the
// request's own in all else.
func TestRecordInDerivedContext(t *testing.T) {
	t.Parallel()
	var got accepted
	serve(t, fprom.NewHook(&got), "", func(_ http.ResponseWriter, r *http.Request) {
		if v := r.Context().Value(ctxKey{}); v != "outer" {
			t.Errorf("the request's value is %v", v)
		}
		ctx, cancel := context.WithTimeout(r.Context(), time.Hour)
		cancel()
		if err := fprom.Record(context.WithoutCancel(ctx), validSale("1")); err != nil {
			t.Error(err)
		}
		if err := r.Context().Err(); err != nil {
			t.Errorf("the request's context ended with a derived one: %v", err)
		}
	})
	if len(got.events) != 1 {
		t.Fatalf("accepted %d events, want 1", len(got.events))
	}
	if got.ctx.Value(ctxKey{}) != "outer" {
		t.Error("Enqueue's context lost the request's values")
	}
}

// TestEnqueuerIsBounded: an Enqueuer of one's own keeps a checkout for a second at most, though the request's context ended
// before. With WithFailClosed the answer is 503.
func TestEnqueuerIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hangs := enqueuerFunc(func(ctx context.Context, _ ...fprom.Event) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Hour):
				return nil
			}
		})
		for status, opts := range map[int][]fprom.MiddlewareOption{http.StatusOK: nil, http.StatusServiceUnavailable: {fprom.WithFailClosed()}} {
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			w := httptest.NewRecorder()
			x := fprom.NewHook(hangs, opts...).Wrap(w, httptest.NewRequestWithContext(gone, http.MethodPost, "/", http.NoBody))
			record(t, x.Request(), validSale("1"))
			begin := time.Now()
			x.Finish()
			x.Close()
			if d := time.Since(begin); w.Code != status || d != time.Second {
				t.Errorf("status %d after %v, want %d after a second", w.Code, d, status)
			}
		}
	})
}

func TestRecordConcurrently(t *testing.T) {
	t.Parallel()
	const n = 100
	var got accepted
	serve(t, fprom.NewHook(&got), "_fprom_tid=abc", func(w http.ResponseWriter, r *http.Request) {
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				if err := fprom.Record(r.Context(), validSale(strconv.Itoa(i))); err != nil {
					t.Error(err)
				}
			})
		}
		w.WriteHeader(http.StatusOK)
		wg.Wait()
	})
	ids := map[string]int{}
	for _, e := range got.events {
		ids[e.(fprom.Sale).EventID]++
	}
	if len(got.events) != n || len(ids) != n {
		t.Errorf("accepted %d events with %d ids, want %d", len(got.events), len(ids), n)
	}
}

// TestRecordRacesReturn: a goroutine that outlives its handler either gets its event accepted or an error.
func TestRecordRacesReturn(t *testing.T) {
	t.Parallel()
	for range 200 {
		var got accepted
		recorded := make(chan error, 1)
		serve(t, fprom.NewHook(&got), "", func(_ http.ResponseWriter, r *http.Request) {
			go func() { recorded <- fprom.Record(r.Context(), validSale("1")) }()
		})
		err := <-recorded
		if err == nil && len(got.events) != 1 {
			t.Fatal("recorded without an error, and not accepted")
		}
		if err != nil && (!errors.Is(err, fprom.ErrNoMiddleware) || len(got.events) != 0) {
			t.Fatalf("error %v and %d events accepted", err, len(got.events))
		}
	}
}

// TestUnusedRefID: what CaptureReferral keeps is lost without WithRefIDCookie, and that is said, once.
func TestUnusedRefID(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, cookies string
		opts          []fprom.MiddlewareOption
		warnings      int
	}{
		{"not used", "_fprom_ref=joe13", nil, 1},
		{"used", "_fprom_ref=joe13", []fprom.MiddlewareOption{fprom.WithRefIDCookie()}, 0},
		{"not needed", "_fprom_ref=joe13; _fprom_tid=abc", nil, 0},
		{"none", "", nil, 0},
	} {
		var log bytes.Buffer
		cfg := config(nil)
		cfg.Queue, cfg.Logger = sink{}, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		hook := fprom.NewHook(start(t, cfg), c.opts...)
		for _, id := range []string{"1", "2"} {
			serve(t, hook, c.cookies, func(_ http.ResponseWriter, r *http.Request) {
				if err := fprom.Record(r.Context(), validSale(id)); err != nil {
					t.Error(err)
				}
			})
		}
		if n := strings.Count(log.String(), "WithRefIDCookie"); n != c.warnings {
			t.Errorf("%s: %d warnings, want %d: %s", c.name, n, c.warnings, log.String())
		}
	}
}

// A middleware outside may give a slow handler up, and the server is done with the request then. What the handler does not change in
// the request is not written to it, which the race detector would see here.
func TestHandlerThatWasGivenUp(t *testing.T) {
	t.Parallel()
	release, ended := make(chan struct{}), make(chan struct{})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
	go func() {
		defer close(ended)
		x := fprom.NewHook(nil).Wrap(httptest.NewRecorder(), r)
		<-release
		x.Close()
	}()
	close(release)
	if r.Pattern != "" || r.MultipartForm != nil {
		t.Error("the request was changed")
	}
	<-ended
}
