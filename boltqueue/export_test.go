package boltqueue

import (
	"bytes"
	"encoding/binary"
	"os"

	"go.etcd.io/bbolt"
)

// WithMemKeys makes runs of the index so small that a test has many.
func WithMemKeys(n int) Option { return func(q *Queue) { q.memKeys = n } }

// WithFailures makes commits fail before or after they are written, where these return an error.
func WithFailures(before, after func() error) Option {
	return func(q *Queue) {
		q.commitTx = func(tx *bbolt.Tx) error {
			if err := before(); err != nil {
				_ = tx.Rollback()
				return err
			}
			if err := tx.Commit(); err != nil {
				return err
			}
			return after()
		}
	}
}

// SetFailpoint is for a process that tests itself; it must be called before Open.
func SetFailpoint(f func(name string)) { failpoint = f }

// Runs is the number of runs of the index.
func (q *Queue) Runs() int { return len(q.c.runs) }

// DeadKeys is how many keys the bucket of the dead letters has, notes of dropped ones included.
func (q *Queue) DeadKeys() (n int, err error) {
	err = q.db.View(func(tx *bbolt.Tx) error {
		n = tx.Bucket(bucketDead).Stats().KeyN
		return nil
	})
	return n, err
}

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

// Block keeps the committer from beginning a transaction until release is called.
func (q *Queue) Block() (release func() error, err error) {
	tx, err := q.db.Begin(true)
	if err != nil {
		return nil, err
	}
	return tx.Rollback, nil
}

// Waiting is the number of requests that no commit has taken.
func (q *Queue) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.requests)
}

// Commits is the number of commits of a file so far.
func Commits(file *os.File) (uint64, error) {
	p, err := pagerOf(file)
	if err != nil {
		return 0, err
	}
	return p.meta.txid, nil
}

// SetFormatVersion makes an open file one of another release.
func (q *Queue) SetFormatVersion(version uint16) error {
	return q.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketMeta).Put(keyFormat, binary.BigEndian.AppendUint16([]byte(formatName), version))
	})
}

// Taken reports whether the committer has taken all requests, and is not done with them.
func (q *Queue) Taken() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.requests) == 0 && q.c.writing
}
