package fpromtest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
)

// recorder is a testing.TB that keeps what is logged, and runs its cleanups when it is told.
type recorder struct {
	testing.TB
	out      bytes.Buffer
	cleanups []func()
}

func (r *recorder) Output() io.Writer               { return &r.out }
func (r *recorder) Cleanup(f func())                { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Logf(format string, args ...any) { fmt.Fprintf(&r.out, format, args...) }

func TestNewTracker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithAllLeads())
		tb := &recorder{TB: t}
		tracker := fpromtest.NewTracker(tb, fake, func(c *fprom.Config) { c.Workers = 1 })
		start := time.Now()
		for i := range 100 {
			sale := fprom.Sale{EventID: strconv.Itoa(i), Email: "jane@example.com", Amount: 1000}
			if err := tracker.Enqueue(t.Context(), sale); err != nil {
				t.Fatal(err)
			}
		}
		if err := tracker.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 200*time.Millisecond {
			t.Errorf("100 sales took %v", took)
		}
		for _, f := range tb.cleanups {
			f()
		}
		if n := len(fake.Commissions()); n != 100 {
			t.Errorf("%d commissions, want 100", n)
		}
		if err := tracker.Enqueue(t.Context(), fprom.Sale{EventID: "late", Email: "jane@example.com", Amount: 1}); !errors.Is(err, fprom.ErrClosed) {
			t.Errorf("Enqueue after the end of the test: %v, want ErrClosed", err)
		}
		if log := tb.out.String(); !strings.Contains(log, "fprom") {
			t.Errorf("logged to the test: %q", log)
		}
	})
}

// Whoever calls what the fake does not have is told at the end of the test.
func TestEndpointsThatTheFakeDoesNotHave(t *testing.T) {
	t.Parallel()
	tb := &recorder{TB: t}
	s := fpromtest.NewServer(tb, fpromtest.InMemory())
	company(t, s, "promoters", func(*http.Request) {})
	company(t, s, "promoters", func(*http.Request) {})
	company(t, s, "campaigns", func(*http.Request) {})
	company(t, s, "commissions", func(r *http.Request) { r.Method = http.MethodPost })
	for _, f := range tb.cleanups {
		f()
	}
	if log := tb.out.String(); !strings.Contains(log, "404: GET /api/v2/company/promoters, POST /api/v2/company/commissions;") {
		t.Errorf("logged to the test: %q", log)
	}
}
