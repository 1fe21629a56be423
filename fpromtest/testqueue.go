package fpromtest

import (
	"testing"

	"github.com/fprom-go/fprom"
)

// TestQueue checks that a queue keeps the rules in the documentation of fprom.Queue, in real time. open returns a
// fresh, empty queue, and may register its own cleaning up with t; the suite closes the queue if it has a Close method.
// Optional methods are tested where a queue has them. See also TestDurableQueue.
func TestQueue(t *testing.T, open func(t *testing.T) fprom.Queue) {
	t.Helper()
	for _, c := range queueCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checkGoroutines(t)
			c.run(newRig(t, open(t)))
		})
	}
}

// TestDurableQueue checks what a queue that outlives the process must keep on top of TestQueue. open opens the queue
// stored under dir, which is a directory of the test's own (a queue stored elsewhere may take it as a name). It is called
// again with the same dir after the queue was closed, so the queue must have a Close method.
func TestDurableQueue(t *testing.T, open func(t *testing.T, dir string) fprom.Queue) {
	t.Helper()
	for _, c := range durableCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checkGoroutines(t)
			dir := t.TempDir()
			c.run(t, func() *rig { return newRig(t, open(t, dir)) })
		})
	}
}
