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

func outcomesOf(b fprom.Bucket) Outcomes {
	return Outcomes{Tracked: b.Tracked, NotReferral: b.NotReferral, Duplicate: b.Duplicate, Dead: b.Dead}
}

// Wait returns when no bulk event waits in the outbox any more. It returns the outcomes of the bulk events that were put since
// a time (Result.Since). A service must deliver meanwhile. progress, if set, is called every second with the number of waiting
// bulk events and the outcomes of all events since Wait began, including live ones. The error is that of ctx or of the outbox.
func Wait(ctx context.Context, outbox fprom.Outbox, since time.Time, progress func(waiting int, settled Outcomes)) (Outcomes, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	count := tally{from: time.Now().Truncate(time.Second)}
	for {
		stats, err := outbox.Stats(ctx)
		if err == nil && progress != nil {
			var settled Outcomes
			if settled, err = count.until(ctx, outbox, time.Now()); err == nil {
				progress(stats.Bulk, settled)
			}
		}
		if err != nil {
			return Outcomes{}, fmt.Errorf("fprom: wait for the outbox: %w", err)
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

// tally counts the outcomes since a time. It reads only the last seconds again: an outcome gets its time before it is stored.
type tally struct {
	done fprom.Bucket // the outcomes before from
	from time.Time    // a whole second
}

const (
	stored = 10 * time.Second   // an outcome is stored this soon
	piece  = 5000 * time.Second // read at once: History has a limit, and the machine may have slept
)

func (t *tally) until(ctx context.Context, outbox fprom.Outbox, now time.Time) (Outcomes, error) {
	sum := t.done
	for from := t.from; from.Before(now); from = from.Add(piece) {
		to := from.Add(min(piece, now.Sub(from)))
		buckets, err := outbox.History(ctx, from, to, time.Second)
		if err != nil {
			return Outcomes{}, err
		}
		for _, b := range buckets {
			sum.Tracked += b.Tracked
			sum.NotReferral += b.NotReferral
			sum.Duplicate += b.Duplicate
			sum.Dead += b.Dead
			if end := b.Start.Add(time.Second); now.Sub(end) > stored {
				t.done, t.from = sum, end
			}
		}
	}
	return outcomesOf(sum), nil
}

func outcomes(ctx context.Context, outbox fprom.Outbox, since time.Time) (Outcomes, error) {
	var b fprom.Bucket
	for e, err := range outbox.Entries(ctx, fprom.Filter{Since: since}) {
		if err != nil {
			return outcomesOf(b), fmt.Errorf("fprom: count the outcomes: %w", err)
		}
		if e.Bulk {
			b.Add(e.State, e.Outcome)
		}
	}
	return outcomesOf(b), nil
}
