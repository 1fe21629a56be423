package boltqueue

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os"
)

// bbolt trusts the pages of a file: a damaged page number ends the process or lets it loop, also in bbolt's own check. So
// before bbolt walks a file, checkPages looks whether its pages form trees: each is in the file and reached once, its
// elements lie within it, and keys ascend. The layout is that of bbolt's version 2, which is stable: a page is id (8), flags
// (2), count (2), overflow (4), then its elements.
const (
	pageHead   = 16
	metaSize   = 64
	boltMagic  = 0xED0CDAED
	flagBranch = 0x01
	flagLeaf   = 0x02
	leafBucket = 0x01
	maxDepth   = 32
)

type checker struct {
	f    *os.File
	size uint64 // of a page
	high uint64 // pages in use are below
	seen []bool
}

var native = binary.NativeEndian

// hasMagic reports whether the file at path begins like one of bbolt's.
func hasMagic(path string) bool {
	f, err := os.Open(path) //nolint:gosec // the caller's path
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	for size := int64(1024); size <= 1<<16; size *= 2 {
		for _, at := range []int64{0, size} {
			var b [4]byte
			if _, err := f.ReadAt(b[:], at+pageHead); err == nil && native.Uint32(b[:]) == boltMagic {
				return true
			}
		}
	}
	return false
}

// checkPages checks the form of a file that bbolt could open.
func checkPages(path string) error {
	f, err := os.Open(path) //nolint:gosec // the caller's path
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	meta := newestMeta(f)
	if meta == nil {
		return fmt.Errorf("%w: no valid head", ErrDamaged)
	}
	c := &checker{f: f, size: uint64(native.Uint32(meta[8:])), high: native.Uint64(meta[40:])}
	if c.size < 1024 || c.size > 1<<16 || c.high > uint64(info.Size())/c.size {
		return fmt.Errorf("%w: it is shorter than it should be", ErrDamaged)
	}
	c.seen = make([]bool, c.high)
	return c.tree(native.Uint64(meta[16:]), nil, nil, 0)
}

// newestMeta is the meta page that bbolt takes.
func newestMeta(f *os.File) (newest []byte) {
	for size := int64(1024); size <= 1<<16; size *= 2 {
		for _, at := range []int64{0, size} {
			b := make([]byte, metaSize)
			if _, err := f.ReadAt(b, at+pageHead); err != nil || native.Uint32(b) != boltMagic {
				continue
			}
			h := fnv.New64a()
			_, _ = h.Write(b[:56])
			if h.Sum64() == native.Uint64(b[56:]) && (at == 0 || int64(native.Uint32(b[8:])) == size) &&
				(newest == nil || native.Uint64(b[48:]) > native.Uint64(newest[48:])) {
				newest = b
			}
		}
	}
	return newest
}

func (c *checker) damaged(id uint64, what string) error {
	return fmt.Errorf("%w: page %d %s", ErrDamaged, id, what)
}

// tree checks the page with that number and all below it. Its keys are from low on and before high, where that is set.
func (c *checker) tree(id uint64, low, high []byte, depth int) error {
	if id < 2 || id >= c.high || depth > maxDepth {
		return c.damaged(id, "is out of place")
	}
	b, err := c.read(id)
	if err != nil {
		return err
	}
	overflow := uint64(native.Uint32(b[12:]))
	for i := id; i <= id+overflow; i++ {
		if c.seen[i] {
			return c.damaged(i, "is used twice")
		}
		c.seen[i] = true
	}
	if native.Uint64(b) != id {
		return c.damaged(id, "is another one")
	}
	return c.elements(id, b, low, high, depth)
}

func (c *checker) read(id uint64) ([]byte, error) {
	b := make([]byte, c.size)
	if _, err := c.f.ReadAt(b, int64(id*c.size)); err != nil {
		return nil, err
	}
	overflow := uint64(native.Uint32(b[12:]))
	if overflow == 0 {
		return b, nil
	}
	if overflow >= c.high-id {
		return nil, c.damaged(id, "is too long")
	}
	b = make([]byte, (1+overflow)*c.size)
	_, err := c.f.ReadAt(b, int64(id*c.size))
	return b, err
}

// elements checks what a page has. b is the page, or the value of a small bucket, which looks like one.
func (c *checker) elements(id uint64, b, low, high []byte, depth int) error {
	if len(b) < pageHead {
		return c.damaged(id, "is too short")
	}
	flags, count := native.Uint16(b[8:]), uint64(native.Uint16(b[10:]))
	if flags != flagBranch && flags != flagLeaf || pageHead*(1+count) > uint64(len(b)) || flags == flagBranch && count == 0 {
		return c.damaged(id, "is of no known kind")
	}
	last, children := low, make([]uint64, 0, count)
	var keys [][]byte
	for i := range count {
		at := pageHead * (1 + i)
		e := b[at : at+pageHead]
		var pos, ksize, vsize uint64
		if flags == flagBranch {
			pos, ksize = uint64(native.Uint32(e)), uint64(native.Uint32(e[4:]))
		} else {
			pos, ksize, vsize = uint64(native.Uint32(e[4:])), uint64(native.Uint32(e[8:])), uint64(native.Uint32(e[12:]))
		}
		from := at + pos
		if pos < pageHead*(count-i) || from+ksize+vsize > uint64(len(b)) {
			return c.damaged(id, "has an element outside of it")
		}
		key, value := b[from:from+ksize], b[from+ksize:from+ksize+vsize]
		if i == 0 && bytes.Compare(key, last) < 0 || i > 0 && bytes.Compare(key, last) <= 0 || high != nil && bytes.Compare(key, high) >= 0 {
			return c.damaged(id, "is not in order")
		}
		last = key
		if flags == flagBranch {
			children, keys = append(children, native.Uint64(e[8:])), append(keys, key)
		} else if native.Uint32(e)&leafBucket != 0 {
			if err := c.bucket(id, value, depth); err != nil {
				return err
			}
		}
	}
	for i, child := range children {
		end := high
		if i+1 < len(keys) {
			end = keys[i+1]
		}
		if err := c.tree(child, keys[i], end, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// bucket checks a bucket by its value: its root page (8), a sequence (8), and if the root is 0 the content.
func (c *checker) bucket(id uint64, value []byte, depth int) error {
	if len(value) < 16 || depth > maxDepth {
		return c.damaged(id, "has a bucket that cannot be")
	}
	if root := native.Uint64(value); root != 0 {
		return c.tree(root, nil, nil, depth+1)
	}
	return c.elements(id, value[16:], nil, nil, depth+1)
}
