package boltqueue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// Info is what Inspect tells about a file.
type Info struct {
	fprom.QueueStats
	Format int   // version of the file format
	Size   int64 // of the file, in bytes
}

const inspectTries = 1000

// Inspect reads the counters of an outbox without changing or locking it, also while a process uses it: they are those of
// one commit. It reads a few pages, whatever the file holds. Errors are those of Open, without ErrLocked.
func Inspect(path string) (Info, error) {
	info, err := inspect(path)
	if err != nil {
		return Info{}, fmt.Errorf("boltqueue: inspect %s: %w", path, err)
	}
	return info, nil
}

// inspect relies on bbolt writing no page of the tree of the current meta page: if that is still the same one afterwards,
// everything read belongs together.
func inspect(path string) (Info, error) {
	f, err := os.Open(path) //nolint:gosec // the caller's path
	if err != nil {
		return Info{}, err
	}
	defer func() { _ = f.Close() }()
	for range inspectTries {
		p, err := pagerOf(f)
		if err != nil {
			return Info{}, err
		}
		info, err := p.info()
		again, metaErr := pagerOf(f)
		if metaErr != nil {
			return Info{}, metaErr
		}
		if again.meta.txid == p.meta.txid {
			if err != nil {
				return Info{}, err
			}
			stat, err := f.Stat()
			if err != nil {
				return Info{}, err
			}
			info.Size = stat.Size()
			return info, nil
		}
	}
	return Info{}, errors.New("the file changes too fast; try again")
}

// pagerOf reads again what a commit that makes the file longer came in between of.
func pagerOf(f *os.File) (*pager, error) {
	for size := int64(-1); ; {
		stat, err := f.Stat()
		if err != nil {
			return nil, err
		}
		p, err := newPager(f, stat.Size())
		if err == nil || size == stat.Size() {
			return p, err
		}
		size = stat.Size()
	}
}

func (p *pager) info() (Info, error) {
	if err := p.checkFormat(); err != nil {
		return Info{}, err
	}
	meta, ok, err := p.bucket(bucketMeta)
	if err != nil || !ok {
		return Info{}, joinErr(err, ErrForeign)
	}
	st, ok := decodeState(meta.get(keyState))
	if !ok {
		return Info{}, fmt.Errorf("%w: the counters cannot be read", ErrDamaged)
	}
	info := Info{QueueStats: st.stats(), Format: int(decodeFormat(meta.get(keyFormat)))}
	pending, ok, err := p.bucket(bucketPending)
	if err != nil || !ok {
		return Info{}, joinErr(err, ErrDamaged)
	}
	k, v, err := p.first(pending)
	if err != nil {
		return Info{}, err
	}
	if len(k) == 8 {
		if r, err := decodeRecord(binary.BigEndian.Uint64(k), v); err == nil {
			info.Oldest = r.m.RecordedAt
		}
	}
	return info, nil
}

// Compact rewrites the file at path without its unused space, while no process has it open; else the error is ErrLocked.
// It needs disk space for the copy beside the file. After an error, or if the process dies, the old file is there; the copy,
// named path + ".new-" and a number, is left only if the process died.
func Compact(path string) error {
	if err := guard(func() error { return compact(path) }); err != nil {
		return fmt.Errorf("boltqueue: compact %s: %w", path, explain(err))
	}
	return nil
}

func compact(path string) (err error) {
	var file *os.File
	src, err := bbolt.Open(path, 0o600, options(checkWhole, &file))
	if err != nil {
		return err
	}
	defer func() { err = joinErr(err, src.Close()) }() // keeps the lock until the new file is in place
	dir, base := filepath.Split(path)
	tmp, err := os.CreateTemp(filepath.Clean(dir+"."), base+tmpPattern)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	if err := tmp.Close(); err != nil {
		return err
	}
	dst, err := bbolt.Open(tmp.Name(), 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType, NoSync: true})
	if err != nil {
		return err
	}
	err = joinErr(bbolt.Compact(dst, src, compactStep), dst.Sync())
	if err = joinErr(err, dst.Close()); err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // it does not replace a file that is open
		if err := src.Close(); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

const compactStep = 1 << 20 // bytes in one transaction

func checkWhole(f *os.File) error {
	p, err := pagerOf(f)
	if err != nil {
		return err
	}
	if err := p.checkFormat(); err != nil {
		return err
	}
	return p.check(true)
}
