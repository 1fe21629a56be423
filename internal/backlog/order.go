// Package backlog is the line of waiting messages of a queue: it decides which message is delivered next.
//
// Messages of one customer are delivered one at a time, in the order they were put. Live messages go before bulk messages.
// Bulk messages that a live message of their customer waits for go before the other bulk ones. New and tried messages take
// turns: new ones oldest first, tried ones by their due time. The queues differ only in where they keep the messages.
package backlog

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"
)

// Item is a message in a Line. Its exported fields do not change after Add.
type Item[T any] struct {
	Value T
	Seq   uint64 // the order in which messages were put
	Lane  uint32 // LaneOf its customer; 0: it waits for no other message
	Bulk  bool   // delivered after all live messages

	class uint8         // index of Line.ready
	tried bool          // it was delivered before
	due   time.Duration // the time of the next attempt, since Line.start; only if tried
}

// Customer returns the name by which queues know a customer: an address (also one that is a uid) in lower case, another uid as it is.
func Customer(name string) string {
	if strings.Contains(name, "@") {
		return strings.ToLower(name)
	}
	return name
}

// LaneOf returns the lane of a customer: a hash that is valid in this process only. Two customers may share a lane: then each waits
// for the messages of the other, which does no harm.
func LaneOf(customer string) uint32 {
	return max(uint32(maphash.String(seed, customer)), 1)
}

var seed = maphash.MakeSeed()

// Line holds the messages that wait or are under way. All methods are safe for concurrent use.
type Line[T any] struct {
	start time.Time // due times are relative to it, so that a change of the system's clock has no effect

	mu       sync.Mutex
	work     *sync.Cond  // workers wait for a message
	settled  *sync.Cond  // Flush waits for outcomes and retries
	timer    *time.Timer // wakes a worker when a retry is due
	workers  int
	running  bool
	closed   error
	last     uint64                // the highest Seq so far
	lanes    map[uint32]*Item[T]   // the first message of each lane, which is in ready or underWay
	behind   map[uint32][]*Item[T] // the later messages of each lane, in order
	ready    [3]ready[T]           // by class
	underWay map[*Item[T]]struct{}
}

// The classes of messages: a lower one goes first.
const (
	live     = iota
	promoted // bulk messages that a live message of their customer waits for
	bulk
)

// New returns an empty Line.
func New[T any]() *Line[T] {
	l := &Line[T]{start: time.Now(), lanes: map[uint32]*Item[T]{}, behind: map[uint32][]*Item[T]{}, underWay: map[*Item[T]]struct{}{}}
	l.work, l.settled = sync.NewCond(&l.mu), sync.NewCond(&l.mu)
	l.timer = time.AfterFunc(time.Hour, func() { l.wake(l.work.Signal) }) // take sets the time
	return l
}

func (l *Line[T]) now() time.Duration { return time.Since(l.start) }

// in is the time in d from now, however long that is.
func (l *Line[T]) in(d time.Duration) time.Duration { return l.now() + min(d, never-l.now()) }

// Add adds a message at the end of the line. Its Seq must be higher than those of all messages added before. After Close it does
// nothing.
func (l *Line[T]) Add(it *Item[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed != nil {
		return
	}
	l.last = it.Seq
	if it.Bulk {
		it.class = bulk
	}
	if _, taken := l.lanes[it.Lane]; !taken {
		l.makeReady(it)
		return
	}
	if !it.Bulk {
		l.promote(it.Lane)
	}
	l.behind[it.Lane] = append(l.behind[it.Lane], it)
}

// AddTried adds a message that an earlier process has tried. Its retry is due after wait, or at once if wait is negative.
func (l *Line[T]) AddTried(it *Item[T], wait time.Duration) {
	it.tried, it.due = true, l.in(wait)
	l.Add(it)
}

// makeReady lets a worker take the message, when it is due.
func (l *Line[T]) makeReady(it *Item[T]) {
	if it.Lane != 0 {
		l.lanes[it.Lane] = it
	}
	l.ready[it.class].add(it)
	l.work.Signal()
}

// promote moves the bulk messages of a lane to the class promoted, since a live message follows them. The lane has a first message.
func (l *Line[T]) promote(lane uint32) {
	for _, it := range slices.Backward(l.behind[lane]) {
		if it.class != bulk {
			return // all before it were promoted earlier
		}
		it.class = promoted
	}
	first := l.lanes[lane]
	if first.class != bulk {
		return
	}
	first.class = promoted
	if _, busy := l.underWay[first]; !busy {
		l.ready[bulk].remove(first)
		l.makeReady(first)
	}
}

// Retry puts a message that was under way back into the line. It is due after wait. If aside is true, it leaves its lane, so
// that later messages of its customer may overtake it.
func (l *Line[T]) Retry(it *Item[T], wait time.Duration, aside bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.underWay, it)
	if aside {
		l.leaveLane(it)
	}
	it.tried, it.due = true, l.in(wait)
	l.makeReady(it)
	l.settled.Broadcast()
}

// Done removes a message that was under way.
func (l *Line[T]) Done(it *Item[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.underWay, it)
	l.leaveLane(it)
	l.settled.Broadcast()
}

// leaveLane removes a message from its lane and makes the next message of the lane ready.
func (l *Line[T]) leaveLane(it *Item[T]) {
	behind := l.behind[it.Lane]
	if len(behind) == 0 {
		delete(l.lanes, it.Lane)
		delete(l.behind, it.Lane)
	} else {
		l.makeReady(behind[0])
		behind[0], l.behind[it.Lane] = nil, behind[1:]
	}
	it.Lane = 0
}
