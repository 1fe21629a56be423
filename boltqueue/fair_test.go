package boltqueue_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
)

// TestFair: more events than can be tried again within a minute fail all the time, and older than the others; these are
// delivered all the same, and so are the second ones of their customers.
func TestFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := open(t, t.TempDir())
		var ms []fprom.Message
		for i := range 400 {
			ms = append(ms, sale(t, i, 100))
		}
		for i := range 20 {
			m := sale(t, "good"+string(rune('a'+i)), 100)
			m.Customer = string(rune('a' + i/2))
			ms = append(ms, m)
		}
		put(t, q, ms...)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
		defer cancel()
		workersOf.Store(q, 1)
		good, bad := 0, 0
		err := run(ctx, q, func(_ context.Context, m fprom.Message) error {
			time.Sleep(400 * time.Millisecond)
			if strings.HasPrefix(m.Key, "sale:good") {
				good++
				return nil
			}
			bad++
			return errors.New("again")
		})
		if err != nil || good != 20 {
			t.Errorf("Run: %v; %d events were delivered beside %d attempts at others, want 20", err, good, bad)
		}
		if bad < 1500 {
			t.Errorf("%d attempts at those that fail, want most of the time", bad)
		}
	})
}
