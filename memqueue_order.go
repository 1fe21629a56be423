package fprom

// list is a first-in first-out list of slots, linked by readyNext.
type list struct{ head, tail int32 }

func (q *memoryQueue) push(l *list, i int32) {
	q.at(i).readyNext = none
	if l.tail == none {
		l.head = i
	} else {
		q.at(l.tail).readyNext = i
	}
	l.tail = i
}

// pop takes from the two lists in turn: retries that fail again and again do not starve the fresh, nor these them.
func (q *memoryQueue) pop() int32 {
	l, other := &q.newer, &q.older
	if q.turn = !q.turn; q.turn {
		l, other = other, l
	}
	if l.head == none {
		l = other
	}
	i := l.head
	if i != none {
		l.head = q.at(i).readyNext
		if l.head == none {
			l.tail = none
		}
	}
	return i
}

// dueHeap orders the slots that wait for a retry by time.
type dueHeap struct {
	q   *memoryQueue
	due []int32
}

func (h dueHeap) Len() int           { return len(h.due) }
func (h dueHeap) Less(i, j int) bool { return h.q.at(h.due[i]).due.Before(h.q.at(h.due[j]).due) }
func (h dueHeap) Swap(i, j int)      { h.due[i], h.due[j] = h.due[j], h.due[i] }
func (h *dueHeap) Push(x any)        { h.due = append(h.due, x.(int32)) }
func (h *dueHeap) Pop() any {
	n := len(h.due) - 1
	x := h.due[n]
	h.due = h.due[:n]
	return x
}
