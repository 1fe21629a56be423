// Package ginadapter reports the sales of Gin handlers to FirstPromoter.
package ginadapter

import (
	"github.com/gin-gonic/gin"

	"github.com/fprom-go/fprom"
)

// Middleware makes Record work in the handlers after it. If a handler succeeds, its recorded events are enqueued with t before the
// client sees the success. If t is nil, or a nil *fprom.Tracker, events are validated and dropped.
// It may stand before or after gin.Recovery.
//
// A handler succeeds if the chain returns normally with a success status (fprom.WithSuccess) and c.Errors is empty. The status is
// final with the first byte, or when the chain returns to this middleware. If c.Errors is set by then, nothing is sent: a middleware
// outside may turn the errors into the response. So do not use c.Error for a note beside a success: the sale is not sent, and the
// log says why. Put this middleware outside of one that turns a response into an error by other means than c.Errors, such
// as gin-contrib/timeout (inside of it WithFailClosed cannot change the status). Put it inside of one that makes a panic
// look like a success, such as sentrygin without Repanic.
//
// The response is not changed unless fprom.WithFailClosed is given. Panics pass through, the request's body is not read, and no
// *gin.Context is kept.
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

// Record is fprom.Record with the context of c's request. (c itself works as that context only with gin.Engine's
// ContextWithFallback.)
func Record(c *gin.Context, events ...fprom.Event) error {
	return fprom.Record(c.Request.Context(), events...)
}
