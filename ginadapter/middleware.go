// Package ginadapter reports the sales of Gin handlers to FirstPromoter.
package ginadapter

import (
	"github.com/gin-gonic/gin"

	"github.com/fprom-go/fprom"
)

// Middleware makes Record work in the handlers after it: what a handler recorded is enqueued with t if it succeeds, before
// the client sees the success. If t is nil (also a nil *fprom.Tracker) events are validated and dropped. It may stand
// before or after gin.Recovery.
//
// A handler succeeds if the chain returns normally with a success status (fprom.WithSuccess) and without errors: with
// c.Errors set when the status is decided, nothing is sent, because a middleware further out may turn them into the response.
// Do not use c.Error for a note beside a success: the sale is not sent, and a warning in the log says why. The status is
// decided by the first byte, or when the chain returns to this middleware. A middleware further out that makes an
// error of a response without a body by other means than c.Errors comes too late: put this one outside of it.
//
// The response is untouched unless fprom.WithFailClosed is given, panics pass through, the request's body is not read, and
// no *gin.Context is kept.
func Middleware(t fprom.Enqueuer, opts ...fprom.MiddlewareOption) gin.HandlerFunc {
	hook := fprom.NewHook(t, opts...)
	return func(c *gin.Context) {
		x := hook.Wrap(c.Writer, c.Request)
		w := &writer{ResponseWriter: c.Writer, x: x, c: c}
		defer w.end(c.Request)
		c.Writer, c.Request = w, x.Request()
		c.Next()
		w.finish()
	}
}

// Record is fprom.Record with the context of c's request. (c itself is a context that leads there only with
// gin.Engine's ContextWithFallback.)
func Record(c *gin.Context, events ...fprom.Event) error {
	return fprom.Record(c.Request.Context(), events...)
}
