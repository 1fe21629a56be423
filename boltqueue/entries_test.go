package boltqueue_test

import (
	"errors"
	"path/filepath"
	"strconv"
	"testing"

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
