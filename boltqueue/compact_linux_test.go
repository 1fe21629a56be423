package boltqueue_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

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
