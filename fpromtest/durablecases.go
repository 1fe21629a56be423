package fpromtest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/fprom-go/fprom"
)

var durableCases = []struct {
	name string
	run  func(t *testing.T, open func() *rig)
}{
	{"keeps what is pending, in order", testPendingSurvives},
	{"keeps the number of attempts", testAttemptsSurvive},
	{"does not count an interrupted attempt", testInterruptedSurvives},
	{"keeps an outcome that came after the end", testLateOutcomeSurvives},
	{"remembers ids that are done", testDoneSurvives},
	{"reports a conflict with what is stored", testConflictSurvives},
	{"refuses Put after Close", testPutAfterClose},
}

func testPendingSurvives(t *testing.T, open func() *rig) {
	t.Helper()
	r := open()
	ms := []fprom.Message{r.sale("1", "ann", 100), r.sale("2", "ann", 200), r.sale("3", "ben", 300)}
	r.put(ms...)
	r.close()
	r = open()
	r.put(ms[0]) // stores nothing
	r.start(nil)
	r.once(ms...)
	for _, m := range ms {
		r.same(r.of(m)[0].Message, m)
	}
	if keys := r.keys(); slices.Index(keys, ms[0].Key) > slices.Index(keys, ms[1].Key) {
		t.Errorf("deliveries after reopening: %v, want %s before %s", keys, ms[0].Key, ms[1].Key)
	}
}

func testAttemptsSurvive(t *testing.T, open func() *rig) {
	t.Helper()
	r := open()
	m := r.sale("1", "ann", 100)
	r.put(m)
	r.start(func(context.Context, fprom.Message) error {
		return &fprom.APIError{StatusCode: 503, RetryAfter: 4 * quiet}
	})
	r.wait("a failed delivery", func() bool { return r.ended(m) == 1 })
	r.idle(quiet) // the queue has noted it before its context ends
	r.close()
	r = open()
	r.start(nil)
	r.once(m)
	if d := r.of(m)[0]; d.Attempt != 2 {
		t.Errorf("first delivery after reopening has Attempt %d, want 2", d.Attempt)
	}
}

func testInterruptedSurvives(t *testing.T, open func() *rig) {
	t.Helper()
	r := open()
	m := r.sale("1", "ann", 100)
	r.put(m)
	r.start(untilEnd)
	r.wait("the delivery under way", func() bool { return len(r.of(m)) == 1 })
	r.close()
	r = open()
	r.start(nil)
	r.once(m)
	r.same(r.of(m)[0].Message, m)
}

func testLateOutcomeSurvives(t *testing.T, open func() *rig) {
	t.Helper()
	r := open()
	m, next := r.sale("1", "ann", 100), r.sale("2", "ann", 100)
	r.put(m, next)
	r.start(func(ctx context.Context, _ fprom.Message) error {
		<-ctx.Done()
		return nil
	})
	r.wait("the delivery under way", func() bool { return len(r.of(m)) == 1 })
	r.close()
	delivered := len(r.of(next)) // a queue may offer it in the moment of the end
	r = open()
	r.start(nil)
	if delivered == 0 {
		r.once(next)
	}
	r.idle(quiet)
	if n := len(r.of(m)); n != 0 {
		t.Errorf("what was delivered as Run ended was delivered again %d times", n)
	}
}

func testDoneSurvives(t *testing.T, open func() *rig) {
	t.Helper()
	r := open()
	m := r.sale("1", "ann", 100)
	r.put(m)
	r.start(nil)
	r.once(m)
	r.put(m)
	r.idle(quiet)
	if n := len(r.of(m)); n != 1 {
		t.Errorf("%d deliveries after a second Put of an id that is done, want 1", n)
	}
	r.close()
	r = open()
	marker := r.sale("2", "ben", 100)
	r.start(nil)
	r.put(m, marker)
	r.once(marker)
	if n := len(r.of(m)); n != 0 {
		t.Errorf("%d deliveries after reopening of an id that is done, want 0", n)
	}
}

func testConflictSurvives(t *testing.T, open func() *rig) {
	t.Helper()
	r := open()
	done, pending := r.sale("done", "ann", 100), r.sale("pending", "ben", 100)
	r.put(done, pending)
	r.start(func(ctx context.Context, m fprom.Message) error {
		if m.Key == pending.Key {
			return untilEnd(ctx, m)
		}
		return nil
	})
	r.wait("one delivered, the other under way", func() bool { return r.ended(done) == 1 && len(r.of(pending)) == 1 })
	r.idle(quiet)
	r.close()
	r = open()
	for _, m := range []fprom.Message{r.sale("done", "ann", 999), r.sale("pending", "ben", 999)} {
		if err := r.q.Put(t.Context(), m); !errors.Is(err, fprom.ErrConflict) {
			t.Errorf("Put of %s with another amount after reopening: %v, want ErrConflict", m.Key, err)
		}
	}
	r.start(nil)
	r.once(pending)
	r.same(r.of(pending)[0].Message, pending)
	if n := len(r.of(done)); n != 0 {
		t.Errorf("%s was delivered again", done.Key)
	}
}

func testPutAfterClose(t *testing.T, open func() *rig) {
	t.Helper()
	r := open()
	m := r.sale("1", "ann", 100)
	r.close()
	if err := r.q.Put(t.Context(), m); err == nil {
		t.Error("Put after Close returned nil, which says that the message is stored")
	}
	r = open()
	r.start(nil)
	r.put(m)
	r.once(m)
}
