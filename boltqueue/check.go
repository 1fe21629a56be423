package boltqueue

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"
)

// bbolt trusts the pages of a file: a damaged page number ends the process or lets it loop for ever, also in bbolt's own
// check. So before bbolt walks a file, checkPages looks whether its pages form a tree: each is in the file and is used once,
// its elements lie within it, and keys ascend. A page is its id (8), flags (2), count (2), overflow (4), then its elements.
const (
	pageHead    = 16
	boltMagic   = 0xED0CDAED
	pageBranch  = 0x01
	pageLeaf    = 0x02
	leafBucket  = 0x01
	maxDepth    = 32
	bucketValue = 16 // bytes of the value of a bucket: its root page (8), a sequence (8); if the root is 0 the content follows
)

var native = binary.NativeEndian

type checker struct {
	f    io.ReaderAt
	size uint64 // of a page
	seen []bool // pages
}

// checkPages checks a file that bbolt has opened to read, but not walked.
func checkPages(tx *bbolt.Tx, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if tx.Size() > info.Size() {
		return fmt.Errorf("%w: it is shorter than it should be", ErrDamaged)
	}
	c := &checker{f: f, size: uint64(tx.DB().Info().PageSize)}
	c.seen = make([]bool, uint64(tx.Size())/c.size)
	return c.tree(uint64(tx.Cursor().Bucket().Root()), nil, nil, 0)
}

func damaged(id uint64, what string) error {
	return fmt.Errorf("%w: page %d %s", ErrDamaged, id, what)
}

// tree checks the page with that id and all below it. Its keys are from low on and before high, where that is set.
func (c *checker) tree(id uint64, low, high []byte, depth int) error {
	n, pages := uint64(1), uint64(len(c.seen))
	var b []byte
	for len(b) != int(n*c.size) { // again, if it turns out to be a longer one
		if id < 2 || id >= pages || n > pages-id || depth > maxDepth {
			return damaged(id, "is out of place")
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
		return damaged(id, "is another one")
	}
	return c.elements(id, b, low, high, depth)
}

// elements checks what is in a page, or in the value of a small bucket, which is made like one.
func (c *checker) elements(id uint64, b, low, high []byte, depth int) error {
	if len(b) < pageHead {
		return damaged(id, "is too short")
	}
	flags, count := native.Uint16(b[8:]), uint64(native.Uint16(b[10:]))
	if flags != pageBranch && flags != pageLeaf || pageHead*(1+count) > uint64(len(b)) || flags == pageBranch && count == 0 {
		return damaged(id, "is of no known kind")
	}
	var keys [][]byte
	for i := range count {
		e := b[pageHead*(1+i):]
		size := [2]uint64{uint64(native.Uint32(e[4:])), 0} // of key and value
		pos := uint64(native.Uint32(e))
		if flags == pageLeaf {
			pos, size = uint64(native.Uint32(e[4:])), [2]uint64{uint64(native.Uint32(e[8:])), uint64(native.Uint32(e[12:]))}
		}
		if pos < pageHead*(count-i) || pos+size[0]+size[1] > uint64(len(e)) {
			return damaged(id, "has an element outside of it")
		}
		key, value := e[pos:pos+size[0]], e[pos+size[0]:pos+size[0]+size[1]]
		if i == 0 && bytes.Compare(key, low) < 0 || i > 0 && bytes.Compare(key, keys[i-1]) <= 0 || high != nil && bytes.Compare(key, high) >= 0 {
			return damaged(id, "is not in order")
		}
		keys = append(keys, key)
		if flags == pageLeaf && native.Uint32(e)&leafBucket != 0 {
			if err := c.bucket(id, value, depth); err != nil {
				return err
			}
		}
	}
	if flags == pageLeaf {
		return nil
	}
	for i, key := range keys {
		end := high
		if i+1 < len(keys) {
			end = keys[i+1]
		}
		if err := c.tree(native.Uint64(b[pageHead*(1+i)+8:]), key, end, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) bucket(id uint64, value []byte, depth int) error {
	if len(value) < bucketValue || depth > maxDepth {
		return damaged(id, "has a bucket that cannot be")
	}
	if root := native.Uint64(value); root != 0 {
		return c.tree(root, nil, nil, depth+1)
	}
	return c.elements(id, value[bucketValue:], nil, nil, depth+1)
}

// hasMagic reports whether one of the two heads of the file at path is like bbolt's.
func hasMagic(path string) bool {
	f, err := os.Open(path) //nolint:gosec // the caller's path
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	for _, at := range []int{0, os.Getpagesize()} {
		var b [4]byte
		if _, err := f.ReadAt(b[:], int64(at)+pageHead); err == nil && native.Uint32(b[:]) == boltMagic {
			return true
		}
	}
	return false
}
