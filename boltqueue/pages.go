package boltqueue

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
)

// pager reads bbolt's file format (version 2) with ordinary reads. bbolt itself trusts the pages of its memory map: it is
// given a file only after this looked at it, and Inspect reads a file with it that another process is writing.
type pager struct {
	r        io.ReaderAt
	pageSize int64
	meta     pageMeta
}

// pageMeta is what bbolt's current meta page says.
type pageMeta struct {
	pageSize             uint32
	root, freelist, pgid uint64 // pgid: the number of pages
	txid                 uint64
}

const (
	pageHeader   = 16
	elementSize  = 16
	pageBranch   = 0x01
	pageLeaf     = 0x02
	pageFreelist = 0x10
	leafBucket   = 0x01 // flag of an element that is a bucket
	metaMagic    = 0xED0CDAED
	metaVersion  = 2
	metaSum      = 56 // offset of the checksum in a meta
	noFreelist   = ^uint64(0)
	maxPage      = 1 << 30 // a page with its overflow: far above two events, or the filters of two runs of 300,000,000 keys
)

var order = binary.NativeEndian

// newPager reads the meta pages of a file of the given size.
func newPager(r io.ReaderAt, size int64) (*pager, error) {
	p := &pager{r: r}
	first, magic0 := readMeta(r, 0)
	var second *pageMeta
	magic := magic0
	for off := int64(1024); off <= 1024<<14 && off < size; off <<= 1 {
		if first != nil && off != int64(first.pageSize) {
			continue
		}
		m, magic1 := readMeta(r, off)
		magic = magic || magic1
		if m != nil && int64(m.pageSize) == off {
			second = m
			break
		}
	}
	switch {
	case first == nil && second == nil && magic:
		return nil, fmt.Errorf("%w: both meta pages are invalid", ErrDamaged)
	case first == nil && second == nil:
		return nil, ErrForeign
	case first == nil || second != nil && second.txid > first.txid:
		p.meta = *second
	default:
		p.meta = *first
	}
	p.pageSize = int64(p.meta.pageSize)
	if p.pageSize < 1024 || p.pageSize > 1024<<14 || p.pageSize&(p.pageSize-1) != 0 {
		return nil, fmt.Errorf("%w: page size %d", ErrDamaged, p.pageSize)
	}
	if p.meta.pgid > uint64(size/p.pageSize) {
		return nil, fmt.Errorf("%w: truncated to %d bytes, %d pages of %d are missing", ErrDamaged, size,
			p.meta.pgid-uint64(size/p.pageSize), p.pageSize)
	}
	return p, nil
}

// readMeta returns nil if there is no valid meta page at off; magic: but there is something like one.
func readMeta(r io.ReaderAt, off int64) (m *pageMeta, magic bool) {
	var b [pageHeader + metaSum + 8]byte
	if _, err := r.ReadAt(b[:], off); err != nil {
		return nil, false
	}
	v := b[pageHeader:]
	if order.Uint32(v) != metaMagic {
		return nil, false
	}
	h := fnv.New64a()
	_, _ = h.Write(v[:metaSum])
	if order.Uint32(v[4:]) != metaVersion || order.Uint64(v[metaSum:]) != h.Sum64() {
		return nil, true
	}
	return &pageMeta{
		pageSize: order.Uint32(v[8:]), root: order.Uint64(v[16:]),
		freelist: order.Uint64(v[32:]), pgid: order.Uint64(v[40:]), txid: order.Uint64(v[48:]),
	}, true
}

// node is a page with its overflow, or the page inlined in a bucket's value.
type node struct {
	flags, count uint16
	overflow     uint32
	data         []byte // header included
}

// page reads page id. Everything it returns was checked to lie within the page.
func (p *pager) page(id uint64) (node, error) {
	if id < 2 || id >= p.meta.pgid {
		return node{}, fmt.Errorf("%w: page %d of %d", ErrDamaged, id, p.meta.pgid)
	}
	b := make([]byte, p.pageSize)
	off := int64(id) * p.pageSize
	if _, err := p.r.ReadAt(b, off); err != nil {
		return node{}, err
	}
	overflow := order.Uint32(b[12:])
	size := (int64(overflow) + 1) * p.pageSize
	if order.Uint64(b) != id || id+uint64(overflow) >= p.meta.pgid || size > maxPage {
		return node{}, fmt.Errorf("%w: header of page %d", ErrDamaged, id)
	}
	if overflow > 0 {
		b = make([]byte, size)
		if _, err := p.r.ReadAt(b, off); err != nil {
			return node{}, err
		}
	}
	return parseNode(id, b)
}

func parseNode(id uint64, b []byte) (node, error) {
	n := node{flags: order.Uint16(b[8:]), count: order.Uint16(b[10:]), overflow: order.Uint32(b[12:]), data: b}
	switch n.flags {
	case pageFreelist:
		return n, nil
	case pageBranch, pageLeaf:
	default:
		return n, fmt.Errorf("%w: page %d has flags %#x", ErrDamaged, id, n.flags)
	}
	if pageHeader+int(n.count)*elementSize > len(b) || n.flags == pageBranch && n.count == 0 {
		return n, fmt.Errorf("%w: page %d has %d elements", ErrDamaged, id, n.count)
	}
	var last []byte
	for i := range int(n.count) {
		e := b[pageHeader+i*elementSize:]
		pos, ksize, vsize := order.Uint32(e), order.Uint32(e[4:]), uint32(0)
		if n.flags == pageLeaf {
			pos, ksize, vsize = order.Uint32(e[4:]), order.Uint32(e[8:]), order.Uint32(e[12:])
		}
		if uint64(pos)+uint64(ksize)+uint64(vsize) > uint64(len(e)) {
			return n, fmt.Errorf("%w: element %d of page %d", ErrDamaged, i, id)
		}
		key := e[pos : pos+ksize]
		if i > 0 && bytes.Compare(last, key) >= 0 {
			return n, fmt.Errorf("%w: order of page %d", ErrDamaged, id)
		}
		last = key
	}
	return n, nil
}

// child is the page of a branch's element i.
func (n node) child(i int) uint64 { return order.Uint64(n.data[pageHeader+i*elementSize+8:]) }

func (n node) leaf(i int) (key, value []byte, bucket bool) {
	e := n.data[pageHeader+i*elementSize:]
	pos, ksize, vsize := order.Uint32(e[4:]), order.Uint32(e[8:]), order.Uint32(e[12:])
	return e[pos : pos+ksize], e[pos+ksize : pos+ksize+vsize], order.Uint32(e)&leafBucket != 0
}

// bucket finds a top-level bucket: its root page, or its only page if it is inlined.
func (p *pager) bucket(name []byte) (node, bool, error) {
	n, err := p.page(p.meta.root)
	for depth := 0; err == nil && n.flags == pageBranch && depth < maxDepth; depth++ {
		i := 0
		for i+1 < int(n.count) && bytes.Compare(n.key(i+1), name) <= 0 {
			i++
		}
		n, err = p.page(n.child(i))
	}
	if err != nil {
		return node{}, false, err
	}
	if n.flags != pageLeaf {
		return node{}, false, fmt.Errorf("%w: no leaf below the root", ErrDamaged)
	}
	for i := range int(n.count) {
		key, value, isBucket := n.leaf(i)
		if bytes.Equal(key, name) && isBucket {
			n, err = p.bucketRoot(value)
			return n, err == nil, err
		}
	}
	return node{}, false, nil
}

// key is that of element i.
func (n node) key(i int) []byte {
	if n.flags == pageLeaf {
		key, _, _ := n.leaf(i)
		return key
	}
	e := n.data[pageHeader+i*elementSize:]
	pos := order.Uint32(e)
	return e[pos : pos+order.Uint32(e[4:])]
}

// bucketRoot reads the root page of the bucket that a leaf's value describes.
func (p *pager) bucketRoot(value []byte) (node, error) {
	if len(value) < elementSize {
		return node{}, fmt.Errorf("%w: a bucket without header", ErrDamaged)
	}
	if root := order.Uint64(value); root != 0 {
		return p.page(root)
	}
	if len(value) < elementSize+pageHeader {
		return node{}, fmt.Errorf("%w: an inlined bucket without page", ErrDamaged)
	}
	n, err := parseNode(0, value[elementSize:])
	if err == nil && n.flags != pageLeaf {
		err = fmt.Errorf("%w: an inlined bucket that is no leaf", ErrDamaged)
	}
	return n, err
}

// first is the first key of the bucket with root n and its value; nil if it is empty.
func (p *pager) first(n node) (key, value []byte, err error) {
	for depth := 0; n.flags == pageBranch && depth < maxDepth; depth++ {
		if n, err = p.page(n.child(0)); err != nil {
			return nil, nil, err
		}
	}
	if n.flags != pageLeaf || n.count == 0 {
		return nil, nil, nil
	}
	key, value, _ = n.leaf(0)
	return key, value, nil
}
