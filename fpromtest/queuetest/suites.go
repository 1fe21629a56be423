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
// fprom.UndeliveredLister. The last three are tested if the queue implements them. open returns a new, empty queue and may call
// t.Cleanup; the suite closes the queue.
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

// TestDurableQueue checks the further rules of a queue that outlives the process. open opens the queue that is stored in dir, a
// temporary directory of the test; a queue that is stored elsewhere may use dir as its name. open is called again with the same dir
// after the queue was closed. If the queue is a Limiter, it is also called before.
func TestDurableQueue(t *testing.T, open func(t *testing.T, dir string) fprom.Queue) {
	t.Helper()
	runDurable(t, durableCases, open)
}

// TestOutbox checks the rules in the documentation of fprom.Outbox. An outbox must also pass TestQueue and TestDurableQueue. open is as
// for TestDurableQueue.
func TestOutbox(t *testing.T, open func(t *testing.T, dir string) fprom.Outbox) {
	t.Helper()
	runDurable(t, slices.Concat(entryCases, pageCases, deadCases, historyCases, forgetCases),
		func(t *testing.T, dir string) fprom.Queue {
			t.Helper()
			return open(t, dir)
		})
}

// reopener opens the same stored queue each time.
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
