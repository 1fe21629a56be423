// Package nethttpadapter reports the sales of net/http handlers to FirstPromoter, also behind routers such as chi or
// gorilla/mux.
//
// Frameworks whose handlers return an error need an adapter of their own, because they make the response of the error after
// this middleware has returned: it sees silence, which is 200. With echo.WrapMiddleware it would pay promoters for declined
// cards; for Echo there is echoadapter, for Fiber fiberadapter, for Gin ginadapter.
package nethttpadapter

import (
	"net/http"

	"github.com/fprom-go/fprom"
)

// Middleware wraps handlers, so that fprom.Record works with their requests' contexts: what a handler recorded is
// enqueued with t if the handler succeeds, before the client sees the success. If t is nil (also a nil *fprom.Tracker)
// events are validated and dropped.
//
// The handler's response is untouched unless fprom.WithFailClosed is given, panics pass through, and the request's body is
// not read. Where middlewares are nested, the innermost one takes the events. An outer middleware that buffers the response
// and turns a success into an error afterwards comes too late: put this one outside of it.
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
