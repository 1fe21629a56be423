// Package backlog is the line of messages that wait in a queue: it knows which one is next.
//
// Messages of one customer go one at a time, in the order they were put. Live messages go before bulk ones, and of these
// first what a live one waits for. New and tried messages take turns, new ones oldest first, tried ones by the time they
// are due. The queues differ only in where they
// keep the messages.
package backlog

import (
	"sync"
	"time"
)

// Item is a message in a Line. Its fields are set before it is added and not changed after.
type Item[T any] struct {
	Value T
	Seq   uint64 // the order in which messages were put
	Lane  uint64 // LaneOf its customer; 0: it waits for nobody
	Bulk  bool   // after all live ones

	urgent bool // bulk, but a live one of its customer waits behind it
	tried  bool // it was delivered before
}

// LaneOf is the lane of a customer: 0 if there is none. Two customers may share one, which does no harm.
func LaneOf(customer string) uint64 {
	if customer == "" {
		return 0
	}
	h := uint64(14695981039346656037) // FNV-1a, without a copy of the string
	for i := range len(customer) {
		h = (h ^ uint64(customer[i])) * 1099511628211
	}
	return max(h, 1)
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
	heads    map[uint64]*Item[T]   // the first of each lane; only it may go
	behind   map[uint64][]*Item[T] // those that wait for the first of their lane
	turns    [3]turns[T]           // live; urgent: bulk ones that a live one of their customer waits for; bulk
	underWay map[*Item[T]]struct{}
	waiting  Counts
}

// The places in Line.turns.
const (
	live = iota
	urgent
	bulk
)

// Counts is how many messages have no outcome yet, those under way included.
type Counts struct{ Live, Bulk int }

// New returns an empty Line.
func New[T any]() *Line[T] {
	l := &Line[T]{start: time.Now(), heads: map[uint64]*Item[T]{}, behind: map[uint64][]*Item[T]{}, underWay: map[*Item[T]]struct{}{}}
	l.work, l.left = sync.NewCond(&l.mu), sync.NewCond(&l.mu)
	l.turns[bulk].leaves = true
	l.timer = time.AfterFunc(time.Hour, func() { l.wake(l.work.Signal) })
	l.timer.Stop()
	return l
}

func (l *Line[T]) now() time.Duration { return time.Since(l.start) }

// Add puts it at the end of the line. Its Seq is higher than those before.
func (l *Line[T]) Add(it *Item[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(it, nil)
}

// AddTried adds a message of an earlier process that waits for a retry for that long, or has waited.
func (l *Line[T]) AddTried(it *Item[T], wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	due := l.now() + wait
	l.add(it, &due)
}

func (l *Line[T]) add(it *Item[T], due *time.Duration) {
	l.last = max(l.last, it.Seq)
	if it.Bulk {
		l.waiting.Bulk++
	} else {
		l.waiting.Live++
	}
	if it.Lane != 0 {
		if l.heads[it.Lane] != nil {
			l.behind[it.Lane] = append(l.behind[it.Lane], it)
			if !it.Bulk {
				l.hurry(it.Lane)
			}
			return
		}
		l.heads[it.Lane] = it
	}
	if due != nil {
		it.tried = true
		l.turnsOf(it).retry(it, *due)
	} else {
		l.turnsOf(it).add(it)
	}
	l.work.Signal()
}

// hurry lets the bulk messages that a live one at the end of the lane waits for go before the other bulk ones.
func (l *Line[T]) hurry(lane uint64) {
	before := l.behind[lane]
	for i := len(before) - 2; i >= 0 && before[i].Bulk && !before[i].urgent; i-- {
		before[i].urgent = true
	}
	head := l.heads[lane]
	if !head.Bulk || head.urgent {
		return
	}
	head.urgent = true
	if _, ok := l.underWay[head]; !ok {
		l.turns[bulk].moveTo(&l.turns[urgent], head)
	}
	l.work.Signal()
}

func (l *Line[T]) turnsOf(it *Item[T]) *turns[T] {
	switch {
	case !it.Bulk:
		return &l.turns[live]
	case it.urgent:
		return &l.turns[urgent]
	default:
		return &l.turns[bulk]
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
	it.tried = true
	l.turnsOf(it).retry(it, l.now()+wait)
	l.work.Signal()
	l.left.Broadcast()
}

// Done takes a message that was under way out of the line.
func (l *Line[T]) Done(it *Item[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.underWay, it)
	if it.Bulk {
		l.waiting.Bulk--
	} else {
		l.waiting.Live--
	}
	l.leaveLane(it)
	l.work.Signal()
	l.left.Broadcast()
}

func (l *Line[T]) leaveLane(it *Item[T]) {
	lane := it.Lane
	if lane == 0 {
		return
	}
	it.Lane = 0
	next := l.behind[lane]
	if len(next) == 0 {
		delete(l.heads, lane)
		return
	}
	l.heads[lane] = next[0]
	l.turnsOf(next[0]).add(next[0])
	if len(next) == 1 {
		delete(l.behind, lane)
	} else {
		next[0] = nil
		l.behind[lane] = next[1:]
	}
}

// Waiting is how many messages have no outcome yet.
func (l *Line[T]) Waiting() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting
}
