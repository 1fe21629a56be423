package queuetest

import (
	"slices"
	"testing"

	"github.com/fprom-go/fprom"
)

// testCase is a rule that a queue must keep.
type testCase struct {
	name string
	run  func(r *rig)
}

// TestQueue checks that a queue keeps the rules in the documentation of fprom.Queue, fprom.Watcher and fprom.UndeliveredLister. The
// last two are tested if the queue implements them. open returns a new, empty queue and may call t.Cleanup; the suite closes the queue.
func TestQueue(t *testing.T, open func(t *testing.T) fprom.Queue) {
	t.Helper()
	runCases(t, false, slices.Concat(putCases, orderCases, turnCases, retryCases, endCases, stateCases),
		func(t *testing.T, _ string) fprom.Queue {
			t.Helper()
			return open(t)
		})
}

// TestDurableQueue checks the further rules of a queue that outlives the process, and those of fprom.Limiter if the queue implements it.
// open opens the queue that is stored in dir, a temporary directory of the test; a queue that is stored elsewhere may use dir as its
// name. open is called again with the same dir after the queue was closed. If the queue is a Limiter, it is also called before.
func TestDurableQueue(t *testing.T, open func(t *testing.T, dir string) fprom.Queue) {
	t.Helper()
	runCases(t, true, durableCases, open)
}

// TestOutbox checks the rules in the documentation of fprom.Outbox. An outbox must also pass TestQueue and TestDurableQueue. open is as
// for TestDurableQueue.
func TestOutbox(t *testing.T, open func(t *testing.T, dir string) fprom.Outbox) {
	t.Helper()
	runCases(t, true, slices.Concat(entryCases, pageCases, deadCases, historyCases, forgetCases),
		func(t *testing.T, dir string) fprom.Queue {
			t.Helper()
			return open(t, dir)
		})
}

func runCases(t *testing.T, durable bool, cases []testCase, open func(t *testing.T, dir string) fprom.Queue) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checkGoroutines(t)
			dir := t.TempDir()
			c.run(newRig(t, durable, func() fprom.Queue { return open(t, dir) }))
		})
	}
}
