package boltqueue_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/fprom-go/fprom/boltqueue"
)

// TestCompactKeeps: the file keeps its owner, so that its service can open it when root has compacted it, and the link to it stays.
func TestCompactKeeps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, link := filepath.Join(dir, "fprom.db"), filepath.Join(t.TempDir(), "link.db")
	q := open(t, dir)
	put(t, q, sale(t, 1, 100))
	closeQueue(t, q)
	owner := uint32(os.Getuid())
	if owner == 0 {
		owner = 1234
		if err := os.Chown(path, 1234, 1234); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := boltqueue.Compact(link); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil || os.SameFile(before, after) {
		t.Fatalf("the file was not compacted: %v", err)
	}
	if got := after.Sys().(*syscall.Stat_t).Uid; got != owner {
		t.Errorf("the owner is %d, want %d", got, owner)
	}
	if to, err := os.Readlink(link); to != path {
		t.Errorf("the link leads to %q, %v; want %s", to, err, path)
	}
	onlyOutbox(t, dir)
	if s, _ := inspect(t, link); s.Pending != 1 {
		t.Errorf("compacted: %+v", s)
	}
}

// TestCompactInForeignDirectory: whoever can write the directory puts a link to a file of root in the place of the new file, while
// root compacts. That file stays root's.
func TestCompactInForeignDirectory(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root may change owners")
	}
	const stranger = 1234
	dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	path := filepath.Join(dir, "fprom.db")
	q := open(t, dir)
	put(t, q, sale(t, 1, 100))
	closeQueue(t, q)
	if err := errors.Join(os.WriteFile(victim, nil, 0o600), os.Chown(path, stranger, stranger)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		for ctx.Err() == nil {
			temps, _ := filepath.Glob(path + ".new-*")
			for _, temp := range temps {
				time.Sleep(200 * time.Microsecond) // until it is open
				if os.Remove(temp) == nil {
					_ = os.Symlink(victim, temp)
				}
			}
		}
	}()
	for range 100 {
		_ = boltqueue.Compact(path)
		if info, err := os.Lstat(path); err != nil || info.Mode().Type() == fs.ModeSymlink {
			break // the link has come in between
		}
	}
	info, err := os.Stat(victim)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Sys().(*syscall.Stat_t).Uid; got != 0 {
		t.Errorf("the file of root belongs to %d", got)
	}
}
