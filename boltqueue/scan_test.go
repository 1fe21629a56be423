package boltqueue_test

import (
	"testing"

	"github.com/fprom-go/fprom"
)

// TestFewAmongMany: to list the few events of one state, and to change one dead letter, does not decode the many others. The
// measure is what that allocates, so this test does not run beside others.
func TestFewAmongMany(t *testing.T) { //nolint:paralleltest // see above
	const many = 3000
	dir := t.TempDir()
	q := open(t, dir)
	ms := make([]fprom.Message, many)
	for i := range ms {
		ms[i] = sale(t, i, 100)
	}
	list := func(state fprom.State) func() {
		return func() {
			if es := entries(t, q, fprom.Filter{State: state}); len(es) != 1 {
				t.Errorf("%d events are %s, want one", len(es), state)
			}
		}
	}
	few := func(what string, f func()) {
		if n := testing.AllocsPerRun(3, f); n > 2*many {
			t.Errorf("%s allocates %.0f times beside %d other events", what, n, many)
		}
	}
	put(t, q, sale(t, "bad", 100))
	deliver(t, q, func(fprom.Message) error { return &fprom.APIError{StatusCode: 400} })
	put(t, q, ms...)
	few("to list a dead letter", list(fprom.StateDead))
	deliver(t, q, func(fprom.Message) error { return &fprom.APIError{StatusCode: 400} })
	closeQueue(t, q)
	q = open(t, dir)
	next := 0
	few("to drop a dead letter when none waits", func() {
		if n, err := q.Drop(t.Context(), fprom.Filter{Kind: ms[next].Kind, Keys: []string{ms[next].Key}}); n != 1 || err != nil {
			t.Errorf("drop: %d, %v", n, err)
		}
		next++
	})
	put(t, q, sale(t, "new", 100))
	few("to list a waiting event", list(fprom.StateWaiting))
	if _, err := q.Redrive(t.Context(), fprom.Filter{}); err != nil {
		t.Error(err)
	}
	deliver(t, q, nil)
	put(t, q, sale(t, "newer", 100))
	few("to list a waiting event beside done ones", list(fprom.StateWaiting))
	few("to forget a customer", func() {
		if n, err := q.Forget(t.Context(), "nobody@example.com"); n != 0 || err != nil {
			t.Errorf("forget: %d, %v", n, err)
		}
	})
}
