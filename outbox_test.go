package fprom_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// A History has at most 10,000 intervals, also where its time is longer than a time.Duration can be.
func TestNewBuckets(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 12, 30, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		from, to time.Time
		step     time.Duration
		want     int // 0: an error, unless the time is empty
		empty    bool
	}{
		"a day":               {from: now.Add(-24 * time.Hour), to: now, step: time.Hour, want: 25}, // the first one begins at 12:00
		"10,000":              {from: now.Add(-10_000 * time.Minute), to: now, step: time.Minute, want: 10_000},
		"10,001":              {from: now.Add(-10_001 * time.Minute), to: now, step: time.Minute},
		"since the year 1":    {to: now, step: 30 * 24 * time.Hour},
		"the other way round": {from: now, to: now.Add(-time.Hour), step: time.Minute, empty: true},
		"no step":             {from: now, to: now},
		"a negative step":     {from: now.Add(-time.Hour), to: now, step: -time.Minute},
	} {
		got, err := fprom.NewBuckets(test.from, test.to, test.step)
		if _, invalid := errors.AsType[*fprom.ValidationError](err); len(got) != test.want || invalid == (test.want > 0 || test.empty) {
			t.Errorf("%s: %d intervals, %v; want %d", name, len(got), err, test.want)
		}
	}
}

// ledger keeps what came of the last delivery, as an Outbox does.
type ledger struct {
	*recorder
	last fprom.Entry
}

func (q *ledger) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	return q.recorder.Run(ctx, workers, func(ctx context.Context, m fprom.Message) (fprom.Result, error) {
		r, err := deliver(ctx, m)
		q.last = fprom.NewEntry(m)
		q.last.Settle(r, err, time.Now())
		return r, err
	})
}

// The ledger has what FirstPromoter answered, also about an event that it rejected.
func TestLedger(t *testing.T) {
	for name, test := range map[string]struct {
		answer reply
		want   string
	}{
		"tracked":  {reply{status: 200, body: `{"id":7,"commissions":[{"id":11},{"id":12}]}`}, "sale:a done tracked 2000 200 7 2 [11 12] "},
		"rejected": {reply{status: 400, body: `{"message":"no"}`}, "sale:a dead rejected 2000 400 0 0 [] fprom: sale:a: 400 Bad Request: no"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				q := &ledger{recorder: newRecorder()}
				cfg := config(always(test.answer))
				cfg.Queue = q
				tracker := start(t, cfg)
				enqueue(t, tracker, sale("a"))
				flush(t, tracker, time.Minute)
				e := q.last
				if got := fmt.Sprint(e.Key, " ", e.State, " ", e.Outcome, " ", e.Amount, " ", e.StatusCode, e.ID, e.Commissions, e.CommissionIDs, " ", e.Reason); got != test.want {
					t.Errorf("%s\nwant %s", got, test.want)
				}
			})
		})
	}
}

// An Entry says whether the event is one of a bulk load, and takes no text of any length. Once it is settled, nothing of the
// attempt before is left.
func TestEntryOfABulkEvent(t *testing.T) {
	t.Parallel()
	e := fprom.NewEntry(fprom.Message{Bulk: true})
	e.NextAttempt, e.CommissionIDs = time.Now(), []int64{7}
	e.Settle(fprom.Result{}, errors.New(strings.Repeat("x", 2000)), time.Now())
	if !e.Bulk || len(e.Reason) > 1100 || !e.NextAttempt.IsZero() || e.CommissionIDs != nil {
		t.Errorf("bulk %v, a reason of %d bytes, next attempt at %v, commissions %v", e.Bulk, len(e.Reason), e.NextAttempt, e.CommissionIDs)
	}
}

// A filter finds an event by its Entry.Key, by its Message.Key, and by what follows the kind in either: an event id, or the customer.
func TestFilterKeys(t *testing.T) {
	t.Parallel()
	const customer = "Ann@Example.com"
	for _, e := range []fprom.Event{
		sale("a"), refund("a"), fprom.Sale{EventID: customer, UID: "ann", Amount: 1}, fprom.Signup{Email: customer, RefID: "joe13"}, fprom.Cancellation{Email: customer},
	} {
		m, err := fprom.NewMessage(e)
		if err != nil {
			t.Fatal(err)
		}
		entry := fprom.NewEntry(m)
		for _, whole := range []string{m.Key, entry.Key} {
			_, id, _ := strings.Cut(whole, ":")
			for _, key := range []string{whole, id} {
				if f := (fprom.Filter{Keys: []string{"none", key}}); !f.Match(entry) {
					t.Errorf("%s does not find %s", key, entry.Key)
				}
			}
		}
		if (fprom.Filter{Keys: []string{"none", "sale:none", "signup:none"}}).Match(entry) {
			t.Errorf("other keys find %s", entry.Key)
		}
	}
}
