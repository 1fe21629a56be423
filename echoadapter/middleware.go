// Package echoadapter reports the sales of Echo handlers (Echo v4) to FirstPromoter. For Echo v5 see package echov5adapter.
package echoadapter

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/fprom-go/fprom"
)

// Middleware makes Record work in the handlers after it. If a handler succeeds, its recorded events are enqueued with t before the
// client sees the success. If t is nil, or a nil *fprom.Tracker, events are validated and dropped.
// It may stand before or after middleware.Recover.
//
// A handler succeeds if its status is a success (fprom.WithSuccess). A handler that returns an error before it has written anything
// has failed: Echo writes the error response later. So do not use echo.WrapMiddleware with nethttpadapter.Middleware: it would not
// see the error, take the status as 200, and pay the promoter for a declined card. Put this middleware inside of Echo's Timeout,
// which answers 503 when the client is gone: outside, the sale of a customer who closes the page would be discarded.
//
// The response is not changed unless fprom.WithFailClosed is given. Panics pass through, the request's body is not read, and no
// echo.Context is kept.
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
			switch { // Discard does nothing if the response has left
			case err == nil:
			case res.Committed: // Echo writes no error response any more
				x.Discard(fmt.Errorf("fprom: echoadapter: the handler returned an error beside its response: %w", err))
			default:
				x.Discard(nil)
			}
			x.Finish()
			if x.Refused() { // access logs outside show the 503, and Echo's Timeout sends it
				res.Status, res.Committed, err = http.StatusServiceUnavailable, true, nil
			}
			return err
		}
	}
}

// Record is fprom.Record with the context of c's request.
func Record(c echo.Context, events ...fprom.Event) error {
	return fprom.Record(c.Request().Context(), events...)
}
