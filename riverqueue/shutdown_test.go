package riverqueue_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/riverqueue"
)

// heldCalls tells of each call as it begins, and holds it until release is closed.
type heldCalls struct{ begun, release chan struct{} }

func (c heldCalls) RoundTrip(r *http.Request) (*http.Response, error) {
	c.begun <- struct{}{}
	select {
	case <-c.release:
		return http.DefaultTransport.RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// TestShutdown: the call under way when the Tracker is shut down has its time to end, nothing new is begun, and the rest is
// left to another replica.
func TestShutdown(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
	fake.Inject(fpromtest.Delay(time.Second).Times(1))
	calls := heldCalls{make(chan struct{}, 10), make(chan struct{})}
	tracker := func() *fprom.Tracker {
		q, _ := open(t, cfg)
		c := fake.Config()
		c.Queue, c.RequestsPerMinute, c.Workers, c.Timeout, c.Logger = q, 6000, 1, time.Minute, slog.New(slog.DiscardHandler)
		c.HTTPClient = &http.Client{Transport: calls}
		tr, err := fprom.New(c)
		if err != nil {
			t.Fatal(err)
		}
		return tr
	}
	first := tracker()
	enqueue(t, first, sale("1", "ann", 100), sale("2", "ben", 100))
	<-calls.begun
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- first.Shutdown(ctx) }()
	waitFor(t, "Shutdown to begin", func() bool { return errors.Is(first.Enqueue(ctx, sale("1", "ann", 100)), fprom.ErrClosed) })
	close(calls.release)
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	q, _ := open(t, cfg)
	es := entriesOf(t, q, fprom.Filter{})
	if len(es) != 2 || es[0].State != fprom.StateDone || es[0].Attempts != 1 || es[1].State != fprom.StateWaiting || es[1].Attempts != 0 {
		t.Errorf("entries after Shutdown: %+v; want the first done and the second untouched", es)
	}
	second := tracker()
	flush(t, q)
	if err := second.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if n, sent := len(fake.Commissions()), len(fake.Requests()); n != 2 || sent != 2 {
		t.Errorf("%d commissions by %d calls, want 2 by 2", n, sent)
	}
}

// TestRunEndsAfterItsDeliveries: a delivery that lasts longer than what Run leaves River to end is over, and its outcome stored, when
// Run returns: the pool may be closed then. One that is told meanwhile to wait does wait.
func TestRunEndsAfterItsDeliveries(t *testing.T) {
	t.Parallel()
	q, _ := open(t, riverqueue.Config{})
	put(t, q, sale("1", "ann", 100), sale("2", "ben", 100))
	begun := make(chan struct{}, 2)
	stop := start(t, q, func(ctx context.Context, m fprom.Message) error {
		begun <- struct{}{}
		if m.Key == "sale:2" {
			<-ctx.Done()
			return &fprom.APIError{StatusCode: 503, RetryAfter: 15 * time.Minute}
		}
		time.Sleep(7 * time.Second)
		return nil
	})
	<-begun
	<-begun
	stop()
	e := entriesOf(t, q, fprom.Filter{})
	if len(e) != 2 || e[0].State != fprom.StateDone || e[1].State != fprom.StateWaiting || time.Until(e[1].NextAttempt) < 10*time.Minute {
		t.Errorf("entries after Run: %+v, want the first done, and the second to wait for 15 min", e)
	}
}
