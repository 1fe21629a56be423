package queuetest

import (
	"slices"
	"testing"

	"github.com/fprom-go/fprom"
)

type queueCase struct {
	name string
	run  func(r *rig)
}

type durableCase struct {
	name string
	run  func(r reopener)
}

// TestQueue checks that a queue keeps the rules in the documentation of fprom.Queue, fprom.Limiter, fprom.Watcher and
// fprom.UndeliveredLister, in real time. open returns a fresh, empty queue, and may register its own cleaning up with t;
// the suite closes the queue. Optional interfaces are tested if the queue has them. See also TestDurableQueue and TestOutbox.
func TestQueue(t *testing.T, open func(t *testing.T) fprom.Queue) {
	t.Helper()
	for _, c := range slices.Concat(putCases, orderCases, turnCases, retryCases, endCases, stateCases) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checkGoroutines(t)
			c.run(newRig(t, open(t)))
		})
	}
}

// TestDurableQueue checks what a queue that outlives the process must keep on top of TestQueue. open opens the queue
// stored under dir, which is a directory of the test's own (a queue stored elsewhere may take it as a name). It is called
// again with the same dir after the queue was closed; of a queue that is a Limiter, also before.
func TestDurableQueue(t *testing.T, open func(t *testing.T, dir string) fprom.Queue) {
	t.Helper()
	runDurable(t, durableCases, open)
}

// TestOutbox checks that an outbox keeps the rules in the documentation of fprom.Outbox on top of TestQueue and
// TestDurableQueue. open is as for TestDurableQueue.
func TestOutbox(t *testing.T, open func(t *testing.T, dir string) fprom.Outbox) {
	t.Helper()
	runDurable(t, slices.Concat(entryCases, pageCases, deadCases, historyCases, forgetCases),
		func(t *testing.T, dir string) fprom.Queue {
			t.Helper()
			return open(t, dir)
		})
}

// reopener opens one stored queue again and again.
type reopener struct {
	t    *testing.T
	open func() *rig
}

func runDurable(t *testing.T, cases []durableCase, open func(t *testing.T, dir string) fprom.Queue) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checkGoroutines(t)
			dir := t.TempDir()
			c.run(reopener{t, func() *rig { return newRig(t, open(t, dir)) }})
		})
	}
}
