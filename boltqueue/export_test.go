package boltqueue

import (
	"encoding/binary"
	"os"
	"time"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

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

// WithSocketEnd replaces what ends the socket.
func WithSocketEnd(end func()) Option { return func(q *Queue) { q.noSocket, q.unlisten = true, end } }

// WithAllocate replaces what takes disk space for the reserve.
func WithAllocate(take func() error) Option {
	return func(q *Queue) { q.allocate = func(*os.File, int64) error { return take() } }
}

// SetFailpoint is for a process that tests itself; it must be called before Open.
func SetFailpoint(f func(name string)) { failpoint = f }

// DialWithin is Dial with another limit.
func DialWithin(path string, d time.Duration) (fprom.Outbox, error) { return dial(path, d) }

// CheckPages checks the structure of a file.
func CheckPages(path string) error {
	return guard(func() error { return check(path) })
}

// Commits is the number of commits of the file so far.
func (q *Queue) Commits() int { return q.lastCommit() }

// SetFormatVersion makes an open file one of another release.
func (q *Queue) SetFormatVersion(version uint16) error {
	return q.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketMeta).Put(keyFormat, binary.BigEndian.AppendUint16([]byte(formatName), version))
	})
}

// Keys is how many keys all buckets have.
func (q *Queue) Keys() (n int, err error) {
	err = q.db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
			n += b.Stats().KeyN
			return nil
		})
	})
	return n, err
}
