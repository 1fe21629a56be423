package boltqueue

type socket struct{}

func (q *Queue) listen() *socket { return nil }

func (s *socket) close() {}
