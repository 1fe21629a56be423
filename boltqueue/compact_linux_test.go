package boltqueue_test

import (
	"context"
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
	owner, group := uint32(os.Getuid()), uint32(os.Getgid())
	if owner == 0 {
		owner, group = 1234, 1234
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
	if got := after.Sys().(*syscall.Stat_t); got.Uid != owner || got.Gid != group {
		t.Errorf("the owner is %d, of group %d; want %d and %d", got.Uid, got.Gid, owner, group)
	}
	if to, err := os.Readlink(link); to != path {
		t.Errorf("the link leads to %q, %v; want %s", to, err, path)
	}
	onlyOutbox(t, dir)
	if s, _ := inspect(t, link); s.Pending != 1 {
		t.Errorf("compacted: %+v", s)
	}
}

// TestForeignDirectory: whoever can write the directory puts a link to another file in the place of a file that was just made there.
// That other file keeps its owner and its mode.
func TestForeignDirectory(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, swapped string
		call          func(path string)
	}{
		{"compact", ".new-*", func(path string) { _ = boltqueue.Compact(path) }},
		{"open", ".sock", func(path string) {
			if q, err := boltqueue.Open(path, discard); err == nil {
				_ = q.Close()
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			path, victim := filepath.Join(dir, "fprom.db"), filepath.Join(t.TempDir(), "victim")
			q := open(t, dir)
			put(t, q, sale(t, 1, 100))
			closeQueue(t, q)
			if err := os.WriteFile(victim, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			if os.Getuid() == 0 { // others can give no file away
				if err := os.Chown(path, 1234, 1234); err != nil {
					t.Fatal(err)
				}
			}
			before, err := os.Stat(victim)
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			go func() {
				for ctx.Err() == nil {
					made, _ := filepath.Glob(path + tt.swapped)
					for _, name := range made {
						if tt.name == "compact" {
							time.Sleep(200 * time.Microsecond) // until it is open
						}
						if info, err := os.Lstat(name); err == nil && info.Mode().Type() != fs.ModeSymlink && os.Remove(name) == nil {
							_ = os.Symlink(victim, name)
						}
					}
				}
			}()
			for range 50 {
				tt.call(path)
				if info, err := os.Lstat(path); err != nil || info.Mode().Type() == fs.ModeSymlink {
					break // it was the new file
				}
				_ = os.Remove(path + ".sock")
			}
			after, err := os.Stat(victim)
			if err != nil {
				t.Fatal(err)
			}
			was, is := before.Sys().(*syscall.Stat_t), after.Sys().(*syscall.Stat_t)
			if was.Uid != is.Uid || was.Mode != is.Mode {
				t.Errorf("the other file had owner %d and mode %o, now %d and %o", was.Uid, was.Mode, is.Uid, is.Mode)
			}
		})
	}
}
