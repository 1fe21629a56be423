//go:build unix

package boltqueue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
)

func init() { fillDisk = fill }

func TestFullDisk(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envFull+"="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// fill puts events until the disk is full (a limit on the size of files), lets a Run try to deliver them, puts again when
// there is space, and looks whether all that was accepted was delivered once.
func fill(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	path := filepath.Join(dir, "fprom.db")
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 8 << 10, Max: old.Max}); err != nil {
		return err
	}
	if _, err := boltqueue.Open(path); !errors.Is(err, syscall.EFBIG) || errors.Is(err, boltqueue.ErrDamaged) {
		return fmt.Errorf("a new outbox where there is space for two pages: %w", err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	q, err := boltqueue.Open(path, boltqueue.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return fmt.Errorf("open when there is space again for a new file: %w", err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 200 << 10, Max: old.Max}); err != nil {
		return err
	}
	accepted, failure, err := putUntilFull(q)
	if err != nil {
		return err
	}
	s, err := q.Stats(context.Background())
	if err != nil || s.Pending != len(accepted) {
		return fmt.Errorf("the disk is full: %+v, %w; %d were accepted", s, err, len(accepted))
	}
	delivered := map[string]int{}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	workersOf.Store(q, 1)
	ran := make(chan error, 1)
	go func() {
		ran <- run(ctx, q, func(_ context.Context, m fprom.Message) error {
			delivered[m.Key]++
			return nil
		})
	}()
	time.Sleep(300 * time.Millisecond) // it may deliver what it finds room to note
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	if err := putMessage(q, "later"); err != nil {
		return fmt.Errorf("put when there is space again: %w", err)
	}
	accepted = append(accepted, "later")
	flush, end := context.WithTimeout(ctx, time.Minute)
	defer end()
	if err := q.Flush(flush); err != nil {
		return fmt.Errorf("flush when there is space again: %w", err)
	}
	cancel()
	if err := errors.Join(<-ran, q.Close()); err != nil {
		return err
	}
	for _, id := range accepted {
		if n := delivered["sale:"+id]; n != 1 {
			return fmt.Errorf("%s was delivered %d times", id, n)
		}
	}
	if len(delivered) != len(accepted) {
		return fmt.Errorf("%d were delivered, %d accepted", len(delivered), len(accepted))
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 64 << 10, Max: old.Max}); err != nil {
		return err
	}
	if err := boltqueue.Compact(path); !strings.Contains(fmt.Sprint(err), "file too large") {
		return fmt.Errorf("compact without space for the copy: %w", err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	info, err := figures(path) // of the old file
	if err != nil || info.Pending != 0 || info.Ledger != len(accepted) {
		return fmt.Errorf("at the end: %+v, %w", info, err)
	}
	fmt.Printf("%d accepted and delivered; when full: %v\n", len(accepted), failure)
	return nil
}

func putUntilFull(q *boltqueue.Queue) (accepted []string, failure, err error) {
	for i := range 10000 {
		id := strconv.Itoa(i)
		failure = putMessage(q, id)
		if failure == nil {
			accepted = append(accepted, id)
			continue
		}
		if again := putMessage(q, id); again == nil || !strings.Contains(failure.Error(), "file too large") && !errors.Is(failure, syscall.ENOSPC) || errors.Is(failure, fprom.ErrConflict) {
			return nil, nil, fmt.Errorf("on a full disk: %w, and then: %w", failure, again)
		}
		return accepted, failure, nil
	}
	return nil, nil, errors.New("the disk does not become full")
}

func putMessage(q *boltqueue.Queue, id string) error {
	m, err := fprom.NewMessage(fprom.Sale{EventID: id, UID: "u" + id, Amount: 100, Plan: strings.Repeat("x", 200)})
	if err != nil {
		return err
	}
	return q.Put(context.Background(), m)
}

// TestMovedWhileOpen: a file that is not in its place any more takes no events, which no restart would find; what it has is
// delivered. In its place again, it takes them.
func TestMovedWhileOpen(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]func(path string) error{
		"renamed": func(path string) error { return os.Rename(path, path+".old") },
		"removed": os.Remove,
		"replaced": func(path string) error {
			return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "fprom.db")
			q := open(t, dir)
			put(t, q, sale(t, 1, 100))
			if err := move(path); err != nil {
				t.Fatal(err)
			}
			if err := q.Put(t.Context(), sale(t, 2, 100)); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "once it has delivered") {
				t.Errorf("Put: %v, want an error that names the file, and advises no restart that loses what waits", err)
			}
			if got := deliver(t, q, nil); len(got) != 1 {
				t.Errorf("delivered %v, want what the file has", got)
			}
			if name == "renamed" {
				if err := os.Rename(path+".old", path); err != nil {
					t.Fatal(err)
				}
				put(t, q, sale(t, 2, 100))
			}
		})
	}
}

// TestChangedDirectory: an outbox with a relative path takes events when the process has gone to another directory.
func TestChangedDirectory(t *testing.T) { //nolint:paralleltest // the directory is that of all tests
	t.Chdir(t.TempDir())
	q, err := openAt("fprom.db", discard, boltqueue.WithoutSocket())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	put(t, q, sale(t, 1, 100))
	closeQueue(t, q)
}

// TestCutWhileOpen: a file that is cut, or whose first pages are overwritten, while it is open makes clear errors at once, whoever
// finds it first. It ends neither the process nor the checkout, and the service can end. After a cut it can start again; bbolt keeps
// its locks if it begins a transaction without its first pages.
func TestCutWhileOpen(t *testing.T) {
	t.Parallel()
	for name, find := range map[string]func(q *boltqueue.Queue) error{
		"Put": func(q *boltqueue.Queue) error { return q.Put(t.Context(), sale(t, "new", 100)) },
		"Run": func(q *boltqueue.Queue) error {
			return run(t.Context(), q, func(context.Context, fprom.Message) error { return nil })
		},
		"Entries": func(q *boltqueue.Queue) (err error) {
			for _, err = range q.Entries(t.Context(), fprom.Filter{}) {
			}
			return err
		},
	} {
		for harm, size := range map[string]int64{"cut": 0, "cut behind its first pages": 0, "overwritten": int64(2 * os.Getpagesize())} {
			t.Run(harm+", found by "+name, func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "fprom.db")
				q, err := openAt(path, discard)
				if err != nil {
					t.Fatal(err)
				}
				put(t, q, sale(t, "a", 100), sale(t, "b", 100), sale(t, "c", 100))
				f, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				switch harm {
				case "cut":
					err = f.Truncate(0)
				case "overwritten":
					_, err = f.WriteAt(make([]byte, size), 0)
				default:
					err = f.Truncate(int64(2 * os.Getpagesize()))
				}
				if err := errors.Join(err, f.Close()); err != nil {
					t.Fatal(err)
				}
				if err := find(q); !errors.Is(err, boltqueue.ErrDamaged) || strings.Count(err.Error(), path) != 1 {
					t.Errorf("%v, want ErrDamaged, and the file named once", err)
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				for range 2 {
					if err := q.Put(ctx, sale(t, 1, 100)); !errors.Is(err, boltqueue.ErrDamaged) || strings.Count(err.Error(), path) != 1 {
						t.Errorf("Put: %v, want ErrDamaged, and the file named once", err)
					}
				}
				if err := q.Flush(ctx); !errors.Is(err, boltqueue.ErrDamaged) || strings.Count(err.Error(), path) != 1 {
					t.Errorf("Flush: %v, want ErrDamaged, and the file named once", err)
				}
				if err := q.Close(); (err == nil) != (size == 0) {
					t.Errorf("Close: %v", err)
				}
				if harm != "cut" {
					return
				}
				if q, err = openAt(path, discard); err != nil {
					t.Fatalf("Open again: %v", err)
				}
				closeQueue(t, q)
			})
		}
	}
}

// TestRestoredWhileOpen: if somebody copies a backup into the file while a service has it open, the service takes no more events, and
// leaves the backup as it is: it would write over pages that are in use there. Started again, it has what the backup has.
func TestRestoredWhileOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	q := open(t, dir)
	put(t, q, sale(t, "old", 100))
	closeQueue(t, q)
	backup, err := os.ReadFile(filepath.Join(dir, "fprom.db"))
	if err != nil {
		t.Fatal(err)
	}
	q = open(t, dir)
	put(t, q, sale(t, "lost", 100))
	content(backup)(t, filepath.Join(dir, "fprom.db"))
	for range 2 {
		if err := q.Put(t.Context(), sale(t, "new", 100)); !errors.Is(err, boltqueue.ErrDamaged) || !strings.Contains(err.Error(), "overwritten while it was open") {
			t.Errorf("Put: %v, want ErrDamaged", err)
		}
	}
	closeQueue(t, q)
	if got := deliver(t, open(t, dir), nil); len(got) != 1 || got[0].Key != "sale:old" {
		t.Errorf("delivered %v, want the event of the backup", got)
	}
}
