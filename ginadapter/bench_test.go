package ginadapter_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/fprom-go/fprom/ginadapter"
)

// nullWriter is a ResponseWriter that does nothing.
type nullWriter struct{ header http.Header }

func (w nullWriter) Header() http.Header         { return w.header }
func (w nullWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w nullWriter) WriteHeader(int)             {}

var thanks = []byte("thank you")

// engines are a bare one and one with the middleware, whose handlers record nothing.
func engines() (bare, wrapped http.Handler) {
	handler := func(c *gin.Context) { _, _ = c.Writer.Write(thanks) }
	b, w := gin.New(), gin.New()
	b.POST("/checkout", handler)
	w.Use(ginadapter.Middleware(nil))
	w.POST("/checkout", handler)
	return b, w
}

func BenchmarkMiddleware(b *testing.B) {
	w, r := nullWriter{http.Header{}}, httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/checkout", http.NoBody)
	bare, wrapped := engines()
	for _, bb := range []struct {
		name    string
		handler http.Handler
	}{{"bare", bare}, {"wrapped", wrapped}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bb.handler.ServeHTTP(w, r)
			}
		})
	}
}
