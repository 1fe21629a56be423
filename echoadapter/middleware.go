// Package echoadapter reports the sales of Echo handlers (Echo v4) to FirstPromoter.
package echoadapter

import (
	"github.com/labstack/echo/v4"

	"github.com/fprom-go/fprom"
)

// Middleware makes Record work in the handlers after it: what a handler recorded is enqueued with t if it succeeds, before
// the client sees the success. If t is nil (also a nil *fprom.Tracker) events are validated and dropped.
//
// A handler succeeds if its status is a success (fprom.WithSuccess). One that returns an error before it has written
// anything has failed: Echo makes the response of the error later. That is why echo.WrapMiddleware with
// nethttpadapter.Middleware is wrong: there the middleware sees no error, takes silence for 200, and pays the promoter for a
// declined card.
//
// The response is untouched unless fprom.WithFailClosed is given, panics pass through, the request's body is not read, and
// no echo.Context is kept. It may stand before or after middleware.Recover.
func Middleware(t fprom.Enqueuer, opts ...fprom.MiddlewareOption) echo.MiddlewareFunc {
	hook := fprom.NewHook(t, opts...)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r, res := c.Request(), c.Response()
			x := hook.Wrap(res.Writer, r)
			outer, inner := res.Writer, x.Writer()
			c.SetRequest(x.Request())
			res.Writer = inner
			defer func() {
				x.Close()
				if res.Writer == inner {
					res.Writer = outer
				}
				if c.Request() == x.Request() {
					c.SetRequest(r)
				}
			}()
			err := next(c)
			if err != nil {
				x.Discard(nil) // unless the response has left
			}
			x.Finish()
			return err
		}
	}
}

// Record is fprom.Record with the context of c's request.
func Record(c echo.Context, events ...fprom.Event) error {
	return fprom.Record(c.Request().Context(), events...)
}
