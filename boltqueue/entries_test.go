package boltqueue_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
)

// Events that are named with their kind are found at once, wherever they are, and as those that are named without.
func TestNamedEvents(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	q, err := boltqueue.Open(path, boltqueue.WithoutSocket())
	if err != nil {
		t.Fatal(err)
	}
	event := func(kind string, i int) fprom.Event {
		if id, email := fmt.Sprint("e", i), fmt.Sprintf("c%d@example.com", i); kind == fprom.KindRefund {
			return fprom.Refund{EventID: id, Email: email, Amount: 1}
		} else {
			return fprom.Sale{EventID: id, Email: email, Amount: 1}
		}
	}
	put := func(kind string, from, to int) {
		t.Helper()
		var ms []fprom.Message
		for i := from; i < to; i++ {
			m, err := fprom.NewMessage(event(kind, i))
			if err != nil {
				t.Fatal(err)
			}
			ms = append(ms, m)
		}
		if err := q.Put(t.Context(), ms...); err != nil {
			t.Fatal(err)
		}
	}
	put(fprom.KindSale, 0, 400)
	put(fprom.KindRefund, 0, 50)
	ctx, cancel := context.WithCancel(t.Context())
	delivered := 0
	err = q.Run(ctx, 1, func(_ context.Context, m fprom.Message) (fprom.Result, error) {
		if delivered++; delivered == 300 {
			cancel()
		}
		if strings.HasSuffix(m.Key, "7") {
			return fprom.Result{}, errRejected
		}
		return fprom.Result{Outcome: fprom.Tracked}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{"e7", "sale:e3", "e399", "e290", "refund:e1", "e7", "none", "e350"}
	for i := range 250 {
		keys = append(keys, fmt.Sprint("e", i))
	}
	for _, f := range []fprom.Filter{
		{Kind: fprom.KindSale},
		{Kind: fprom.KindRefund},
		{Kind: fprom.KindSale, State: fprom.StateDead},
		{Kind: fprom.KindSale, State: fprom.StateWaiting},
		{Kind: fprom.KindSale, After: "120"},
		{Kind: fprom.KindSale, After: "120", Limit: 7},
		{Kind: fprom.KindSignup},
	} {
		f.Keys = keys
		list := func(f fprom.Filter, is func(fprom.Entry) bool) (found []string) {
			for e, err := range q.Entries(t.Context(), f) {
				if err != nil {
					t.Fatal(err)
				}
				if is(e) && (f.Limit == 0 || len(found) < f.Limit) {
					found = append(found, e.Key+" "+string(e.State)+" "+e.Cursor)
				}
			}
			return found
		}
		got := list(f, func(fprom.Entry) bool { return true })
		without := f
		without.Kind, without.Limit = "", 0
		want := list(without, func(e fprom.Entry) bool { return e.Kind == f.Kind })
		if f.Limit > 0 {
			want = want[:f.Limit]
		}
		if !slices.Equal(got, want) || (len(got) == 0) != (f.Kind == fprom.KindSignup) {
			t.Errorf("%s %s after %q: %d found, want %d: %q, want %q", f.Kind, f.State, f.After, len(got), len(want), got, want)
		}
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	for _, err := range q.Entries(t.Context(), fprom.Filter{Kind: fprom.KindSale, Keys: keys}) {
		if !errors.Is(err, fprom.ErrQueueClosed) {
			t.Errorf("closed: %v", err)
		}
	}
}

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
		q, err := boltqueue.Open(path, boltqueue.WithoutSocket(), boltqueue.WithoutRun())
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
	q, err := boltqueue.Open(path, boltqueue.WithoutSocket())
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if s, err := q.Stats(t.Context()); err != nil || s.Pending != 45 || s.Bulk != 15 {
		t.Errorf("opened to run: %+v %v", s, err)
	}
}
