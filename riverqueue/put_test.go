package riverqueue_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// TestSameIDInOneCall: of several events of one call with the same id the first is stored. Another amount is a conflict.
func TestSameIDInOneCall(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	var ms []fprom.Message
	for _, e := range []fprom.Event{
		sale("2", "ben", 100), sale("1", "ann", 100), sale("1", "ann", 100),
		fprom.Cancellation{UID: "ann"},
		sale("1", "ann", 999),
		sale("3", "ann", 100),
		fprom.Cancellation{UID: "ann"},
	} {
		ms = append(ms, message(t, e))
	}
	err := q.Put(t.Context(), ms...)
	if c, ok := errors.AsType[*fprom.ConflictError](err); !ok || !slices.Equal(c.Keys, []string{"sale:1"}) {
		t.Errorf("Put: %v, want a conflict of sale:1 alone", err)
	}
	var keys []string
	for _, e := range entriesOf(t, q, fprom.Filter{}) {
		keys = append(keys, e.Key)
		if e.Kind == fprom.KindSale && e.Amount != 100 {
			t.Errorf("%+v, want the amount of the first", e)
		}
	}
	if want := []string{"sale:2", "sale:1", "cancellation:ann", "sale:3"}; !slices.Equal(keys, want) {
		t.Errorf("entries %v, want %v", keys, want)
	}
	if n := jobs(t, pool, cfg.Schema); n != 4 {
		t.Errorf("%d jobs, want one for each entry", n)
	}
	if s, err := q.Stats(t.Context()); err != nil || s.Conflicts != 1 {
		t.Errorf("Stats: %+v, %v", s, err)
	}
}
