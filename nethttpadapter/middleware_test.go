package nethttpadapter_test

import (
	"net/http"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/adaptertest"
	"github.com/fprom-go/fprom/nethttpadapter"
)

func wrap(t fprom.Enqueuer, h http.Handler, opts ...fprom.MiddlewareOption) http.Handler {
	return nethttpadapter.Middleware(t, opts...)(h)
}

func TestMatrix(t *testing.T) {
	t.Parallel()
	adaptertest.Run(t, wrap)
}

func TestMemory(t *testing.T) { // not parallel: it measures the process
	adaptertest.Memory(t, wrap)
}
