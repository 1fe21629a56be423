package boltqueue

import "bytes"

// WithMemKeys makes runs of the index so small that a test has many.
func WithMemKeys(n int) Option { return func(q *Queue) { q.memKeys = n } }

// SetFailpoint is for a process that tests itself; it must be called before Open.
func SetFailpoint(f func(name string)) { failpoint = f }

// Runs is the number of runs of the index.
func (q *Queue) Runs() int { return len(q.c.runs) }

// CheckWhole checks the structure of a file.
func CheckWhole(file []byte) error {
	p, err := newPager(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return err
	}
	if err := p.checkFormat(); err != nil {
		return err
	}
	return p.check(true)
}
