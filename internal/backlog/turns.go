package backlog

import (
	"container/heap"
	"time"
)

// turns is what may go: new messages and tried ones in turn, so that neither keeps the other waiting.
type turns[T any] struct {
	leaves   bool // these are the bulk ones; what became urgent is skipped
	fresh    byPut[T]
	tried    byDue[T]
	wasTried bool // the last one was a tried one
}

func (t *turns[T]) add(it *Item[T]) { heap.Push(&t.fresh, it) }

func (t *turns[T]) retry(it *Item[T], due time.Duration) { heap.Push(&t.tried, retry[T]{it, due}) }

// moveTo lets it wait in other instead. What stays of it here is skipped.
func (t *turns[T]) moveTo(other *turns[T], it *Item[T]) {
	if !it.tried {
		other.add(it)
		return
	}
	for _, r := range t.tried {
		if r.it == it {
			other.retry(it, r.due)
			return
		}
	}
}

// moved reports whether it is among the urgent ones meanwhile.
func (t *turns[T]) moved(it *Item[T]) bool { return t.leaves && it.urgent }

// tidy drops from the tops what has moved.
func (t *turns[T]) tidy() {
	for len(t.fresh) > 0 && t.moved(t.fresh[0]) {
		heap.Pop(&t.fresh)
	}
	for len(t.tried) > 0 && t.moved(t.tried[0].it) {
		heap.Pop(&t.tried)
	}
}

// next takes the message whose turn it is; nil if there is none. withTried: a tried one may go.
func (t *turns[T]) next(now time.Duration, withTried bool) *Item[T] {
	t.tidy()
	fresh := len(t.fresh) > 0
	tried := withTried && len(t.tried) > 0 && t.tried[0].due <= now
	switch {
	case fresh && (!tried || t.wasTried):
		t.wasTried = false
		return heap.Pop(&t.fresh).(*Item[T])
	case tried:
		t.wasTried = true
		return heap.Pop(&t.tried).(retry[T]).it
	}
	return nil
}

// retry is a message that waits for its time.
type retry[T any] struct {
	it  *Item[T]
	due time.Duration
}

// byDue is a heap of tried messages by the time they are due.
type byDue[T any] []retry[T]

func (h byDue[T]) Len() int           { return len(h) }
func (h byDue[T]) Less(i, j int) bool { return h[i].due < h[j].due }
func (h byDue[T]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byDue[T]) Push(x any)        { *h = append(*h, x.(retry[T])) }
func (h *byDue[T]) Pop() any          { return pop((*[]retry[T])(h)) }

// byPut is a heap of new messages in the order they were put.
type byPut[T any] []*Item[T]

func (h byPut[T]) Len() int           { return len(h) }
func (h byPut[T]) Less(i, j int) bool { return h[i].Seq < h[j].Seq }
func (h byPut[T]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byPut[T]) Push(x any)        { *h = append(*h, x.(*Item[T])) }
func (h *byPut[T]) Pop() any          { return pop((*[]*Item[T])(h)) }

func pop[E any](s *[]E) E {
	n := len(*s) - 1
	last := (*s)[n]
	clear((*s)[n:])
	*s = (*s)[:n]
	if n == 0 {
		*s = nil
	}
	return last
}
