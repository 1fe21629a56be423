package boltqueue

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"
)

// bbolt trusts the pages of a file: one flipped byte can crash the process or make it loop for ever. bbolt's own check and its
// search for free pages at each opening are no help: they run in a goroutine whose panics nobody can recover. So checkPages first
// checks that the pages form a tree: each page is in the file and used once, its elements lie within it, and its keys ascend. A
// page is its id (8), flags (2), count (2), overflow (4), and its elements.
const (
	pageHead    = 16
	boltMagic   = 0xED0CDAED
	pageBranch  = 0x01
	pageLeaf    = 0x02
	leafBucket  = 0x01
	bucketValue = 16 // bytes before the content of a bucket: its root page (8), its sequence (8). Root 0: an inline page follows
)

var native = binary.NativeEndian

type checker struct {
	f    io.ReaderAt
	size uint64 // of a page
	seen []bool // by page
}

// checkPages checks the pages of f. tx belongs to the same file, opened read-only: then bbolt has not followed the pages yet.
func checkPages(tx *bbolt.Tx, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if tx.Size() > info.Size() {
		return fmt.Errorf("%w: it is shorter than its header says", ErrDamaged)
	}
	c := &checker{f: f, size: uint64(tx.DB().Info().PageSize)}
	c.seen = make([]bool, uint64(tx.Size())/c.size)
	return c.tree(uint64(tx.Cursor().Bucket().Root()), nil, nil)
}

func damaged(id uint64, what string) error {
	return fmt.Errorf("%w: page %d %s", ErrDamaged, id, what)
}

// tree checks the page with this id and all pages below it. Keys must be ≥ low and < high; nil: no limit.
func (c *checker) tree(id uint64, low, high []byte) error {
	n, pages := uint64(1), uint64(len(c.seen))
	var b []byte
	for len(b) != int(n*c.size) { // twice if the page has overflow pages
		if id < 2 || id >= pages || n > pages-id {
			return damaged(id, "is not in the file")
		}
		b = make([]byte, n*c.size)
		if _, err := c.f.ReadAt(b, int64(id*c.size)); err != nil {
			return err
		}
		n = 1 + uint64(native.Uint32(b[12:]))
	}
	for i := id; i < id+n; i++ {
		if c.seen[i] {
			return damaged(i, "is used twice")
		}
		c.seen[i] = true
	}
	if native.Uint64(b) != id {
		return damaged(id, "has the id of another page")
	}
	return c.elements(id, b, low, high)
}

// elements checks the elements of a page, or of an inline page: the value of a small bucket.
func (c *checker) elements(id uint64, b, low, high []byte) error {
	if len(b) < pageHead {
		return damaged(id, "is too short")
	}
	flags, count := native.Uint16(b[8:]), uint64(native.Uint16(b[10:]))
	branch := flags == pageBranch
	if !branch && flags != pageLeaf || pageHead*(1+count) > uint64(len(b)) || branch && count == 0 {
		return damaged(id, "has an unknown kind or too many elements")
	}
	child := uint64(0) // the page with the keys from low to the next key
	for i := range count {
		e := b[pageHead*(1+i):]
		at, end := uint64(native.Uint32(e[4:])), uint64(native.Uint32(e[8:])) // start and, first, length of the key
		value := uint64(native.Uint32(e[12:]))                                // length of the value
		if branch {
			at, end, value = uint64(native.Uint32(e)), uint64(native.Uint32(e[4:])), 0
		}
		if end += at; at < pageHead*(count-i) || end+value > uint64(len(e)) {
			return damaged(id, "has an element beyond its end")
		}
		key := e[at:end]
		if order := bytes.Compare(key, low); order < 0 || order == 0 && i > 0 || high != nil && bytes.Compare(key, high) >= 0 {
			return damaged(id, "has keys out of order")
		}
		var err error
		switch {
		case branch && i > 0:
			err = c.tree(child, low, key)
		case !branch && native.Uint32(e)&leafBucket != 0:
			err = c.bucket(id, e[end:end+value])
		}
		if err != nil {
			return err
		}
		low, child = key, native.Uint64(e[8:])
	}
	if branch {
		return c.tree(child, low, high)
	}
	return nil
}

func (c *checker) bucket(id uint64, value []byte) error {
	if len(value) < bucketValue {
		return damaged(id, "has a bucket that is too short")
	}
	if root := native.Uint64(value); root != 0 {
		return c.tree(root, nil, nil)
	}
	return c.elements(id, value[bucketValue:], nil, nil)
}

func hasMagic(path string) bool {
	f, err := os.Open(path) //nolint:gosec // the caller's path
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	b, _ := io.ReadAll(io.LimitReader(f, 2*int64(os.Getpagesize())))
	return bytes.Contains(b, native.AppendUint32(nil, boltMagic))
}
