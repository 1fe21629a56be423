package boltqueue

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"

	"go.etcd.io/bbolt"
)

// The pages of a file are checked before bbolt follows them. bbolt trusts them: one flipped byte can crash the process or make it
// loop for ever. bbolt's own check and its search for free pages at each opening are no help: they run in a goroutine whose page
// faults and panics nobody can recover.
//
// A page is its id (8), flags (2), count (2), overflow (4), and its elements.
const (
	pageHead    = 16
	pageBranch  = 0x01
	pageLeaf    = 0x02
	leafBucket  = 0x01
	bucketValue = 16 // bytes: the root page of a bucket (8), its sequence (8). If root is 0, its only page follows
)

var native = binary.NativeEndian

type checker struct {
	f    *os.File
	size uint64 // of a page
	seen []bool // by page
}

// checkPages panics unless the pages of file form a tree: each page is in the file and used once, its elements lie within it, and its
// keys ascend. An element that is longer than its page panics as an index out of range. tx belongs to the same file, opened read-only:
// then bbolt has not followed the pages yet.
func checkPages(tx *bbolt.Tx, file *os.File) {
	c := &checker{f: file, size: uint64(tx.DB().Info().PageSize)}
	c.seen = make([]bool, uint64(tx.Size())/c.size)
	c.tree(uint64(tx.Cursor().Bucket().Root()), nil)
}

// tree checks the page with this id and all pages below it. No key may be lower than low. It returns the highest one.
func (c *checker) tree(id uint64, low []byte) (last []byte) {
	n := uint64(1)
	var b []byte
	for len(b) != int(n*c.size) { // twice if the page has overflow pages
		if n > uint64(len(c.seen)) {
			panic(fmt.Sprintf("page %d is longer than the file", id)) // and perhaps than the memory
		}
		b = make([]byte, n*c.size)
		_, err := c.f.ReadAt(b, int64(id*c.size))
		must(err)
		n = 1 + uint64(native.Uint32(b[12:]))
	}
	for i := id; i < id+n; i++ {
		if c.seen[i] || native.Uint64(b) != id {
			panic(fmt.Sprintf("page %d is used twice, or has the id of another page", i))
		}
		c.seen[i] = true
	}
	return c.elements(b, low)
}

// elements checks the elements of a page, or of an inline page: the value of a small bucket.
func (c *checker) elements(b, low []byte) (last []byte) {
	flags, count := native.Uint16(b[8:]), native.Uint16(b[10:])
	branch := flags == pageBranch
	if flags != pageLeaf && (!branch || count == 0) {
		panic("a page has an unknown kind, or leads to no other")
	}
	for i := range int(count) {
		e := b[pageHead*(1+i):]
		at, size, length := native.Uint32(e[4:]), native.Uint32(e[8:]), native.Uint32(e[12:]) // where the key begins, its size, that of the value
		if branch {
			at, size, length = native.Uint32(e), native.Uint32(e[4:]), 0
		}
		key, value := e[at:][:size], e[at:][size:][:length]
		if order := bytes.Compare(key, low); order < 0 || order == 0 && i > 0 {
			panic("a page has keys out of order")
		}
		low = key
		switch {
		case branch:
			low = c.tree(native.Uint64(e[8:]), key)
		case native.Uint32(e)&leafBucket == 0:
		case native.Uint64(value) == 0:
			c.elements(slices.Clip(value[bucketValue:]), nil)
		default:
			c.tree(native.Uint64(value), nil)
		}
	}
	return low
}
