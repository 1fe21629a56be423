package fprom

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/fprom-go/fprom/internal/backlog"
	"github.com/fprom-go/fprom/internal/safelog"
)

// Outbox is a durable queue as an operator sees it: *boltqueue.Queue and *riverqueue.Queue. All methods are safe for
// concurrent use, and may be called while a Tracker delivers, also by another process.
type Outbox interface {
	Queue
	// Entries ranges over the events that f selects: waiting, done and dead, in the order they were put. It reads in pages,
	// so it blocks nobody, and may miss concurrent changes. It ends after an error. To go on later, set Filter.After to the
	// Cursor of the last Entry. Every range over the result reads anew.
	Entries(ctx context.Context, f Filter) iter.Seq2[Entry, error]
	// Redrive sends again the dead letters that f selects, under their own event ids and after the events that wait already. It
	// returns how many. It ignores Filter.State. A dead letter that cannot be read, or whose key was put again, stays.
	Redrive(ctx context.Context, f Filter) (int, error)
	// Drop removes for good the dead letters that f selects, and returns how many. It ignores Filter.State: waiting events cannot
	// be dropped.
	Drop(ctx context.Context, f Filter) (int, error)
	// History counts the outcomes between from and to in intervals of step. It reads the ledger, so it survives restarts and
	// counts all replicas. A dead letter that was redriven, dropped or put again is no longer counted. Every interval has a
	// Bucket, also an empty one; at most 10,000. from is rounded down to step.
	History(ctx context.Context, from, to time.Time, step time.Duration) ([]Bucket, error)
	// Forget erases a person: customer is the e-mail address of events, or the uid of those without one; not empty. It returns
	// how many events it changed. Events that are done or dead lose customer and body; event ids and sums stay. An event that
	// still waits is erased when it has its outcome, since a commission depends on it.
	Forget(ctx context.Context, customer string) (int, error)
}

// State says how far an event has come.
type State string

// The states.
const (
	StateWaiting State = "waiting" // no outcome yet
	StateDone    State = "done"    // Tracked, NotReferral or Duplicate
	StateDead    State = "dead"    // a dead letter: given up, see Outbox.Redrive
)

// Filter selects entries of an Outbox. An empty field selects all. An entry must match every field that is set.
type Filter struct {
	Keys       []string  `json:"keys,omitempty"`     // any of these: keys as in Entry.Key, as in Message.Key, or event ids without a kind
	State      State     `json:"state,omitempty"`    // one state
	Outcome    Outcome   `json:"outcome,omitempty"`  // one outcome
	Kind       string    `json:"kind,omitempty"`     // one of the Kind constants
	Customer   string    `json:"customer,omitempty"` // an address in any case, or another uid in its own case; an erased one is not found
	Since      time.Time `json:"since,omitzero"`     // recorded at or after
	Until      time.Time `json:"until,omitzero"`     // recorded before
	Reason     string    `json:"reason,omitempty"`   // a part of Entry.Reason, in any case
	StatusCode int       `json:"status,omitzero"`    // of the last answer
	Limit      int       `json:"limit,omitzero"`     // at most this many; 0: no limit
	After      string    `json:"after,omitempty"`    // Entry.Cursor of the last entry seen
	Personal   bool      `json:"personal,omitzero"`  // do not mask Entry.Customer
}

// Entry is one event in an Outbox.
type Entry struct {
	Key           string    `json:"key,omitempty"`            // SafeKey of the Message
	Kind          string    `json:"kind,omitempty"`           // one of the Kind constants
	State         State     `json:"state,omitempty"`          // waiting, done or dead
	Outcome       Outcome   `json:"outcome,omitempty"`        // Undelivered while it waits; Rejected or Undelivered if dead
	Amount        int64     `json:"amount,omitzero"`          // of a sale or refund
	Currency      string    `json:"currency,omitempty"`       // lower case; empty for the account's default
	Customer      string    `json:"customer,omitempty"`       // masked unless Filter.Personal; empty once it is erased
	Bulk          bool      `json:"bulk,omitzero"`            // as in Message
	RecordedAt    time.Time `json:"recorded_at,omitzero"`     // when the event was accepted
	SettledAt     time.Time `json:"settled_at,omitzero"`      // when it was done or given up; zero while it waits
	Attempts      int       `json:"attempts,omitzero"`        // so far
	NextAttempt   time.Time `json:"next_attempt,omitzero"`    // zero unless it waits for a retry
	Reason        string    `json:"reason,omitempty"`         // the last error, without addresses, at most 1 KiB
	StatusCode    int       `json:"status,omitzero"`          // of the last answer; 0 if there was none
	ID            int64     `json:"id,omitzero"`              // FirstPromoter's id of the event; 0 if it gave none
	Commissions   int       `json:"commissions,omitzero"`     // how many the answer named
	CommissionIDs []int64   `json:"commission_ids,omitempty"` // FirstPromoter's ids of them
	Damaged       bool      `json:"damaged,omitzero"`         // the record cannot be read; it can only be dropped
	Cursor        string    `json:"cursor,omitempty"`         // for Filter.After; opaque
}

// Bucket counts the outcomes of one interval of History.
type Bucket struct {
	Start       time.Time `json:"start"` // the interval ends one step later
	Tracked     int       `json:"tracked"`
	NotReferral int       `json:"not_referral"`
	Duplicate   int       `json:"duplicate"`
	Dead        int       `json:"dead"`
}

// Add counts one entry that is done or dead. It is for implementations of Outbox.
func (b *Bucket) Add(s State, o Outcome) {
	switch {
	case s == StateDead:
		b.Dead++
	case o == Tracked:
		b.Tracked++
	case o == NotReferral:
		b.NotReferral++
	case o == Duplicate:
		b.Duplicate++
	}
}

// NewBuckets returns the empty Buckets of Outbox.History, for implementations of Outbox. The error is a *ValidationError.
func NewBuckets(from, to time.Time, step time.Duration) ([]Bucket, error) {
	if step <= 0 {
		return nil, &ValidationError{"step", "is not positive"}
	}
	var buckets []Bucket
	for at := from.Truncate(step); at.Before(to); at = at.Add(step) {
		if len(buckets) == 10_000 {
			return nil, &ValidationError{"step", "makes more than 10,000 intervals; take a larger step or a shorter time"}
		}
		buckets = append(buckets, Bucket{Start: at})
	}
	return buckets, nil
}

// NewEntry returns the Entry of a waiting m, with the customer not masked. It is for implementations of Outbox.
func NewEntry(m Message) Entry {
	amount, currency := m.Money()
	return Entry{
		Key: SafeKey(m.Key), Kind: m.Kind, State: StateWaiting, Outcome: Undelivered, Amount: amount, Currency: currency,
		Customer: m.Customer, Bulk: m.Bulk, RecordedAt: m.RecordedAt, Attempts: m.Attempt,
	}
}

// Settle stores in e what deliver returned, and when. It is for implementations of Outbox.
func (e *Entry) Settle(r Result, err error, at time.Time) {
	e.State, e.Outcome, e.SettledAt, e.NextAttempt = StateDone, r.Outcome, at, time.Time{}
	e.StatusCode, e.ID, e.Commissions, e.CommissionIDs = r.StatusCode, r.ID, len(r.Commissions), nil
	for _, c := range r.Commissions {
		e.CommissionIDs = append(e.CommissionIDs, c.ID)
	}
	if err != nil {
		e.State, e.Reason = StateDead, safelog.Shorten(err.Error(), maxReason)
	}
}

const maxReason = 1 << 10

// Match reports whether f selects e, whose customer must not be masked. It ignores Limit and After. It is for
// implementations of Outbox.
func (f Filter) Match(e Entry) bool {
	return (len(f.Keys) == 0 || slices.Contains(f.SafeKeys(), e.Key)) &&
		(f.State == "" || f.State == e.State) &&
		(f.Outcome == "" || f.Outcome == e.Outcome) &&
		(f.Kind == "" || f.Kind == e.Kind) &&
		(f.Customer == "" || backlog.Customer(f.Customer) == backlog.Customer(e.Customer)) &&
		!e.RecordedAt.Before(f.Since) &&
		(f.Until.IsZero() || e.RecordedAt.Before(f.Until)) &&
		strings.Contains(strings.ToLower(e.Reason), strings.ToLower(f.Reason)) &&
		(f.StatusCode == 0 || f.StatusCode == e.StatusCode)
}

// SafeKeys returns every Entry.Key that f.Keys may mean; nil if f.Keys is empty. It is for implementations of Outbox.
func (f Filter) SafeKeys() (keys []string) {
	for _, k := range f.Keys {
		for _, kind := range []string{"", KindSale + ":", KindRefund + ":", KindSignup + ":", KindCancellation + ":"} {
			keys = append(keys, SafeKey(kind+k))
		}
	}
	return keys
}

// Show returns e with the customer masked, unless f.Personal. It is for implementations of Outbox.
func (f Filter) Show(e Entry) Entry {
	if !f.Personal {
		e.Customer = MaskEmail(e.Customer)
	}
	return e
}
