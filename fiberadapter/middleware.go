// Package fiberadapter reports the sales of Fiber handlers (Fiber v3) to FirstPromoter.
package fiberadapter

import (
	"net/http"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/fprom-go/fprom"
)

// Middleware makes Record work in the handlers after it: what a handler recorded is enqueued with t if it succeeds, before
// the client sees the success. If t is nil (also a nil *fprom.Tracker) events are validated and dropped.
//
// A handler succeeds if the chain returns no error and its status is a success (fprom.WithSuccess). One that returns an error
// has failed: Fiber makes the response of the error later. So has one that Fiber's timeout middleware has given up. Fiber sends nothing before the chain has returned, so everything
// is accepted before; the function of SendStreamWriter runs after that, and can record nothing. A middleware further out that
// changes the status comes too late: put this one outside of it. It may stand before or after Fiber's recover middleware.
//
// The response is untouched unless fprom.WithFailClosed is given, panics pass through, the request's body is not read, and
// no fiber.Ctx is kept.
func Middleware(t fprom.Enqueuer, opts ...fprom.MiddlewareOption) fiber.Handler {
	hook := fprom.NewHook(t, opts...)
	return func(c fiber.Ctx) error {
		before := fasthttp.AcquireResponse()
		defer fasthttp.ReleaseResponse(before)
		c.Response().Header.CopyTo(&before.Header)
		ctx := c.Context()
		rec := hook.Begin(ctx, cookies(c))
		c.SetContext(rec.Context())
		defer func() {
			rec.Close()
			if !c.IsAbandoned() {
				c.SetContext(ctx)
			}
		}()
		err := c.Next()
		switch {
		case c.IsAbandoned(), err != nil, c.RequestCtx().Hijacked(): // abandoned: it took too long, and its handler may still use c
			return err
		case rec.Commit(c.Response().StatusCode()) != nil:
			err = refuse(c, &before.Header)
		}
		rec.Finish()
		return err
	}
}

// Record is fprom.Record with the context of c's request. (c itself is a context that does not lead there.)
func Record(c fiber.Ctx, events ...fprom.Event) error {
	return fprom.Record(c.Context(), events...)
}

// cookies are copies: Fiber's strings become those of the next request.
func cookies(c fiber.Ctx) http.Header {
	lines := c.Request().Header.PeekAll(fiber.HeaderCookie)
	if len(lines) == 0 {
		return nil
	}
	h := http.Header{}
	for _, line := range lines {
		h.Add(fiber.HeaderCookie, string(line))
	}
	return h
}

// refuse answers 503 in place of the handler's response; of the header what was there before stays.
func refuse(c fiber.Ctx, before *fasthttp.ResponseHeader) error {
	c.Response().Reset()
	before.CopyTo(&c.Response().Header)
	c.Set(fiber.HeaderRetryAfter, "10")
	return c.Status(fiber.StatusServiceUnavailable).SendString(http.StatusText(http.StatusServiceUnavailable) + "\n")
}
