package backlog

import (
	"container/heap"
	"slices"
	"time"
)

// ready holds the messages of one class that do not wait for another message: new ones, oldest first, and tried ones, by due
// time. The two take turns, so that neither keeps the other waiting.
type ready[T any] struct {
	fresh, tried itemHeap[T]
	wasTried     bool // the last message that was taken
}

func (r *ready[T]) add(it *Item[T]) {
	h := &r.fresh
	if it.tried {
		h = &r.tried
	}
	heap.Push(h, it)
}

// remove removes and returns the message of a lane, of which there is at most one; nil if there is none. It searches, since
// it is rarely called.
func (r *ready[T]) remove(lane uint32) *Item[T] {
	for _, h := range []*itemHeap[T]{&r.fresh, &r.tried} {
		if i := slices.IndexFunc(*h, func(it *Item[T]) bool { return it.Lane == lane }); i >= 0 {
			return heap.Remove(h, i).(*Item[T])
		}
	}
	return nil
}

// next removes and returns the next message; nil if there is none. If withTried is true, it may be a tried one.
func (r *ready[T]) next(now time.Duration, withTried bool) *Item[T] {
	fresh := len(r.fresh) > 0
	tried := withTried && len(r.tried) > 0 && r.tried[0].due <= now
	switch {
	case fresh && (!tried || r.wasTried):
		r.wasTried = false
		return heap.Pop(&r.fresh).(*Item[T])
	case tried:
		r.wasTried = true
		return heap.Pop(&r.tried).(*Item[T])
	}
	return nil
}

// itemHeap is a heap of messages by due time, then by Seq.
type itemHeap[T any] []*Item[T]

func (h itemHeap[T]) Len() int { return len(h) }

func (h itemHeap[T]) Less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].Seq < h[j].Seq
}

func (h itemHeap[T]) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *itemHeap[T]) Push(x any)   { *h = append(*h, x.(*Item[T])) }

func (h *itemHeap[T]) Pop() any {
	n := len(*h) - 1
	last := (*h)[n]
	(*h)[n] = nil
	*h = (*h)[:n]
	return last
}
