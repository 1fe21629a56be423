package boltqueue_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/fprom-go/fprom/boltqueue"
)

// TestDirectory: who may not make the file, or names the directory itself, reads what is wrong with the directory, and what to do.
func TestDirectory(t *testing.T) {
	t.Parallel()
	dir, others := t.TempDir(), t.TempDir()
	closeQueue(t, open(t, dir))
	whole, err := os.ReadFile(filepath.Join(dir, "fprom.db"))
	if err != nil {
		t.Fatal(err)
	}
	root, hidden := filepath.Join(others, "root.db"), filepath.Join(others, "hidden.db")
	content(whole)(t, root)
	content(whole)(t, hidden)
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(filepath.Join(dir, "fprom.db"), 0o666), os.Chmod(dir, 0o555), os.Chmod(others, 0o777), os.Chmod(root, 0o666), os.Chmod(hidden, 0o222)); err != nil {
		t.Fatal(err)
	}
	uid := os.Getuid()
	if uid == 0 { // root may write everywhere
		runtime.LockOSThread() // and never unlocked: the thread ends with the test
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Setfsuid(uid) }()
	}
	_, err = boltqueue.Open(filepath.Join(dir, "other.db"))
	for range 3 { // the first Compact leaves no lock
		if want := "the directory \"" + dir + "\" is not writable by this user: let the user write there, or take another directory: "; !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), want) {
			t.Errorf("no file: %v\nwant %s", err, want)
		}
		err = boltqueue.Compact(filepath.Join(dir, "fprom.db"))
	}
	if _, err := boltqueue.Open(hidden); !errors.Is(err, fs.ErrPermission) || errors.Is(err, boltqueue.ErrDamaged) {
		t.Errorf("a file that this user may not read: %v, want ErrPermission alone", err)
	}
	if err := boltqueue.Compact(root); (err != nil) != (uid == 0) || err != nil && !strings.Contains(err.Error(), "must have the owner of the old one") {
		t.Errorf("Compact of a file of root by user %d: %v; it may not change the owner", uid, err)
	}
	_, err = boltqueue.Open(dir)
	if want := "is a directory: name a file in it"; err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "read-only") {
		t.Errorf("the directory itself: %v\nwant %s", err, want)
	}
}
