//go:build linux

package bench

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
	_ "modernc.org/sqlite"
)

// store keeps messages; put returns when its message is on disk.
type store struct {
	name    string
	put     func(fprom.Message) error
	commits func() uint64 // so far
	close   func() error
	path    string
}

// record is a message as the floors keep it: in as many bytes as boltqueue does.
type record struct {
	seq   uint64
	key   [16]byte // hash of the message's key, for the floor with an index
	value []byte
	done  chan error
}

// recordHeader is the size of what boltqueue keeps of a message beside its texts.
const recordHeader = 38

func recordOf(m fprom.Message) *record {
	value := make([]byte, recordHeader, recordHeader+len(m.Key)+len(m.Kind)+len(m.Customer)+len(m.Body))
	value = append(append(append(append(value, m.Key...), m.Kind...), m.Customer...), m.Body...)
	return &record{value: value, done: make(chan error, 1)}
}

// grouper is the group commit that all floors share, and that boltqueue has too: one goroutine writes whatever has
// gathered while the last group was being written.
type grouper struct {
	write   func([]*record) error
	mu      sync.Mutex
	waiting []*record
	kick    chan struct{}
	quit    chan struct{}
	ended   chan struct{}
	seq     uint64
	commits atomic.Uint64
}

func newGrouper(write func([]*record) error) *grouper {
	g := &grouper{write: write, kick: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{})}
	go g.run()
	return g
}

func (g *grouper) put(m fprom.Message) error {
	r := recordOf(m)
	g.mu.Lock()
	g.waiting = append(g.waiting, r)
	g.mu.Unlock()
	select {
	case g.kick <- struct{}{}:
	default:
	}
	return <-r.done
}

func (g *grouper) run() {
	defer close(g.ended)
	for {
		g.mu.Lock()
		group := g.waiting
		g.waiting = nil
		g.mu.Unlock()
		if len(group) == 0 {
			select {
			case <-g.kick:
				continue
			case <-g.quit:
				return
			}
		}
		for _, r := range group {
			g.seq++
			r.seq = g.seq
		}
		err := g.write(group)
		g.commits.Add(1)
		for _, r := range group {
			r.done <- err
		}
	}
}

func (g *grouper) stop() {
	close(g.quit)
	<-g.ended
}

func (g *grouper) store(name, path string, closeFile func() error) store {
	return store{name, g.put, g.commits.Load, func() error { g.stop(); return closeFile() }, path}
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// openFloor is bbolt with the messages in the order they came, in full pages, as boltqueue has them. index adds what
// recognizes a duplicate in the plain way: a second bucket by the hash of the key.
func openFloor(b *testing.B, dir, name string, index bool) store {
	b.Helper()
	path := filepath.Join(dir, name)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, NoFreelistSync: true})
	must(b, err)
	buckets := [][]byte{[]byte("open"), []byte("index")}
	must(b, db.Update(func(tx *bbolt.Tx) error {
		for _, n := range buckets {
			if _, err := tx.CreateBucket(n); err != nil {
				return err
			}
		}
		return nil
	}))
	return newGrouper(func(group []*record) error {
		return db.Update(func(tx *bbolt.Tx) error {
			pending, keys := tx.Bucket(buckets[0]), tx.Bucket(buckets[1])
			pending.FillPercent = 1
			for _, r := range group {
				seq := binary.BigEndian.AppendUint64(nil, r.seq)
				if err := pending.Put(seq, r.value); err != nil {
					return err
				}
				if !index {
					continue
				}
				h := sha256.Sum256(r.value[recordHeader:])
				r.key = [16]byte(h[:16])
				if err := keys.Put(r.key[:], append(seq, r.key[:8]...)); err != nil {
					return err
				}
			}
			return nil
		})
	}).store(name, path, db.Close)
}

// openAppend is the physical floor: the bytes of the group at the end of a file, and one fdatasync.
func openAppend(b *testing.B, dir string) store {
	b.Helper()
	path := filepath.Join(dir, "append")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	must(b, err)
	var buf []byte
	return newGrouper(func(group []*record) error {
		buf = buf[:0]
		for _, r := range group {
			buf = binary.BigEndian.AppendUint64(buf, r.seq)
			buf = append(binary.AppendUvarint(buf, uint64(len(r.value))), r.value...)
		}
		if _, err := f.Write(buf); err != nil {
			return err
		}
		return unix.Fdatasync(int(f.Fd()))
	}).store("append+fdatasync", path, f.Close)
}

// openSQLite is SQLite with its write-ahead log and a sync at each commit; one transaction for a group.
func openSQLite(b *testing.B, dir string) store {
	b.Helper()
	path := filepath.Join(dir, "sqlite.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	must(b, err)
	db.SetMaxOpenConns(1)
	ctx := context.Background()
	var mode string
	must(b, db.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&mode))
	var sync int
	must(b, db.QueryRowContext(ctx, `PRAGMA synchronous`).Scan(&sync))
	if mode != "wal" || sync != 2 {
		b.Fatalf("journal_mode %s, synchronous %d", mode, sync)
	}
	_, err = db.ExecContext(ctx, `CREATE TABLE pending (seq INTEGER PRIMARY KEY, value BLOB NOT NULL)`)
	must(b, err)
	insert, err := db.PrepareContext(ctx, `INSERT INTO pending (seq, value) VALUES (?, ?)`)
	must(b, err)
	return newGrouper(func(group []*record) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		stmt := tx.StmtContext(ctx, insert)
		for _, r := range group {
			if _, err := stmt.ExecContext(ctx, int64(r.seq), r.value); err != nil {
				return err
			}
		}
		return tx.Commit()
	}).store("SQLite WAL FULL", path, db.Close)
}

func openOutbox(b *testing.B, dir string) store {
	b.Helper()
	path := filepath.Join(dir, "outbox")
	q, err := boltqueue.Open(path)
	must(b, err)
	put := func(m fprom.Message) error { return q.Put(context.Background(), m) }
	return store{"fprom/boltqueue", put, func() uint64 { return lastTransaction(b, path) }, q.Close, path}
}

// lastTransaction is the number of the last commit in a bbolt file, also while it is open: from its two meta pages.
func lastTransaction(b *testing.B, path string) uint64 {
	b.Helper()
	f, err := os.Open(path)
	must(b, err)
	defer f.Close()
	const txid = 16 + 48 // behind the head of the page, in the meta record
	var last uint64
	for page := range int64(2) {
		var id [8]byte
		_, err := f.ReadAt(id[:], page*int64(os.Getpagesize())+txid)
		must(b, err)
		last = max(last, binary.NativeEndian.Uint64(id[:]))
	}
	return last
}
