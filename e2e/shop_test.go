//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/statuspage"
)

// TestFromDeadLetterToCommission is an operator's day: a sale is refused, the page says so, the button sends it again, and
// the promoter has the commission.
func TestFromDeadLetterToCommission(t *testing.T) {
	fake := fpromtest.NewServer(t, fpromtest.WithAllLeads())
	fake.Inject(fpromtest.Status(http.StatusBadRequest).Times(1))
	outbox, err := boltqueue.Open(filepath.Join(t.TempDir(), "fprom.db"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := fake.Config()
	cfg.Queue, cfg.Logger = outbox, slog.New(slog.DiscardHandler)
	tracker, err := fprom.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tracker.Shutdown(context.WithoutCancel(t.Context())) })
	h, err := statuspage.Handler(tracker, statuspage.Options{Public: true, Writable: true})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)

	sale := fprom.Sale{EventID: "ch_1", Email: "jane@example.com", Amount: 4900, Currency: "USD"}
	err = tracker.Enqueue(t.Context(), sale)
	for errors.Is(err, context.DeadlineExceeded) { // a slow disk took longer than a second
		err = tracker.Enqueue(t.Context(), sale)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := tracker.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(fake.Commissions()); n != 0 {
		t.Fatalf("%d commissions before the redrive", n)
	}
	p := open(t, looks[0])
	p.do(chromedp.Navigate(server.URL), chromedp.WaitVisible(chromedp.CSS("#dead li")))
	p.await("h1", "Something needs a look.")
	p.await("#dead li p", "400 Bad Request")
	p.do(chromedp.Click(chromedp.CSS(`#dead li button[value=redrive]`)))
	p.await("h1", "All is well. Every event has arrived.")
	p.await("#dead", "None.")
	if got := fake.Commissions(); len(got) != 1 || got[0].EventID != "ch_1" {
		t.Errorf("commissions: %+v, want one for ch_1", got)
	}
	p.clean(server.URL)
}
