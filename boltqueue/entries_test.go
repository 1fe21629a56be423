package boltqueue_test

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
)

// An outbox that was opened without Run counts, takes and knows events, and delivers none.
func TestWithoutRun(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	sale := func(i int, bulk bool) fprom.Message {
		m, err := fprom.NewMessage(fprom.Sale{EventID: strconv.Itoa(i), Email: "ann@example.com", Amount: 100})
		if err != nil {
			t.Fatal(err)
		}
		m.Bulk = bulk
		return m
	}
	for round := range 3 { // reopened, it knows what waits
		q, err := openAt(path, boltqueue.WithoutSocket(), boltqueue.WithoutRun())
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			if err := q.Put(t.Context(), sale(i, i%4 == 0), sale(100*round+i, i%4 == 0)); err != nil {
				t.Fatal(err)
			}
		}
		other := sale(3, false)
		other.Digest++
		if err := q.Put(t.Context(), other); !errors.Is(err, fprom.ErrConflict) {
			t.Errorf("another amount: %v", err)
		}
		s, err := q.Stats(t.Context())
		if want := 20 * (round + 1); err != nil || s.Pending != want*3/4 || s.Bulk != want/4 || s.Oldest.IsZero() || s.Delivering {
			t.Errorf("round %d: %+v %v", round, s, err)
		}
		if err := q.Run(t.Context(), 1, nil); err == nil {
			t.Error("it runs")
		}
		if err := q.Flush(t.Context()); err == nil {
			t.Error("it is flushed")
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
	q, err := openAt(path, boltqueue.WithoutSocket())
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if s, err := q.Stats(t.Context()); err != nil || s.Pending != 45 || s.Bulk != 15 {
		t.Errorf("opened to run: %+v %v", s, err)
	}
}

// TestEntriesOfAnEventThatIsDoneMeanwhile: the events with some keys are looked up among the open ones and in the ledger. One that gets its
// outcome between these is found: a lost look would cost a commission, since billing/stripe sends a sale again that it finds.
func TestEntriesOfAnEventThatIsDoneMeanwhile(t *testing.T) { //nolint:paralleltest // the failpoint is that of all tests
	q, m := open(t, t.TempDir()), sale(t, 1, 100)
	put(t, q, m)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	boltqueue.SetFailpoint(func(name string) {
		if name == "looked up" {
			deliver(t, q, nil)
		}
	})
	defer boltqueue.SetFailpoint(func(string) {})
	found := 0
	for e, err := range q.Entries(ctx, fprom.Filter{Keys: []string{m.Key}, Kind: m.Kind}) {
		if found++; err != nil || e.State != fprom.StateDone {
			t.Errorf("%+v, %v", e, err)
		}
	}
	if found != 1 {
		t.Errorf("found %d entries, want one", found)
	}
}

// TestUnknownCursor: a cursor of another queue is an error, of every method.
func TestUnknownCursor(t *testing.T) {
	t.Parallel()
	q, f := open(t, t.TempDir()), fprom.Filter{After: "x"}
	_, redriven := q.Redrive(t.Context(), f)
	_, dropped := q.Drop(t.Context(), f)
	errs := []error{redriven, dropped}
	for _, err := range q.Entries(t.Context(), f) {
		errs = append(errs, err)
	}
	for i, err := range errs {
		if invalid, ok := errors.AsType[*fprom.ValidationError](err); !ok || invalid.Field != "Filter.After" {
			t.Errorf("call %d: %v, want a ValidationError", i, err)
		}
	}
}
