// Package queuetest checks that a queue keeps the rules of fprom.Queue and fprom.Outbox. A queue in memory must pass TestQueue. A queue
// that outlives the process must also pass TestDurableQueue. An fprom.Outbox must pass both and TestOutbox:
//
//	func TestMyQueue(t *testing.T) {
//		queuetest.TestQueue(t, func(t *testing.T) fprom.Queue { return myqueue.New() })
//	}
//
// The suites run in real time, some seconds each, and need a file or a database if the queue does. Their cases run in
// parallel. Each case also fails if a goroutine of the queue is left after Close.
package queuetest
