package boltqueue_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"go.etcd.io/bbolt"
)

func TestNewFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "fprom.db")
	closeQueue(t, open(t, dir))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}
	onlyOutbox(t, dir)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	put(t, open(t, dir), sale(t, 1, 100)) // an empty file becomes an outbox
}

// TestWholeFromTheStart: nobody sees a new file before it is complete, as the next start would if the process died meanwhile.
func TestWholeFromTheStart(t *testing.T) {
	t.Parallel()
	for range 30 {
		dir := t.TempDir()
		size := make(chan int64, 1)
		go func() {
			info, err := os.Stat(filepath.Join(dir, "fprom.db"))
			for ; errors.Is(err, fs.ErrNotExist) && t.Context().Err() == nil; info, err = os.Stat(filepath.Join(dir, "fprom.db")) {
			}
			if err == nil {
				size <- info.Size()
			}
			close(size)
		}()
		closeQueue(t, open(t, dir))
		if <-size == 0 {
			t.Fatal("the file was there before its content")
		}
	}
}

func TestLocked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "fprom.db")
		q := open(t, dir)
		put(t, q, sale(t, 1, 100))
		start := time.Now()
		_, err := openAt(path)
		if !errors.Is(err, boltqueue.ErrLocked) || !strings.Contains(err.Error(), path) {
			t.Errorf("second Open: %v, want ErrLocked and the path", err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("second Open took %v", took)
		}
		if err := boltqueue.Compact(path); !errors.Is(err, boltqueue.ErrLocked) {
			t.Errorf("Compact of an open file: %v, want ErrLocked", err)
		}
		put(t, q, sale(t, 2, 100))
		time.AfterFunc(600*time.Millisecond, func() { closeQueue(t, q) }) // it only had a look
		if s := stats(t, open(t, dir)); s.Pending != 2 {
			t.Errorf("after Close and Open: %+v, want 2 pending", s)
		}
	})
}

// image is the content of a file with an outbox that knows the events that it returns, and nothing else.
func image(tb testing.TB) (file []byte, events map[string]string) {
	tb.Helper()
	dir := tb.TempDir()
	path := filepath.Join(dir, "fprom.db")
	q, err := openAt(path)
	if err != nil {
		tb.Fatal(err)
	}
	events = map[string]string{}
	for i := range 90 {
		m := sale(tb, i, int64(1000+i))
		m.Customer = []string{"", "ann", "ben", m.Customer}[i%4]
		events[m.Key] = string(m.Body)
		put(tb, q, m)
		if i == 50 {
			deliver(tb, q, nil)
		}
	}
	if err := q.Close(); err != nil {
		tb.Fatal(err)
	}
	file, err = os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return file, events
}

// TestRefused: what cannot be opened says why, and stays as it was.
func TestRefused(t *testing.T) {
	t.Parallel()
	outbox, _ := image(t)
	tests := []struct {
		name string
		make func(t *testing.T, path string)
		want error
	}{
		{"a text file", content([]byte("hello, this is not a database\n")), boltqueue.ErrForeign},
		{"a file of zeros", content(make([]byte, 1<<16)), boltqueue.ErrForeign},
		{"a long text", content(bytes.Repeat([]byte("SQLite format 3\x00"), 1<<12)), boltqueue.ErrForeign},
		{"another database of bbolt", foreignBolt, boltqueue.ErrForeign},
		{"a file of a newer release", newer, boltqueue.ErrNewerFormat},
		{"a file of an older release", older, boltqueue.ErrOldFormat},
		{"a file with the buckets of format 2", format2, boltqueue.ErrOldFormat},
		{"one byte short of all pages", content(outbox[:len(outbox)/2-1]), boltqueue.ErrDamaged},
		{"one page", content(outbox[:4096]), boltqueue.ErrDamaged},
		{"less than a page", content(outbox[:1000]), boltqueue.ErrForeign},
		{"a page that leads to no other", branchOfDone(outbox, func(page []byte, _ uint64) { binary.NativeEndian.PutUint16(page[10:], 0) }), boltqueue.ErrDamaged},
		{"a page that leads to itself", branchOfDone(outbox, func(page []byte, id uint64) { binary.NativeEndian.PutUint64(page[24:], id) }), boltqueue.ErrDamaged},
		{"a page with keys out of order", branchOfDone(outbox, func(page []byte, _ uint64) {
			clear(page[32+binary.NativeEndian.Uint32(page[32:]):][:8]) // the second key
		}), boltqueue.ErrDamaged},
		{"an event whose number will be given to another one", withOpen(outbox, func(b *bbolt.Bucket) error { return b.SetSequence(0) }), boltqueue.ErrDamaged},
		{"an event with a short number", withOpen(outbox, func(b *bbolt.Bucket) error { return b.Put([]byte{0}, nil) }), boltqueue.ErrDamaged},
		{"a read-only file", readOnly(outbox), fs.ErrPermission},
		{"a directory", func(t *testing.T, path string) {
			t.Helper()
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, nil},
		{"no such directory", func(*testing.T, string) {}, fs.ErrNotExist},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "fprom.db")
			tt.make(t, path)
			if errors.Is(tt.want, fs.ErrNotExist) {
				path = filepath.Join(path, "fprom.db")
			}
			before, _ := os.ReadFile(path)
			_, err := openAt(path)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open: %v, want %v and the path", err, tt.want)
			}
			if own := []error{boltqueue.ErrForeign, boltqueue.ErrOldFormat, boltqueue.ErrNewerFormat}; slices.Contains(own, tt.want) || tt.name == "a page that leads to no other" {
				if err := boltqueue.Compact(path); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), path) {
					t.Errorf("Compact: %v, want %v and the path", err, tt.want)
				}
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func content(b []byte) func(t *testing.T, path string) {
	return func(t *testing.T, path string) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func readOnly(b []byte) func(t *testing.T, path string) {
	return func(t *testing.T, path string) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o400); err != nil {
			t.Fatal(err)
		}
	}
}

// branchOfDone writes the outbox with a damage to the page above those of the done events.
func branchOfDone(outbox []byte, harm func(page []byte, id uint64)) func(t *testing.T, path string) {
	return func(t *testing.T, path string) {
		t.Helper()
		content(outbox)(t, path)
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		damaged := bytes.Clone(outbox)
		err = db.View(func(tx *bbolt.Tx) error {
			id := uint64(tx.Bucket([]byte("done")).Root())
			page := damaged[4096*id:]
			if kind := binary.NativeEndian.Uint16(page[8:]); kind != 1 {
				t.Errorf("the page is of kind %d, want a branch page", kind)
			}
			harm(page, id)
			return nil
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		content(damaged)(t, path)
	}
}

// withOpen writes the outbox with a change of the bucket of its open events.
func withOpen(outbox []byte, change func(*bbolt.Bucket) error) func(t *testing.T, path string) {
	return func(t *testing.T, path string) {
		t.Helper()
		content(outbox)(t, path)
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bbolt.Tx) error { return change(tx.Bucket([]byte("open"))) })
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func foreignBolt(t *testing.T, path string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("users"))
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func newer(t *testing.T, path string) {
	t.Helper()
	q, err := openAt(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(q.SetFormatVersion(4), q.Close()); err != nil {
		t.Fatal(err)
	}
}

func older(t *testing.T, path string) {
	t.Helper()
	q, err := openAt(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(q.SetFormatVersion(1), q.Close()); err != nil {
		t.Fatal(err)
	}
}

func format2(t *testing.T, path string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range []string{"waiting", "dead", "done", "ids", "times", "conflicts"} {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		meta, err := tx.CreateBucket([]byte("meta"))
		return errors.Join(err, meta.Put([]byte("format"), []byte("fprom-boltqueue\x00\x02")))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestPageSize: an outbox from a machine with smaller pages of memory can be used.
func TestPageSize(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := bbolt.Open(filepath.Join(dir, "fprom.db"), 0o600, &bbolt.Options{PageSize: os.Getpagesize() / 4})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	put(t, open(t, dir), sale(t, 1, 100))
}

// TestWithoutCreate: who only looks makes no file, and sees what waits in one that nobody has open.
func TestWithoutCreate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "fprom.db")
	if _, err := figures(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open without creating: %v", err)
	}
	q := open(t, dir)
	first, bulk := sale(t, 1, 100), sale(t, 2, 100)
	bulk.Bulk = true
	put(t, q, first, bulk)
	if _, err := figures(path); !errors.Is(err, boltqueue.ErrLocked) {
		t.Errorf("Open of an open file: %v, want ErrLocked", err)
	}
	closeQueue(t, q)
	if s, err := figures(path); err != nil || s.Pending != 1 || s.Bulk != 1 || !s.Oldest.Equal(first.RecordedAt) {
		t.Errorf("Stats: %+v, %v", s, err)
	}
	onlyOutbox(t, dir)
}

// TestUnclearPaths: an error names what is missing.
func TestUnclearPaths(t *testing.T) {
	t.Parallel()
	if _, err := openAt(""); err == nil || !strings.Contains(err.Error(), "path is empty") {
		t.Errorf("Open of no path: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "missing")
	if _, err := openAt(filepath.Join(dir, "fprom.db")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "make its directory first") || strings.Contains(err.Error(), ".new-") {
		t.Errorf("Open in no directory: %v", err)
	}
}

// TestWait: a second service takes over within a second when the first one ends.
func TestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "fprom.db")
		q := open(t, dir)
		put(t, q, sale(t, 1, 100))
		if _, err := boltqueue.Open(path, boltqueue.WithWait(time.Second), discard); !errors.Is(err, boltqueue.ErrLocked) {
			t.Errorf("Open that waited for nothing: %v", err)
		}
		ended := time.Now().Add(20 * time.Second)
		time.AfterFunc(time.Until(ended), func() { closeQueue(t, q) })
		next, err := boltqueue.Open(path, boltqueue.WithWait(time.Minute), boltqueue.WithoutSocket(), discard)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(ended); took < 0 || took > time.Second {
			t.Errorf("it has the file %v after the end of the first one", took)
		}
		if s := stats(t, next); s.Pending != 1 {
			t.Errorf("it found %+v", s)
		}
		closeQueue(t, next)
	})
}

// TestReplacedWhileWaiting: who waits for a file that another process replaces meanwhile, as Compact does, opens the new one.
func TestReplacedWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "fprom.db")
		closeQueue(t, open(t, dir))
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		reader, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true}) // it lets others read, as the check of Open does
		if err != nil {
			t.Fatal(err)
		}
		var opened sync.WaitGroup
		opened.Go(func() { put(t, open(t, dir), sale(t, 1, 100)) })
		synctest.Wait()
		content(file)(t, path+".new")
		if err := errors.Join(os.Rename(path+".new", path), reader.Close()); err != nil {
			t.Fatal(err)
		}
		opened.Wait()
	})
}

func TestCompact(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "fprom.db")
	q := open(t, dir)
	var ms []fprom.Message
	for i := range 3000 {
		m := sale(t, i, 100)
		m.Body = append(m.Body[:len(m.Body)-1], `,"plan":"`+strings.Repeat("x", 200)+`"}`...)
		if ms = append(ms, m); len(ms) == 100 {
			put(t, q, ms...)
			ms = nil
		}
	}
	deliver(t, q, nil)
	put(t, q, sale(t, "waits", 100))
	closeQueue(t, q)
	before, size := inspect(t, path)
	if err := boltqueue.Compact(path); err != nil {
		t.Fatal(err)
	}
	if after, smaller := inspect(t, path); after != before || smaller*2 > size {
		t.Errorf("compacted: %+v in %d bytes, before %+v in %d", after, smaller, before, size)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode().Perm(), err)
	}
	onlyOutbox(t, dir)
	q = open(t, dir)
	put(t, q, sale(t, 1, 100), sale(t, 2999, 100)) // remembered
	if got := deliver(t, q, nil); len(got) != 1 || got[0].Key != "sale:waits" {
		t.Errorf("delivered %v, want the one that waits", got)
	}
	if err := boltqueue.Compact(filepath.Join(dir, "none.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Compact of no file: %v", err)
	}
}

func inspect(t *testing.T, path string) (fprom.QueueStats, int64) {
	t.Helper()
	s, err := figures(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return s, info.Size()
}

// onlyOutbox: there is nothing in dir but the file, for its owner alone.
func onlyOutbox(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v; want 0600", e.Name(), info.Mode().Perm(), err)
		}
	}
	if !slices.Equal(names, []string{"fprom.db"}) {
		t.Errorf("the directory has %v", names)
	}
}
