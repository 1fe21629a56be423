package fprom_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fprom-go/fprom"
)

// TestPrintedContext: a context that is printed, as some log lines do, shows no header of the request.
func TestPrintedContext(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer secret")
	r.Header.Set("Cookie", "session=secret")
	hook := fprom.NewHook(nil)
	x := hook.Wrap(httptest.NewRecorder(), r)
	defer x.Close()
	rec := hook.Begin(t.Context(), r.Header)
	defer rec.Close()
	derived, cancel := context.WithCancel(x.Request().Context())
	defer cancel()
	for _, v := range []any{x.Request().Context(), derived, context.WithoutCancel(derived), rec.Context(), rec, x} {
		for _, verb := range []string{"%v", "%+v", "%s", "%#v", "%d"} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, "secret") {
				t.Errorf("%s of a %T: %s", verb, v, text)
			}
		}
	}
}
