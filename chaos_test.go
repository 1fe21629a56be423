package fprom_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
)

// Whatever goes wrong on the way, over restarts too: every accepted event is one commission in the end, those of one
// customer in their order, and FirstPromoter's limit is never met.
func TestChaos(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			bubble(t, func(t *testing.T) { chaos(t, seed) })
		})
	}
}

func chaos(t *testing.T, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, seed))
	fake := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithAllLeads(), fpromtest.WithSeed(seed))
	all := []fpromtest.Fault{
		fpromtest.Status(500), fpromtest.Status(500).AfterProcessing(), fpromtest.Reset(), fpromtest.Reset().AfterProcessing(),
		fpromtest.Hang(), fpromtest.Delay(5 * time.Second), fpromtest.Garbage(), fpromtest.TruncatedBody(), fpromtest.SlowBody(20 * time.Second),
		fpromtest.HugeBody(1 << 20), fpromtest.NotFoundPage(), fpromtest.Redirect(307), fpromtest.Status(401), fpromtest.Status(408),
		fpromtest.Status(429).RetryAfter("-1"), fpromtest.Status(503).RetryAfter("7"),
	}
	for range 5 { // outages of several kinds, one after the other and at once
		f := all[rng.IntN(len(all))]
		fake.Inject(f.Chance(0.1 + 0.9*rng.Float64()).For(time.Duration(1+rng.IntN(120)) * time.Second))
	}
	var accepted []string
	var pending []fprom.Event
	for process := range 3 {
		cfg := fake.Config()
		cfg.Logger, cfg.Workers = slog.New(slog.DiscardHandler), 1+rng.IntN(16)
		tracker, err := fprom.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range pending { // what the process before handed back
			enqueue(t, tracker, e)
		}
		var wg sync.WaitGroup
		for n := range 40 {
			id := fmt.Sprintf("%d-%d", process, n)
			accepted = append(accepted, "sale "+id, "refund "+id)
			s := fprom.Sale{EventID: id, Email: fmt.Sprintf("c%d@example.com", n%10), Amount: 1000, Currency: "USD"}
			enqueue(t, tracker, s)
			wg.Go(func() { enqueue(t, tracker, s) }) // its webhook comes twice
			if rng.IntN(4) == 0 {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
					defer cancel()
					_, _ = tracker.Track(ctx, s)
				})
			}
			enqueue(t, tracker, fprom.Refund{EventID: id, Email: s.Email, Amount: 500, Currency: "USD", SaleEventID: id})
			time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
		}
		wg.Wait()
		limit := time.Duration(rng.IntN(60)) * time.Second
		if process == 2 {
			limit = 2 * time.Hour
		}
		pending = handedBack(t, tracker, limit)
	}
	checkChaos(t, fake, accepted, pending)
}

// handedBack shuts the tracker down and returns what it could not deliver.
func handedBack(t *testing.T, tracker *fprom.Tracker, limit time.Duration) []fprom.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var left *fprom.UndeliveredError
	if err := tracker.Shutdown(ctx); errors.As(err, &left) {
		return left.Events
	} else if err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	return nil
}

func checkChaos(t *testing.T, fake *fpromtest.Server, accepted []string, pending []fprom.Event) {
	t.Helper()
	if len(pending) > 0 {
		t.Errorf("%d events are undelivered at the end", len(pending))
	}
	var got []string
	for _, c := range fake.Commissions() {
		got = append(got, c.Kind+" "+c.EventID)
	}
	for i, key := range got {
		if slices.Contains(got[:i], key) {
			t.Errorf("two commissions of %s", key)
		}
		if kind, id, _ := strings.Cut(key, " "); kind == "refund" && !slices.Contains(got[:i], "sale "+id) {
			t.Errorf("the refund %s overtook its sale", id)
		}
	}
	for _, key := range accepted {
		if !slices.Contains(got, key) {
			t.Errorf("%s was accepted and is not registered", key)
		}
	}
	if n := fake.MaxInWindow(time.Minute); n > fpromtest.DefaultRateLimit {
		t.Errorf("%d requests in a minute", n)
	}
	if n := len(fake.Trapped()); n > 0 {
		t.Errorf("%d redirects were followed", n)
	}
}
