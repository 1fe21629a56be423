// Package backlog is the line of messages that wait in a queue: it knows which one is next.
//
// Messages of one customer go one at a time, in the order they were put. Live messages go before bulk ones, and of these
// first what a live one waits for. New and tried messages take turns, new ones oldest first, tried ones by the time they
// are due. The queues differ only in where they keep the messages.
package backlog

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// Item is a message in a Line. Its fields are set before it is added and not changed after.
type Item[T any] struct {
	Value T
	Seq   uint64 // the order in which messages were put
	Lane  uint64 // LaneOf its customer; 0: it waits for nobody
	Bulk  bool   // after all live ones

	class int           // of Line.turns
	tried bool          // it was delivered before
	due   time.Duration // when a tried one may go
	at    int           // its index in turns, while it waits there
}

// LaneOf is the lane of a customer: 0 if there is none. Two customers may share one, which does no harm.
func LaneOf(customer string) uint64 {
	if customer == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(customer))
	return max(binary.BigEndian.Uint64(sum[:]), 1)
}

// Line is what waits and what is under way. All methods are safe for concurrent use.
type Line[T any] struct {
	start time.Time // due times are counted from here, so that a change of the system's clock does nothing

	mu       sync.Mutex
	work     *sync.Cond  // workers wait for a message
	left     *sync.Cond  // Flush waits for messages that leave
	timer    *time.Timer // wakes a worker when a retry is due
	workers  int
	running  bool
	closed   error
	last     uint64                // the highest Seq so far
	lanes    map[uint64][]*Item[T] // of each only the first may go
	turns    [3]turns[T]
	underWay map[*Item[T]]struct{}
	waiting  Counts
}

// The classes of messages, which are the places in Line.turns.
const (
	live   = iota
	urgent // bulk ones that a live one of their customer waits for
	bulk
)

// Counts is how many messages have no outcome yet, those under way included.
type Counts struct{ Live, Bulk int }

// New returns an empty Line.
func New[T any]() *Line[T] {
	l := &Line[T]{start: time.Now(), lanes: map[uint64][]*Item[T]{}, underWay: map[*Item[T]]struct{}{}}
	l.work, l.left = sync.NewCond(&l.mu), sync.NewCond(&l.mu)
	l.timer = time.AfterFunc(time.Hour, func() { l.wake(l.work.Signal) })
	l.timer.Stop()
	return l
}

func (l *Line[T]) now() time.Duration { return time.Since(l.start) }

// Add puts it at the end of the line. Its Seq is higher than those before.
func (l *Line[T]) Add(it *Item[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = max(l.last, it.Seq)
	l.count(it, 1)
	if it.Bulk {
		it.class = bulk
	}
	if it.Lane == 0 {
		l.wait(it)
		return
	}
	lane := append(l.lanes[it.Lane], it)
	l.lanes[it.Lane] = lane
	switch {
	case len(lane) == 1:
		l.wait(it)
	case !it.Bulk:
		l.hurry(lane)
	}
}

// AddTried adds a message of an earlier process that waits for a retry for that long, or has waited.
func (l *Line[T]) AddTried(it *Item[T], wait time.Duration) {
	it.tried, it.due = true, l.now()+wait
	l.Add(it)
}

func (l *Line[T]) count(it *Item[T], n int) {
	if it.Bulk {
		l.waiting.Bulk += n
	} else {
		l.waiting.Live += n
	}
}

// wait lets it wait for its turn.
func (l *Line[T]) wait(it *Item[T]) {
	l.turns[it.class].add(it)
	l.work.Signal()
}

// hurry lets the bulk messages that the last one of the lane waits for go before the other bulk ones.
func (l *Line[T]) hurry(lane []*Item[T]) {
	i := len(lane) - 2
	for ; i >= 0 && lane[i].class == bulk; i-- {
		lane[i].class = urgent
	}
	if _, underWay := l.underWay[lane[0]]; i < 0 && !underWay {
		l.turns[bulk].remove(lane[0])
		l.wait(lane[0])
	}
}

// Retry puts a message that was under way back, to be delivered after wait at the earliest. If aside, it leaves its lane,
// so that the later ones of its customer pass.
func (l *Line[T]) Retry(it *Item[T], wait time.Duration, aside bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.underWay, it)
	if aside {
		l.leaveLane(it)
	}
	it.tried, it.due = true, l.now()+wait
	l.wait(it)
	l.left.Broadcast()
}

// Done takes a message that was under way out of the line.
func (l *Line[T]) Done(it *Item[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.underWay, it)
	l.count(it, -1)
	l.leaveLane(it)
	l.left.Broadcast()
}

// leaveLane lets the next one of its lane go.
func (l *Line[T]) leaveLane(it *Item[T]) {
	if it.Lane == 0 {
		return
	}
	lane := l.lanes[it.Lane]
	if len(lane) == 1 {
		delete(l.lanes, it.Lane)
	} else {
		lane[0] = nil
		l.lanes[it.Lane] = lane[1:]
		l.wait(lane[1])
	}
	it.Lane = 0
}

// Waiting is how many messages have no outcome yet.
func (l *Line[T]) Waiting() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting
}
