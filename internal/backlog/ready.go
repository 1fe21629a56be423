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

func (r *ready[T]) heapOf(it *Item[T]) *itemHeap[T] {
	if it.tried {
		return &r.tried
	}
	return &r.fresh
}

func (r *ready[T]) add(it *Item[T]) { heap.Push(r.heapOf(it), it) }

// remove searches for the message, since it is rarely called.
func (r *ready[T]) remove(it *Item[T]) {
	h := r.heapOf(it)
	heap.Remove(h, slices.Index(*h, it))
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
	*h = slices.Delete(*h, n, n+1) // it clears the place, which would keep the message in memory
	return last
}
