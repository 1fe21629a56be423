package backfill_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/backfill"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
)

// Through a real outbox to FirstPromoter, with a first part that was brought in before.
func TestThroughABoltqueue(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0))
	for i := range 100 {
		if i%4 > 0 {
			fake.AddLead(fmt.Sprintf("c%d@example.com", i))
		}
	}
	text := sales(100)
	q, err := boltqueue.Open(filepath.Join(t.TempDir(), "fprom.db"))
	if err != nil {
		t.Fatal(err)
	}
	o := backfill.Options{Format: minor, Outbox: q}
	half := strings.Join(strings.SplitAfter(text, "\n")[:51], "")
	if r, err := backfill.Run(t.Context(), strings.NewReader(half), o); err != nil || r.Queued != 50 {
		t.Fatalf("%+v %v", r, err)
	}
	time.Sleep(time.Millisecond)
	r, err := backfill.Run(t.Context(), strings.NewReader(text), o)
	if err != nil || r.Queued != 50 || r.Known != 50 {
		t.Fatalf("%+v %v", r, err)
	}
	cfg := fake.Config()
	cfg.Queue, cfg.RequestsPerMinute, cfg.Burst, cfg.Retry.NotFound = q, 100_000, 1000, []time.Duration{}
	tracker, err := fprom.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	out, err := backfill.Wait(t.Context(), q, r.Since, nil)
	if want := (backfill.Outcomes{Tracked: 75, NotReferral: 25}); err != nil || out != want {
		t.Errorf("%+v %v, want %+v", out, err, want)
	}
	if err := tracker.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
