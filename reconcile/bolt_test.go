package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/reconcile"
)

// What a real outbox remembers of the answers is enough, also where commissions have no event id.
func TestBoltqueue(t *testing.T) {
	t.Parallel()
	for name, company := range map[string]fpromtest.Company{"plain": {}, "null event ids": {NullEventIDs: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads(), fpromtest.WithCompany(company))
			q, err := boltqueue.Open(filepath.Join(t.TempDir(), "fprom.db"))
			if err != nil {
				t.Fatal(err)
			}
			cfg := fake.Config()
			cfg.Queue, cfg.RequestsPerMinute, cfg.Burst = q, 100_000, 1000
			tracker, err := fprom.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 60 {
				sale := fprom.Sale{EventID: fmt.Sprint("ch_", i), Email: fmt.Sprintf("c%d@example.com", i), Amount: 1000 + int64(i), Currency: "USD"}
				err := tracker.Enqueue(t.Context(), sale)
				for errors.Is(err, context.DeadlineExceeded) { // a slow disk took longer than a second
					err = tracker.Enqueue(t.Context(), sale)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := tracker.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			client, err := firstpromoter.New(firstpromoter.Config{BaseURL: fake.URL, APIKey: fake.APIKey, AccountID: fake.AccountID, Rate: 6000})
			if err != nil {
				t.Fatal(err)
			}
			now := time.Now().UTC()
			o := reconcile.Options{Client: client, Outbox: q, From: now.AddDate(0, 0, -1), To: now.AddDate(0, 0, 1), Full: true}
			if r, err := reconcile.Run(t.Context(), o); err != nil || !r.Clean() || r.Matched != 60 {
				t.Fatalf("%+v %v", r, err)
			}
			fake.Lose("ch_7")
			fake.Reprice("ch_9", 1)
			r, err := reconcile.Run(t.Context(), o)
			if err != nil || r.Matched != 58 {
				t.Errorf("%+v %v", r, err)
			}
			found(t, r, []string{"ch_7"}, nil, []string{"ch_9"}, nil)
			if err := tracker.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
