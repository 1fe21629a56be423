package boltqueue

import "time"

// takeOutcomes must be called with q.mu held.
func (q *Queue) takeOutcomes() []outcome {
	n := min(len(q.outcomes), q.c.limit)
	taken := q.outcomes[:n:n]
	q.outcomes = q.outcomes[n:]
	if len(q.outcomes) == 0 {
		q.outcomes = nil
	}
	return taken
}

// more reports whether there is something to make ready, and need of it.
func (c *committer) more(r *ready, now time.Time) bool {
	fresh := len(r.fresh) < lowWater && c.cursor < c.st.seq
	due := len(r.due) < lowWater && c.nextDue != 0 && c.nextDue <= nanos(now)
	return len(c.items) < maxItems && (fresh || due)
}

func (c *committer) expired(now time.Time) bool { return c.prune != 0 && c.prune <= now.UnixNano() }

// wait is how long there will be nothing to do, unless something is asked for.
func (c *committer) wait(now time.Time, low bool) time.Duration {
	if now.Before(c.retryAt) {
		return c.retryAt.Sub(now)
	}
	d := time.Hour
	if len(c.held) > 0 {
		d = min(d, time.Duration(c.firstHeld()-now.UnixNano()))
	}
	if low && c.nextDue != 0 && len(c.items) < maxItems {
		d = min(d, time.Duration(int64(c.nextDue)-now.UnixNano()))
	}
	if c.prune != 0 {
		d = min(d, time.Duration(c.prune-now.UnixNano()))
	}
	return max(d, time.Millisecond)
}

func (c *committer) firstHeld() int64 {
	first := c.held[0].due
	for _, o := range c.held[1:] {
		first = min(first, o.due)
	}
	return first
}

// hold keeps messages that spent no attempt in memory, while they are few. It returns the outcomes to write.
func (c *committer) hold(outcomes []outcome) []outcome {
	write := outcomes[:0:0]
	for _, o := range outcomes {
		if o.verdict == held && len(c.held) < maxHeld {
			c.held = append(c.held, o)
		} else {
			write = append(write, o)
		}
	}
	return write
}

// unhold returns the messages held whose time has come.
func (c *committer) unhold(now time.Time) (due []*item) {
	kept := c.held[:0]
	for _, o := range c.held {
		if o.due <= now.UnixNano() {
			due = append(due, o.it)
		} else {
			kept = append(kept, o)
		}
	}
	clear(c.held[len(kept):])
	c.held = kept
	return due
}
