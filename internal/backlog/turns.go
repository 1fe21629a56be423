package backlog

import (
	"container/heap"
	"slices"
	"time"
)

// turns is what may go: new messages, oldest first, and tried ones, by the time they are due, in turn, so that neither
// keeps the other waiting.
type turns[T any] struct {
	fresh, tried order[T]
	wasTried     bool // the last one was a tried one
}

func (t *turns[T]) of(it *Item[T]) *order[T] {
	if it.tried {
		return &t.tried
	}
	return &t.fresh
}

func (t *turns[T]) add(it *Item[T]) { heap.Push(t.of(it), it) }

// remove takes the message of that lane, of which there is at most one; nil if there is none.
func (t *turns[T]) remove(lane uint32) *Item[T] {
	for _, o := range []*order[T]{&t.fresh, &t.tried} {
		if i := slices.IndexFunc(*o, func(it *Item[T]) bool { return it.Lane == lane }); i >= 0 {
			return heap.Remove(o, i).(*Item[T])
		}
	}
	return nil
}

// next takes the message whose turn it is; nil if there is none. withTried: a tried one may go.
func (t *turns[T]) next(now time.Duration, withTried bool) *Item[T] {
	fresh := len(t.fresh) > 0
	tried := withTried && len(t.tried) > 0 && t.tried[0].due <= now
	switch {
	case fresh && (!tried || t.wasTried):
		t.wasTried = false
		return heap.Pop(&t.fresh).(*Item[T])
	case tried:
		t.wasTried = true
		return heap.Pop(&t.tried).(*Item[T])
	}
	return nil
}

// order is a heap of messages by the time they are due, and then by the order in which they were put.
type order[T any] []*Item[T]

func (o order[T]) Len() int { return len(o) }

func (o order[T]) Less(i, j int) bool {
	return o[i].due < o[j].due || o[i].due == o[j].due && o[i].Seq < o[j].Seq
}

func (o order[T]) Swap(i, j int) { o[i], o[j] = o[j], o[i] }
func (o *order[T]) Push(x any)   { *o = append(*o, x.(*Item[T])) }

func (o *order[T]) Pop() any {
	n := len(*o) - 1
	last := (*o)[n]
	(*o)[n] = nil
	if *o = (*o)[:n]; n == 0 {
		*o = nil // a long line was
	}
	return last
}
