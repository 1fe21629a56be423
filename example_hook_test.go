package fprom_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/fprom-go/fprom"
)

// An adapter for a framework on net/http, here one whose handlers return an error (as Echo's do).
func ExampleHook_Wrap() {
	type Handler func(w http.ResponseWriter, r *http.Request) error

	Middleware := func(t fprom.Enqueuer, opts ...fprom.MiddlewareOption) func(Handler) Handler {
		hook := fprom.NewHook(t, opts...)
		return func(next Handler) Handler {
			return func(w http.ResponseWriter, r *http.Request) error {
				x := hook.Wrap(w, r)
				defer x.Close()
				if err := next(x.Writer(), x.Request()); err != nil {
					x.Discard(nil) // the framework makes the response of err
					return err
				}
				x.Finish()
				return nil
			}
		}
	}

	wrapped := Middleware(printer{})(func(w http.ResponseWriter, r *http.Request) error {
		if err := fprom.Record(r.Context(), fprom.Sale{EventID: "ch_1", Email: "ann@example.com", Amount: 4900}); err != nil {
			return err
		}
		_, err := io.WriteString(w, "Thank you!\n")
		return err
	})
	w := httptest.NewRecorder()
	if err := wrapped(w, httptest.NewRequest(http.MethodPost, "/checkout", http.NoBody)); err != nil {
		fmt.Println(err)
	}
	fmt.Print(w.Body)
	// Output:
	// enqueued ch_1
	// Thank you!
}

// An adapter for a framework that is not on net/http, here one with a context of its own (as Fiber has).
func ExampleHook_Begin() {
	type Ctx struct {
		User   context.Context //nolint:containedctx // as Fiber's has
		Cookie string          // the request's header
		Status int
	}
	type Handler func(*Ctx) error

	Middleware := func(t fprom.Enqueuer, next Handler) Handler {
		hook := fprom.NewHook(t)
		return func(c *Ctx) error {
			x := hook.Begin(c.User, http.Header{"Cookie": {c.Cookie}})
			defer x.Close()
			c.User = x.Request().Context()
			if err := next(c); err != nil {
				return err
			}
			if err := x.Commit(c.Status); err != nil {
				return err // only with WithFailClosed: the framework answers 503
			}
			x.Finish()
			return nil
		}
	}

	pay := func(c *Ctx) error {
		c.Status = http.StatusOK
		return fprom.Record(c.User, fprom.Sale{EventID: "ch_1", Email: "ann@example.com", Amount: 4900})
	}
	decline := func(c *Ctx) error {
		return errors.Join(pay(c), errors.New("card declined"))
	}
	for _, handler := range []Handler{pay, decline} {
		c := &Ctx{User: context.Background(), Cookie: "_fprom_tid=abc"}
		fmt.Println(Middleware(printer{}, handler)(c))
	}
	// Output:
	// enqueued ch_1 of visitor abc
	// <nil>
	// card declined
}

// printer stands for a Tracker.
type printer struct{}

func (printer) Enqueue(_ context.Context, events ...fprom.Event) error {
	for _, e := range events {
		sale := e.(fprom.Sale)
		fmt.Print("enqueued ", sale.EventID)
		if sale.TID != "" {
			fmt.Print(" of visitor ", sale.TID)
		}
		fmt.Println()
	}
	return nil
}
