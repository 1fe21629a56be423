package queuetest

import (
	"context"
	"log/slog"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
)

// Results of deliver in the cases.

func done() (fprom.Result, error) { return fprom.Result{Outcome: fprom.Tracked, StatusCode: 200}, nil }

func failed(err error) (fprom.Result, error) { return fprom.Result{Outcome: fprom.Undelivered}, err }

func rejected() (fprom.Result, error) {
	return fprom.Result{Outcome: fprom.Rejected, StatusCode: 400},
		&fprom.APIError{StatusCode: 400, Message: "Error. Amount blank or invalid."}
}

// The errors below come from a real Tracker, so that the cases use the errors that queues really get.

// retryError returns the error of a failed attempt that is due again within milliseconds.
func retryError(t *testing.T) error {
	t.Helper()
	return trackerError(t, func(cfg *fprom.Config, fake *fpromtest.Server) {
		cfg.Retry.Base, cfg.Retry.Max = 2*time.Millisecond, 5*time.Millisecond
		fake.Inject(fpromtest.Status(500))
	}, func(err error) bool {
		return err != nil && !fprom.IsHeld(err) && !fprom.IsPermanent(err) && !fprom.IsSetAside(err)
	})
}

// heldError returns the error of a held event. It is due again in 20 ms, and the attempt does not count.
func heldError(t *testing.T) error {
	t.Helper()
	return trackerError(t, func(cfg *fprom.Config, _ *fpromtest.Server) {
		cfg.RequestsPerMinute = 1_000_000 // no wait before the call
		cfg.Retry.NotFound = []time.Duration{20 * time.Millisecond}
	}, fprom.IsHeld)
}

// setAsideError returns the error of an event that the Tracker sets aside, because it fails while others succeed.
func setAsideError(t *testing.T) error {
	t.Helper()
	return trackerError(t, func(_ *fprom.Config, fake *fpromtest.Server) {
		fake.AddLead("other@example.com")
		fake.Inject(fpromtest.Status(500).OnEvent("bad"))
	}, fprom.IsSetAside)
}

// trackerError lets a Tracker deliver an event in a bubble until its error is the wanted one.
func trackerError(t *testing.T, prepare func(*fprom.Config, *fpromtest.Server), want func(error) bool) error {
	t.Helper()
	var err error
	synctest.Test(t, func(t *testing.T) {
		fake := fpromtest.NewServer(t, fpromtest.InMemory())
		cfg := fake.Config()
		cfg.Logger = slog.New(slog.DiscardHandler)
		prepare(&cfg, fake)
		q := captureQueue{fprom.NewMemoryQueue(0), make(chan deliverFunc, 1)}
		cfg.Queue = q
		tracker, newErr := fprom.New(cfg)
		if newErr != nil {
			t.Fatal(newErr)
		}
		t.Cleanup(func() {
			if err := tracker.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
		deliver := <-q.deliver
		start := time.Now()
		for n := 1; ; n++ {
			if _, err = deliver(t.Context(), saleNow(t, "bad", "ann@example.com", n)); want(err) {
				break
			}
			if time.Since(start) > 3*time.Hour {
				t.Fatalf("in three hours a Tracker has not told its queue what this case needs, only %v", err)
			}
			<-time.After(time.Minute) // in the bubble
			_, _ = deliver(t.Context(), saleNow(t, "other"+strconv.Itoa(n), "other@example.com", 1))
		}
	})
	return err
}

// saleNow returns the message of a sale for its nth delivery. Its referral id is unknown.
func saleNow(t *testing.T, id, email string, n int) fprom.Message {
	t.Helper()
	m, err := fprom.NewMessage(fprom.Sale{EventID: id, Email: email, Amount: 100, RefID: "nobody"})
	if err != nil {
		t.Fatal(err)
	}
	m.Attempt = n
	return m
}

// captureQueue captures the deliver function of its Tracker, and delivers nothing.
type captureQueue struct {
	fprom.Queue
	deliver chan deliverFunc
}

func (q captureQueue) Run(ctx context.Context, _ int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	q.deliver <- deliver
	<-ctx.Done()
	return nil
}
