// Package nethttpadapter reports the sales of net/http handlers to FirstPromoter. It also works with routers such as chi and
// gorilla/mux.
//
// Do not use it with a framework whose handlers return an error. Such a framework writes the error response after this middleware has
// returned. The middleware sees a handler that wrote nothing, which means 200: with echo.WrapMiddleware it would pay promoters for
// declined cards. Use echoadapter or echov5adapter for Echo, fiberadapter for Fiber, and ginadapter for Gin.
package nethttpadapter

import (
	"net/http"

	"github.com/fprom-go/fprom"
)

// Middleware wraps a handler, so that fprom.Record works with the context of its request. If the handler succeeds, its recorded
// events are enqueued with t before the client sees the success. If t is nil, or a nil *fprom.Tracker, events are validated and
// dropped.
//
// The response is not changed unless fprom.WithFailClosed is given. Panics pass through, and the request's body is not read. If
// middlewares are nested, the innermost one takes the events.
//
// Put this middleware outside of one that may turn a success, or an empty response, into an error, such as chi's Timeout. Put it inside
// of one that makes a panic look like a success: sentryhttp without Repanic answers 200, and gorilla's CompressHandler writes while the
// handler panics. Put it inside of http.TimeoutHandler, too, which answers 503 when the client is gone: outside, the sale of a customer
// who closes the page would be discarded.
//
// Over gRPC and gRPC-Web an error has the status 200, and so have errors of Connect's streams. Call Record there as the last thing before
// the method returns its success.
func Middleware(t fprom.Enqueuer, opts ...fprom.MiddlewareOption) func(http.Handler) http.Handler {
	hook := fprom.NewHook(t, opts...)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			x := hook.Wrap(w, r)
			defer x.Close()
			next.ServeHTTP(x.Writer(), x.Request())
			x.Finish()
		})
	}
}
