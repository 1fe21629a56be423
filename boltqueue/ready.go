package boltqueue

// ready are the messages that may be delivered now. Those that were never put off and those whose time has come take turns:
// retries that fail again and again do not starve the fresh, nor these them.
type ready struct {
	fresh itemHeap // the oldest first
	due   itemHeap // in the order of their times
	turn  bool
}

func (r *ready) len() int { return len(r.fresh) + len(r.due) }

func (r *ready) push(it *item) {
	if it.due == 0 {
		r.fresh.push(it)
	} else {
		r.due.push(it)
	}
}

// pop must not be called when there is nothing. low: of this kind there are just so few that more should be loaded.
func (r *ready) pop() (it *item, low bool) {
	h, other := &r.fresh, &r.due
	if r.turn = !r.turn; r.turn {
		h, other = other, h
	}
	if len(*h) == 0 {
		h = other
	}
	it = h.pop()
	return it, len(*h) == lowWater-1
}

// itemHeap is a binary heap.
type itemHeap []*item

func (h itemHeap) less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].seq < h[j].seq
}

func (h *itemHeap) push(it *item) {
	*h = append(*h, it)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if !s.less(i, up) {
			break
		}
		s[up], s[i] = s[i], s[up]
		i = up
	}
}

func (h *itemHeap) pop() *item {
	s := *h
	top, n := s[0], len(s)-1
	s[0], s[n] = s[n], nil
	s = s[:n]
	*h = s
	for i := 0; ; {
		c := 2*i + 1
		if c >= n {
			return top
		}
		if c+1 < n && s.less(c+1, c) {
			c++
		}
		if !s.less(c, i) {
			return top
		}
		s[i], s[c] = s[c], s[i]
		i = c
	}
}
