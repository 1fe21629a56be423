// Package backlog is the line of messages that wait in a queue: it knows which one is next.
//
// Messages of one customer go one at a time, in the order they were put. Live messages go before bulk ones, and of these
// first what a live one waits for. New and tried messages take turns, new ones oldest first, tried ones by the time they
// are due. The queues differ only in where they keep the messages.
package backlog

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

// Item is a message in a Line. Its fields are set before it is added and not changed after.
type Item[T any] struct {
	Value T
	Seq   uint64 // the order in which messages were put
	Lane  uint32 // LaneOf its customer; 0: it waits for nobody
	Bulk  bool   // after all live ones

	class uint8         // of Line.turns
	tried bool          // it was delivered before
	due   time.Duration // when a tried one may go
}

// LaneOf is the lane of a customer in this process: 0 if there is none. Two customers may share one, which does no harm.
func LaneOf(customer string) uint32 {
	if customer == "" {
		return 0
	}
	return max(uint32(maphash.String(seed, customer)), 1)
}

var seed = maphash.MakeSeed()

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
	lanes    map[uint32]bool       // those that have a first message, which may go or is under way
	behind   map[uint32][]*Item[T] // those that wait for the first one of their lane
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
	l := &Line[T]{start: time.Now(), lanes: map[uint32]bool{}, behind: map[uint32][]*Item[T]{}, underWay: map[*Item[T]]struct{}{}}
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
	if !l.lanes[it.Lane] {
		if it.Lane != 0 {
			l.lanes[it.Lane] = true
		}
		l.wait(it)
		return
	}
	before := l.behind[it.Lane]
	if !it.Bulk {
		l.hurry(it.Lane, before)
	}
	l.behind[it.Lane] = append(before, it)
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

// hurry lets the bulk messages that a live one at the end of the lane waits for go before the other bulk ones. It looks for
// the first of the lane among all bulk ones, which is rare, instead of remembering where each is.
func (l *Line[T]) hurry(lane uint32, behind []*Item[T]) {
	for _, it := range slices.Backward(behind) {
		if it.class != bulk {
			return
		}
		it.class = urgent
	}
	if it := l.turns[bulk].remove(lane); it != nil {
		it.class = urgent
		l.wait(it)
	}
	for it := range l.underWay {
		if it.Lane == lane && it.class == bulk {
			it.class = urgent
		}
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
	behind := l.behind[it.Lane]
	if len(behind) == 0 {
		delete(l.lanes, it.Lane)
	} else {
		l.wait(behind[0])
		behind[0], l.behind[it.Lane] = nil, behind[1:]
	}
	if len(behind) == 1 {
		delete(l.behind, it.Lane)
	}
	it.Lane = 0
}

// Waiting is how many messages have no outcome yet.
func (l *Line[T]) Waiting() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting
}
