package reconcile_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/memoutbox"
	"github.com/fprom-go/fprom/reconcile"
)

// A service compares every night, and says what it found.
func TestNightly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithAllLeads())
		box := memoutbox.New()
		cfg := fake.Config()
		cfg.Queue = box
		tracker, err := fprom.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		client, err := firstpromoter.New(firstpromoter.Config{BaseURL: fake.URL, APIKey: fake.APIKey, AccountID: fake.AccountID, HTTPClient: cfg.HTTPClient})
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		var nights []reconcile.Report
		n := &reconcile.Nightly{Client: client, Outbox: box, Logger: slog.New(slog.NewTextHandler(&log, nil)), Done: func(r reconcile.Report, err error) {
			if err != nil {
				t.Error(err)
			}
			nights = append(nights, r)
		}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- n.Run(ctx) }()
		for _, id := range []string{"ch_1", "ch_2"} {
			if err := tracker.Enqueue(t.Context(), fprom.Sale{EventID: id, Email: id + "@example.com", Amount: 100}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(28 * time.Hour)
		synctest.Wait()
		if got := n.Last(); len(nights) != 3 || !got.Report.Clean() || got.Err != nil || got.Report.Matched != 2 || log.Len() > 0 {
			t.Fatalf("%d nights, %+v, %s", len(nights), got, log.String())
		}
		fake.Lose("ch_2")
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if got := n.Last(); len(nights) != 4 || len(got.Report.Missing) != 1 || !strings.Contains(log.String(), "missing=1") {
			t.Errorf("%d nights, %+v, %s", len(nights), got, log.String())
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := tracker.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// What somebody deleted on purpose is not missing.
func TestDeletedIsNotMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fpromtest.Company{}, 1, 20)
	o := w.options(t)
	o.Outbox, o.Full = w.outbox(t), true
	deleted := map[int64]bool{}
	for _, c := range w.fake.Commissions() {
		deleted[c.ID] = c.EventID == "ch_0_5"
	}
	o.Decided = func(id int64) string { return map[bool]string{true: "deleted"}[deleted[id]] }
	w.fake.Lose("ch_0_5")
	w.fake.Lose("ch_0_6")
	w.fake.Deny("ch_0_7")
	r, err := reconcile.Run(t.Context(), o)
	if err != nil || len(r.Denied) != 2 || r.Denied[0].Status+r.Denied[1].Status != "denieddeleted" {
		t.Errorf("%+v %v", r.Denied, err)
	}
	found(t, r, []string{"ch_0_6"}, nil, nil, nil)
}
