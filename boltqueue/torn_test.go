package boltqueue_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"go.etcd.io/bbolt"
)

// FuzzTornFile cuts bytes off the end of an outbox and flips others: it is refused, or what it still delivers was put into
// it, and nothing panics.
func FuzzTornFile(f *testing.F) {
	file, events := image(f)
	f.Add(uint32(0), []byte{})
	f.Add(uint32(1), []byte{})
	f.Add(uint32(5000), []byte{})
	f.Add(uint32(0), flip(16, 0xff))                        // in a meta page
	f.Add(uint32(0), flip(4096+64, 1))                      // in the other one
	f.Add(uint32(0), append(flip(40, 1), flip(4140, 1)...)) // in both
	for at := uint32(2 * 4096); at < uint32(len(file)); at += 1999 {
		f.Add(uint32(0), flip(at, 0x81))
	}
	for page := uint32(2); page*4096 < uint32(len(file)); page++ {
		f.Add(uint32(0), flip(page*4096+8, 3))  // its kind
		f.Add(uint32(0), flip(page*4096+10, 1)) // its number of elements
		f.Add(uint32(0), flip(page*4096+15, 3)) // how many pages it has: more than the memory
	}
	f.Fuzz(func(t *testing.T, cut uint32, flips []byte) {
		t.Parallel()
		torn := bytes.Clone(file)
		for ; len(flips) >= 5; flips = flips[5:] {
			torn[binary.BigEndian.Uint32(flips)%uint32(len(torn))] ^= flips[4]
		}
		torn = torn[:len(torn)-int(cut%uint32(len(torn)))]
		checkTorn(t, torn, events)
	})
}

func flip(at uint32, mask byte) []byte { return append(binary.BigEndian.AppendUint32(nil, at), mask) }

func checkTorn(t *testing.T, torn []byte, events map[string]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fprom.db")
	if err := os.WriteFile(path, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	q, err := openAt(path, boltqueue.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		if after, _ := os.ReadFile(path); !bytes.Equal(torn, after) {
			t.Errorf("a file that was refused (%v) was changed", err)
		}
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	put := q.Put(ctx, sale(t, "new", 1))
	flushed := make(chan error, 1)
	go func() {
		flushed <- q.Flush(ctx)
		cancel()
	}()
	var mu sync.Mutex
	delivered := map[string]int{}
	err = run(ctx, q, func(_ context.Context, m fprom.Message) error {
		mu.Lock()
		defer mu.Unlock()
		delivered[m.Key]++
		if m.Key != "sale:new" && events[m.Key] != string(m.Body) {
			t.Errorf("delivered %s %s, which was never put", m.Key, m.Body)
		}
		return nil
	})
	for e, err := range q.Entries(context.WithoutCancel(ctx), fprom.Filter{}) {
		if err == nil && !e.Damaged && e.Key != "sale:new" && events[e.Key] == "" {
			t.Errorf("an entry of %s, which was never put", e.Key)
		}
	}
	for e, err := range q.Entries(context.WithoutCancel(ctx), fprom.Filter{Keys: []string{"none"}}) {
		if err == nil {
			t.Errorf("an entry of %s, and not of the key that was never put", e.Key)
		}
	}
	_ = q.Close()
	for key, n := range delivered {
		if n > 1 {
			t.Errorf("%s was delivered %d times", key, n)
		}
	}
	if err := errors.Join(put, err, <-flushed); err == nil && delivered["sale:new"] == 0 {
		t.Error("an event was stored and flushed, but not delivered")
	}
}

// TestDamagedRecord: a flipped byte within an event is found before it is sent, and holds up nothing else.
func TestDamagedRecord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "fprom.db")
	q := open(t, dir)
	bad := sale(t, "bad", 4242)
	put(t, q, sale(t, 1, 100), bad, sale(t, 2, 100), sale(t, "another", 4242))
	follows := sale(t, "follows", 100)
	follows.Customer = bad.Customer
	put(t, q, follows)
	closeQueue(t, q)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.ReplaceAll(file, []byte("4242"), []byte("9242"))
	if bytes.Equal(file, damaged) {
		t.Fatal("the event is not in the file")
	}
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	q = open(t, dir, boltqueue.WithLogger(slog.New(slog.DiscardHandler)))
	got := deliver(t, q, nil)
	if len(got) != 3 {
		t.Errorf("delivered %v, want the three that are whole", got)
	}
	ds := letters(t, q)
	for _, d := range ds {
		if !d.Damaged || d.Reason == "" || d.Customer != "" {
			t.Errorf("dead letter %+v; want a damaged one", d)
		}
	}
	if s := stats(t, q); len(ds) != 2 || ds[0].Key == ds[1].Key || s.Dead != 2 || s.Pending != 0 || s.Ledger != 3 {
		t.Fatalf("dead letters %+v, %+v; want 2 with keys of their own, and 3 delivered", ds, s)
	}
	if n, err := q.Redrive(t.Context(), fprom.Filter{}); n != 0 || err != nil {
		t.Errorf("redrive of a damaged event: %d, %v; want none", n, err)
	}
	if n, err := q.Drop(t.Context(), fprom.Filter{Keys: []string{ds[0].Key}}); n != 1 || err != nil {
		t.Errorf("drop of a damaged event: %d, %v", n, err)
	}
	put(t, q, bad)
	if got := deliver(t, q, nil); len(got) != 1 || got[0].Key != bad.Key || string(got[0].Body) != string(bad.Body) {
		t.Errorf("delivered %v after the event was put again", got)
	}
	closeQueue(t, q)
	if file, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(file, []byte(`"amount":4242`), []byte(`"amount":9242`)), 0o600); err != nil {
		t.Fatal(err)
	}
	q = open(t, dir, discard)
	if put(t, q, bad); stats(t, q).Pending != 0 || stats(t, q).Ledger != 4 {
		t.Errorf("%+v after a done event was damaged and put again; want no second delivery", stats(t, q))
	}
}

// TestDamagedWhileOpen: an event that is damaged in the file of a running service stops no other one, and can be put again.
func TestDamagedWhileOpen(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		at      func(file []byte) int
		dropped int
	}{
		"the amount": {func(file []byte) int { return bytes.Index(file, []byte("4242")) }, 1},
		"the number": {func(file []byte) int { // it stands before the record, as the key
			return bytes.LastIndex(file[:bytes.Index(file, []byte("sale:bad"))], []byte{0, 0, 0, 0, 0, 0, 0, 2})
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			q := open(t, dir, discard)
			bad := sale(t, "bad", 4242)
			put(t, q, sale(t, 1, 100), bad)
			damage(t, filepath.Join(dir, "fprom.db"), tt.at)
			if got := deliver(t, q, nil); len(got) != 1 || got[0].Key != "sale:1" {
				t.Errorf("delivered %v, want the one that is whole", got)
			}
			if n, err := q.Drop(t.Context(), fprom.Filter{}); n != tt.dropped || err != nil || stats(t, q).Pending != 0 || stats(t, q).Dead != 1-n {
				t.Errorf("dropped %d, %v, %+v; want %d, and the event to count as dead until then", n, err, stats(t, q), tt.dropped)
			}
			put(t, q, bad)
			if got := deliver(t, q, nil); len(got) != 1 || got[0].Key != bad.Key {
				t.Errorf("delivered %v after the event was put again", got)
			}
		})
	}
}

// TestDamagedUnderWay: an event that is damaged while it is under way stops no other one either. It is a dead letter at once.
func TestDamagedUnderWay(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]error{"done": nil, "rejected": reject(fprom.Message{}), "to be tried again": errors.New("no answer")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var log bytes.Buffer
			q := open(t, dir, boltqueue.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			bad := sale(t, "bad", 4242)
			put(t, q, bad)
			got := deliver(t, q, func(m fprom.Message) error {
				if m.Key != bad.Key {
					return nil
				}
				damage(t, filepath.Join(dir, "fprom.db"), func(file []byte) int { return bytes.Index(file, []byte("4242")) })
				if err := q.Put(t.Context(), sale(t, 1, 100)); err != nil {
					t.Errorf("Put: %v", err)
				}
				return answer
			})
			got = append(got, deliver(t, q, nil)...) // Flush does not wait for what was put after it began
			if len(got) != 2 {
				t.Errorf("delivered %v, want both", got)
			}
			if ds, s := letters(t, q), stats(t, q); len(ds) != 1 || !ds[0].Damaged || s.Dead != 1 || s.Pending != 0 || s.Ledger != 1 {
				t.Errorf("dead letters %+v, %+v; want a damaged one", ds, s)
			}
			closeQueue(t, q)
			if text := log.String(); !strings.Contains(text, "it becomes a dead letter") || !strings.Contains(text, "seq=1") {
				t.Errorf("the log says nothing of the damaged event: %s", text)
			}
			log.Reset()
			q = open(t, dir, boltqueue.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			if got := deliver(t, q, nil); len(got) != 0 || stats(t, q).Dead != 1 || stats(t, q).Pending != 0 {
				t.Errorf("delivered %v, %+v after a restart; want a dead letter", got, stats(t, q))
			}
			if n, err := q.Drop(t.Context(), fprom.Filter{}); n != 1 || err != nil || stats(t, q).Dead != 0 {
				t.Errorf("drop of a damaged event: %d, %v", n, err)
			}
			closeQueue(t, q)
			if text := log.String(); strings.Count(text, "it becomes a dead letter") != 1 {
				t.Errorf("logged %q; want the damaged event once, where it is found", text)
			}
		})
	}
}

// TestDamagedWhileDiskFull: an event whose damage is found in a commit that fails becomes a dead letter in the next one, and is in the
// log once.
func TestDamagedWhileDiskFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d disk
		var log bytes.Buffer
		dir, turn, answer := t.TempDir(), make(chan struct{}, 1), make(chan struct{})
		q := open(t, dir, boltqueue.WithLogger(slog.New(slog.NewTextHandler(&log, nil))), boltqueue.WithFailures(func() error { <-turn; return d.failure() }, whole))
		bad := sale(t, "bad", 4242)
		turn <- struct{}{}
		put(t, q, bad)
		var calls sync.WaitGroup
		for _, call := range []func(){
			func() {
				deliver(t, q, func(m fprom.Message) error {
					if m.Key == bad.Key {
						damage(t, filepath.Join(dir, "fprom.db"), func(file []byte) int { return bytes.Index(file, []byte("4242")) })
						<-answer
					}
					return nil
				})
			},
			func() { put(t, q, sale(t, 1, 100)) },
			func() { close(answer) },
			func() {
				if err := q.Put(t.Context(), sale(t, 2, 100)); !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("Put: %v, want the disk's error", err)
				}
			},
		} {
			calls.Go(call)
			synctest.Wait() // the outcome and the second Put wait for the next commit
		}
		turn <- struct{}{}
		synctest.Wait()
		d.fail(syscall.ENOSPC)
		turn <- struct{}{}
		synctest.Wait()
		if s := stats(t, q); s.Dead != 0 {
			t.Errorf("%+v, want no dead letter yet", s)
		}
		d.fail(nil)
		close(turn)
		calls.Wait()
		if s := stats(t, q); s.Dead != 1 || strings.Count(log.String(), "it becomes a dead letter") != 1 {
			t.Errorf("%+v, logged %q; want a dead letter, and once", s, log.String())
		}
	})
}

// TestDropTwice: two calls of Drop that share a commit count a damaged dead letter once.
func TestDropTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	q := open(t, dir)
	put(t, q, sale(t, "bad", 4242))
	damage(t, filepath.Join(dir, "fprom.db"), func(file []byte) int { return bytes.Index(file, []byte("4242")) })
	closeQueue(t, q)
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		q := open(t, dir, discard, boltqueue.WithFailures(func() error { <-release; return nil }, whole))
		var calls sync.WaitGroup
		var dropped atomic.Int64
		calls.Go(func() { put(t, q, sale(t, 1, 100)) })
		synctest.Wait()
		for range 2 {
			calls.Go(func() {
				n, err := q.Drop(t.Context(), fprom.Filter{})
				if dropped.Add(int64(n)); err != nil {
					t.Errorf("Drop: %v", err)
				}
			})
		}
		synctest.Wait() // both wait for the next commit
		close(release)
		calls.Wait()
		if s := stats(t, q); dropped.Load() != 1 || s.Dead != 0 || s.Pending != 1 {
			t.Errorf("dropped %d, %+v; want 1, and the new event left", dropped.Load(), s)
		}
	})
}

// TestDamagedDeadLetter: a dead letter that is damaged in the file of a running service can be dropped after a restart.
func TestDamagedDeadLetter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	q := open(t, dir, discard)
	put(t, q, sale(t, 1, 100))
	deliver(t, q, reject)
	damage(t, filepath.Join(dir, "fprom.db"), func(file []byte) int { return bytes.Index(file, []byte(errRejected.Error())) })
	if ds := letters(t, q); len(ds) != 1 || !ds[0].Damaged {
		t.Fatalf("dead letters %+v; want a damaged one", ds)
	}
	closeQueue(t, q)
	q = open(t, dir, discard)
	if n, err := q.Drop(t.Context(), fprom.Filter{}); n != 1 || err != nil || stats(t, q).Dead != 0 || len(letters(t, q)) != 0 {
		t.Errorf("dropped %d, %v; %+v", n, err, stats(t, q))
	}
}

// damage changes a byte of a file.
func damage(t *testing.T, path string, at func(file []byte) int) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Error(err)
		return
	}
	if _, err := f.WriteAt([]byte("9"), int64(at(file))); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// TestDamagedHistory: an outcome that cannot be written because the history is damaged puts the outbox out of use. It is not tried again
// for ever, while the service goes on as if all was well.
func TestDamagedHistory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	closeQueue(t, open(t, dir))
	db, err := bbolt.Open(filepath.Join(dir, "fprom.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.Bucket([]byte("times")).CreateBucket(make([]byte, 16)) // no outcome, as after a flipped bit
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	q := open(t, dir, discard)
	put(t, q, sale(t, 1, 100))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err = run(ctx, q, func(context.Context, fprom.Message) error { return nil })
	if later := q.Put(t.Context(), sale(t, 2, 100)); !errors.Is(err, boltqueue.ErrDamaged) || !errors.Is(later, boltqueue.ErrDamaged) {
		t.Errorf("Run: %v; Put: %v; want ErrDamaged", err, later)
	}
}

// TestDamagedKeys: numbers and records of events that are too short, as after a flipped bit in a length, stop nothing.
func TestDamagedKeys(t *testing.T) {
	t.Parallel()
	for _, bucket := range []string{"ids", "times", "done"} {
		t.Run(bucket, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			q := open(t, dir, boltqueue.WithRetention(time.Nanosecond))
			put(t, q, sale(t, 1, 100))
			deliver(t, q, nil)
			put(t, q, sale(t, "bad", 100))
			deliver(t, q, reject)
			closeQueue(t, q)
			db, err := bbolt.Open(filepath.Join(dir, "fprom.db"), 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = db.Update(func(tx *bbolt.Tx) error {
				b := tx.Bucket([]byte(bucket))
				return errors.Join(b.Put([]byte{0}, []byte("?")), b.Put([]byte("sale:1"), []byte("?")), b.Put([]byte{0, 0, 0, 0, 0, 0, 0, 1}, []byte("?")))
			})
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			q = open(t, dir, discard, boltqueue.WithRetention(time.Nanosecond))
			put(t, q, sale(t, 1, 100), sale(t, 2, 100))
			if got := deliver(t, q, nil); len(got) == 0 || stats(t, q).Pending != 0 {
				t.Errorf("delivered %v", got)
			}
			if es := entries(t, q, fprom.Filter{}); len(es) == 0 {
				t.Error("no entries")
			}
			if _, err := q.History(t.Context(), time.Now().Add(-time.Hour), time.Now(), time.Hour); err != nil {
				t.Errorf("History: %v", err)
			}
			if n, err := q.Redrive(t.Context(), fprom.Filter{}); n != 1 || err != nil {
				t.Errorf("Redrive: %d, %v", n, err)
			}
			put(t, q, sale(t, 3, 100))
		})
	}
}
