// Package slab hands out values that live as long as a request, at a sixteenth of an allocation each.
package slab

import "sync"

// size is the number of values in a chunk. A larger one saves little and pins more.
const size = 16

// Slab cuts values of type T from chunks. A value is handed out once and never again, so that whoever keeps a pointer
// after the request (a goroutine with the request's context) can never see another request's data through it. The price:
// a value that stays reachable keeps its whole chunk in memory. The zero Slab is ready; it is safe for concurrent use.
type Slab[T any] struct{ chunks sync.Pool }

type chunk[T any] struct {
	used   int
	values [size]T
}

// Get returns a zero T that nobody else has or will have.
func (s *Slab[T]) Get() *T {
	c, _ := s.chunks.Get().(*chunk[T])
	if c == nil {
		c = new(chunk[T])
	}
	v := &c.values[c.used]
	if c.used++; c.used < size {
		s.chunks.Put(c)
	}
	return v
}
