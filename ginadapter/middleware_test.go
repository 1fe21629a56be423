package ginadapter_test

import (
	"net/http"
	"os"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/ginadapter"
	"github.com/fprom-go/fprom/internal/adaptertest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	os.Exit(m.Run())
}

func wrap(t fprom.Enqueuer, h http.Handler, opts ...fprom.MiddlewareOption) http.Handler {
	e := gin.New()
	e.Use(ginadapter.Middleware(t, opts...))
	e.NoRoute(func(c *gin.Context) {
		c.Status(http.StatusOK)
		h.ServeHTTP(c.Writer, c.Request)
	})
	return e
}

func TestMatrix(t *testing.T) {
	t.Parallel()
	adaptertest.Run(t, wrap)
}

func TestMemory(t *testing.T) { // not parallel: it measures the process
	adaptertest.Memory(t, wrap)
}
