package boltqueue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// Inspect says what an outbox has, without creating or changing anything, and checks that Open would take it. While it looks,
// the file is locked against writers, for some milliseconds or as long as it takes to read a large file. If a process has the
// file open, the error is ErrLocked: see Dial. Other errors are those of Open; fs.ErrNotExist if there is no file.
func Inspect(path string) (fprom.QueueStats, error) {
	q := newQueue(path, []Option{WithoutRun()})
	err := guard(func() error {
		return examine(path, func(tx *bbolt.Tx) error {
			w := q.newWork(tx)
			damaged, err := w.load()
			w.stats.Dead += len(damaged)
			w.takeOver()
			return err
		})
	})
	if err != nil {
		return fprom.QueueStats{}, fmt.Errorf("fprom: inspect the outbox %q: %w", path, err)
	}
	return q.Stats(context.Background())
}

const compactStep = 1 << 20 // bytes in one transaction

// Compact rewrites the file at path without its unused space, while no process has it open; else the error is ErrLocked.
// It needs disk space for the copy beside the file. After an error, or if the process dies, the old file is there; the copy,
// named path + ".new-" and a number, is left only if the process died.
func Compact(path string) error {
	err := guard(func() error { return compact(path) })
	if err != nil {
		return fmt.Errorf("fprom: compact the outbox %q: %w", path, err)
	}
	return nil
}

func compact(path string) (err error) {
	src, _, err := openFile(path) // it keeps the lock until the new file is in place
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	tmp, err := makeTemp(path)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp) }()
	o := options(false, nil)
	o.NoSync = true
	dst, err := bbolt.Open(tmp, 0o600, o)
	if err != nil {
		return err
	}
	if err := errors.Join(bbolt.Compact(dst, src, compactStep), dst.Sync(), dst.Close()); err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // it does not replace a file that is open
		if err := src.Close(); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
