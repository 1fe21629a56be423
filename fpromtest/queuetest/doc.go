// Package queuetest says whether a queue keeps the rules of fprom.Queue and fprom.Outbox. A queue in memory must pass
// TestQueue; a queue that outlives the process must pass TestDurableQueue too; an fprom.Outbox must pass all three:
//
//	func TestMyQueue(t *testing.T) {
//		queuetest.TestQueue(t, func(t *testing.T) fprom.Queue { return myqueue.New() })
//	}
//
// The suites run in real time, some seconds each, and need a file or a database as the queue does. Their cases run in
// parallel. Each case also fails if a goroutine of the queue is left after Close.
package queuetest
