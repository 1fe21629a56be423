package boltqueue_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"testing"

	"github.com/fprom-go/fprom/boltqueue"
	"go.etcd.io/bbolt"
)

// TestCheckOfBolt says why this package checks the pages itself: bbolt's own check ends the process at a damaged page, also with
// recover and with page faults as panics. If this test fails, bbolt has learnt to do it, and the checker can go.
func TestCheckOfBolt(t *testing.T) {
	t.Parallel()
	file, _ := image(t)
	path := filepath.Join(t.TempDir(), "fprom.db")
	ended := 0
	for page := 2; page*4096 < len(file) && ended < 3; page++ {
		damaged := bytes.Clone(file)
		damaged[page*4096+8] ^= 1 // its kind
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), envCheck+"="+path)
		if cmd.Run() == nil {
			continue // the page is not in use, or bbolt has found the damage
		}
		ended++
		if err := boltqueue.CheckPages(path); !errors.Is(err, boltqueue.ErrDamaged) {
			t.Errorf("page %d ends bbolt's check; the own check says %v, want ErrDamaged", page, err)
		}
	}
	if ended == 0 {
		t.Error("bbolt's check survives every damaged page")
	}
}

// TestNoFreelist: the list of free pages is not in the file, where it would have no checksum: one flipped bit would let bbolt
// write over pages in use.
func TestNoFreelist(t *testing.T) {
	t.Parallel()
	file, _ := image(t)
	for _, meta := range [][]byte{file, file[4096:]} {
		if page := binary.NativeEndian.Uint64(meta[48:]); page != math.MaxUint64 {
			t.Errorf("the list of free pages is on page %d", page)
		}
	}
}

// checkWithBolt returns an error only if bbolt ends the process.
func checkWithBolt(path string) error {
	defer func() { _ = recover() }()
	debug.SetPanicOnFault(true)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return nil
	}
	return db.View(func(tx *bbolt.Tx) error {
		for range tx.Check() { // what it reports it survives
		}
		return nil
	})
}
