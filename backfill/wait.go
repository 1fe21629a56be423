package backfill

import (
	"context"
	"fmt"
	"time"

	"github.com/fprom-go/fprom"
)

// Outcomes counts the queued rows by their outcome.
type Outcomes struct {
	Tracked     int `json:"tracked"`
	NotReferral int `json:"not_referral"`
	Duplicate   int `json:"duplicate"`
	Dead        int `json:"dead"`
}

// Wait returns when no bulk event waits in the outbox any more. It returns the outcomes of the bulk events that were put since
// a time (Result.Since). A service must deliver meanwhile. progress, if set, is called every second with the number of waiting
// bulk events. The error is that of ctx or of the outbox.
func Wait(ctx context.Context, outbox fprom.Outbox, since time.Time, progress func(waiting int)) (Outcomes, error) {
	for {
		stats, err := outbox.Stats(ctx)
		switch {
		case err != nil:
			return Outcomes{}, fmt.Errorf("fprom: wait for the outbox: %w", err)
		case progress != nil:
			progress(stats.Bulk)
		}
		if stats.Bulk == 0 {
			return outcomes(ctx, outbox, since)
		}
		select {
		case <-ctx.Done():
			return Outcomes{}, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func outcomes(ctx context.Context, outbox fprom.Outbox, since time.Time) (Outcomes, error) {
	var b fprom.Bucket
	for e, err := range outbox.Entries(ctx, fprom.Filter{Since: since}) {
		if err != nil {
			return Outcomes{}, fmt.Errorf("fprom: count the outcomes: %w", err)
		}
		if e.Bulk {
			b.Add(e.State, e.Outcome)
		}
	}
	return Outcomes{Tracked: b.Tracked, NotReferral: b.NotReferral, Duplicate: b.Duplicate, Dead: b.Dead}, nil
}
