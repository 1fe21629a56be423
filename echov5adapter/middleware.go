// Package echov5adapter reports the sales of Echo handlers (Echo v5) to FirstPromoter. For Echo v4 see package echoadapter.
package echov5adapter

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/fprom-go/fprom"
)

// Middleware makes Record work in the handlers after it. If a handler succeeds, its recorded events are enqueued with t before the
// client sees the success. If t is nil, or a nil *fprom.Tracker, events are validated and dropped.
// It may stand before or after middleware.Recover.
//
// A handler succeeds if its status is a success (fprom.WithSuccess). A handler that returns an error before it has written anything
// has failed: Echo writes the error response later. So do not use echo.WrapMiddleware with nethttpadapter.Middleware: it would not
// see the error, take the status as 200, and pay the promoter for a declined card.
//
// Put this middleware outside of one that replaces Echo's response, such as Gzip and BodyDump. Inside of it, the status of a handler's
// write counts, though Echo may send another one: that of echo.Response, or with Gzip's MinLength that of an error after the write.
//
// The response is not changed unless fprom.WithFailClosed is given. Panics pass through, the request's body is not read, and no
// echo.Context is kept.
func Middleware(t fprom.Enqueuer, opts ...fprom.MiddlewareOption) echo.MiddlewareFunc {
	hook := fprom.NewHook(t, opts...)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			r, outer, set := c.Request(), c.Response(), c.SetResponse
			res, below := outer.(*echo.Response)
			if below { // the status that it sends may be another than the one it gets
				outer, set = res.ResponseWriter, func(w http.ResponseWriter) { res.ResponseWriter = w }
			}
			x := hook.Wrap(outer, r)
			inner := x.Writer()
			c.SetRequest(x.Request())
			set(inner)
			defer func() {
				x.Close()
				if below && res.ResponseWriter == inner || c.Response() == inner {
					set(outer)
				}
				if c.Request() == x.Request() {
					c.SetRequest(r)
				}
			}()
			err := next(c)
			sent, _ := echo.UnwrapResponse(c.Response())
			switch { // Discard does nothing if the response has left
			case err == nil:
			case sent != nil && sent.Committed: // Echo writes no error response any more
				x.Discard(fmt.Errorf("fprom: echov5adapter: the handler returned an error beside its response: %w", err))
			default:
				x.Discard(nil)
			}
			x.Finish()
			if below && x.Refused() { // access logs outside show the 503
				res.Status, res.Committed = http.StatusServiceUnavailable, true
			}
			return err
		}
	}
}

// Record is fprom.Record with the context of c's request.
func Record(c *echo.Context, events ...fprom.Event) error {
	return fprom.Record(c.Request().Context(), events...)
}
