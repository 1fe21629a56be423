package backfill

import (
	"context"
	"fmt"
	"time"

	"github.com/fprom-go/fprom"
)

// Outcomes counts what FirstPromoter said to the rows that were queued.
type Outcomes struct {
	Tracked     int `json:"tracked"`
	NotReferral int `json:"not_referral"`
	Duplicate   int `json:"duplicate"`
	Dead        int `json:"dead"`
}

// Wait returns when no bulk event waits in the outbox any more, with the outcomes of those put since a time (Result.Since).
// Something must deliver meanwhile. progress, if set, gets the number of bulk events that wait, every second. The error is
// ctx's or the outbox's.
func Wait(ctx context.Context, outbox fprom.Outbox, since time.Time, progress func(waiting int)) (Outcomes, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		stats, err := outbox.Stats(ctx)
		if err != nil {
			return Outcomes{}, fmt.Errorf("fprom: wait for the outbox: %w", err)
		}
		if progress != nil {
			progress(stats.Bulk)
		}
		if stats.Bulk == 0 {
			return outcomes(ctx, outbox, since)
		}
		select {
		case <-ctx.Done():
			return Outcomes{}, ctx.Err()
		case <-tick.C:
		}
	}
}

func outcomes(ctx context.Context, outbox fprom.Outbox, since time.Time) (o Outcomes, err error) {
	for e, err := range outbox.Entries(ctx, fprom.Filter{Since: since}) {
		switch {
		case err != nil:
			return o, fmt.Errorf("fprom: count the outcomes: %w", err)
		case !e.Bulk:
		case e.State == fprom.StateDead:
			o.Dead++
		case e.Outcome == fprom.Tracked:
			o.Tracked++
		case e.Outcome == fprom.NotReferral:
			o.NotReferral++
		case e.Outcome == fprom.Duplicate:
			o.Duplicate++
		}
	}
	return o, nil
}
