// Package fiberadapter reports the sales of Fiber handlers (Fiber v3) to FirstPromoter.
package fiberadapter

import (
	"errors"
	"net/http"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/fprom-go/fprom"
)

// Middleware makes Record work in the handlers after it. If a handler succeeds, its recorded events are enqueued with t before the
// client sees the success. If t is nil, or a nil *fprom.Tracker, events are validated and dropped.
// It may stand before or after Fiber's recover middleware.
//
// A handler succeeds if the chain returns no error and its status is a success (fprom.WithSuccess). A handler that returns an error
// has failed: Fiber writes the error response later. A handler that Fiber's timeout middleware has abandoned, or that fasthttp's
// TimeoutError answers for, has failed, too. Fiber sends the response after the chain has returned, so all events are accepted
// before. (Exceptions: c.End sends it at once; after c.Drop nothing is sent, so record nothing before it.) The function of
// SendStreamWriter runs later and cannot record. Put this middleware outside of one that changes the status.
//
// The response is not changed unless fprom.WithFailClosed is given. Panics pass through, the request's body is not read, and no
// fiber.Ctx is kept. Record copies the strings of its events, which Fiber reuses for other requests.
func Middleware(t fprom.Enqueuer, opts ...fprom.MiddlewareOption) fiber.Handler {
	hook := fprom.NewHook(t, opts...)
	return func(c fiber.Ctx) error {
		before := fasthttp.AcquireResponse()
		defer fasthttp.ReleaseResponse(before)
		c.Response().Header.CopyTo(&before.Header)
		ctx := c.Context()
		x := hook.Begin(ctx, cookies(c))
		c.SetContext(x.Request().Context())
		defer func() {
			x.Close()
			if !c.IsAbandoned() {
				c.SetContext(ctx)
			}
		}()
		err := c.Next()
		switch {
		case c.IsAbandoned(), err != nil, c.RequestCtx().LastTimeoutErrorResponse() != nil: // an abandoned handler may still use c
			return err
		case c.RequestCtx().Hijacked():
			x.Discard(errHijacked)
		case x.Commit(c.Response().StatusCode()) != nil:
			err = refuse(c, &before.Header)
		}
		x.Finish()
		return err
	}
}

var errHijacked = errors.New("fprom: fiberadapter: the handler took the connection over; report such an event with Enqueue")

// Record is fprom.Record with the context of c's request. (c itself does not work as that context.)
func Record(c fiber.Ctx, events ...fprom.Event) error {
	return fprom.Record(c.Context(), events...)
}

// cookies copies the Cookie headers: Fiber reuses their memory for the next request.
func cookies(c fiber.Ctx) http.Header {
	h := http.Header{}
	for _, line := range c.Request().Header.PeekAll(fiber.HeaderCookie) {
		h.Add(fiber.HeaderCookie, string(line))
	}
	return h
}

// refuse replaces the handler's response by a 503. Headers that were set before the handler stay.
func refuse(c fiber.Ctx, before *fasthttp.ResponseHeader) error {
	c.Response().Reset()
	before.CopyTo(&c.Response().Header)
	c.Set(fiber.HeaderRetryAfter, "10")
	return c.Status(fiber.StatusServiceUnavailable).SendString(http.StatusText(http.StatusServiceUnavailable) + "\n")
}
