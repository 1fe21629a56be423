package boltqueue

import (
	"bytes"
	"fmt"
	"os"
)

const (
	maxDepth  = 32
	checkFull = 64 << 20 // files below this size are checked whole when they are opened
)

// checkHead decides whether bbolt may open a file: it is an outbox of a known format, nothing is missing at its end, and
// its pages form trees. An empty file may become an outbox.
func checkHead(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	p, err := newPager(f, info.Size())
	if err != nil {
		return err
	}
	if err := p.checkFormat(); err != nil {
		return err
	}
	return p.check(info.Size() < checkFull || p.meta.freelist == noFreelist)
}

// checkFormat: an empty bbolt file passes.
func (p *pager) checkFormat() error {
	meta, ok, err := p.bucket(bucketMeta)
	if err != nil {
		return err
	}
	if !ok {
		return p.checkForeign()
	}
	switch version := decodeFormat(meta.get(keyFormat)); {
	case version == 0:
		return ErrForeign
	case version > formatVersion:
		return fmt.Errorf("%w (format %d, known: %d)", ErrNewerFormat, version, formatVersion)
	default:
		return nil
	}
}

// checkForeign: there is no bucket meta. An empty bbolt file is not foreign.
func (p *pager) checkForeign() error {
	root, err := p.page(p.meta.root)
	if err != nil || root.flags == pageLeaf && root.count == 0 {
		return err
	}
	for i := range int(root.count) {
		if root.flags != pageLeaf {
			break
		}
		if _, _, bucket := root.leaf(i); !bucket {
			return fmt.Errorf("%w: page %d is not a root", ErrDamaged, p.meta.root)
		}
	}
	return ErrForeign
}

// get looks key up in a bucket of one page, as meta is.
func (n node) get(key []byte) []byte {
	if n.flags != pageLeaf {
		return nil
	}
	for i := range int(n.count) {
		if k, v, _ := n.leaf(i); bytes.Equal(k, key) {
			return v
		}
	}
	return nil
}

// checker walks the trees. Each page may be reached once.
type checker struct {
	*pager
	full bool
	seen []uint64 // a bit for each page
}

// check walks all branch pages, and with full all leaves too. It does not verify the messages: they have checksums.
func (p *pager) check(full bool) error {
	c := &checker{pager: p, full: full, seen: make([]uint64, p.meta.pgid/64+1)}
	if err := c.visit(p.meta.root, 0, true, bounds{}); err != nil {
		return err
	}
	if p.meta.freelist == noFreelist {
		return nil
	}
	return c.checkFreelist()
}

func (c *checker) mark(id, overflow uint64) error {
	for ; ; id++ {
		if c.seen[id/64]&(1<<(id%64)) != 0 {
			return fmt.Errorf("%w: page %d is used twice", ErrDamaged, id)
		}
		c.seen[id/64] |= 1 << (id % 64)
		if overflow == 0 {
			return nil
		}
		overflow--
	}
}

// bounds are what a page's keys must lie between: from is included, to is not. nil: no bound.
type bounds struct{ from, to []byte }

func (b bounds) hold(n node) bool {
	if n.count == 0 {
		return true
	}
	return bytes.Compare(n.key(0), b.from) >= 0 && (b.to == nil || bytes.Compare(n.key(int(n.count)-1), b.to) < 0)
}

// visit checks the tree below page id. Only the root's leaves hold buckets.
func (c *checker) visit(id uint64, depth int, root bool, b bounds) error {
	n, err := c.page(id)
	if err != nil {
		return err
	}
	if !b.hold(n) {
		return fmt.Errorf("%w: keys of page %d", ErrDamaged, id)
	}
	if err := c.mark(id, uint64(n.overflow)); err != nil {
		return err
	}
	if n.flags == pageLeaf {
		return c.visitLeaf(id, n, root)
	}
	if n.flags != pageBranch || depth > maxDepth {
		return fmt.Errorf("%w: page %d has flags %#x at depth %d", ErrDamaged, id, n.flags, depth)
	}
	leaves := false
	for i := range int(n.count) {
		child := n.child(i)
		if child < 2 || child >= c.meta.pgid {
			return fmt.Errorf("%w: page %d refers to page %d", ErrDamaged, id, child)
		}
		if leaves && !c.full && !root { // its siblings are leaves
			if err := c.mark(child, 0); err != nil {
				return err
			}
			continue
		}
		within := bounds{n.key(i), b.to}
		if i+1 < int(n.count) {
			within.to = n.key(i + 1)
		}
		if err := c.visit(child, depth+1, root, within); err != nil {
			return err
		}
		if i == 0 {
			leaves = c.isLeaf(child)
		}
	}
	return nil
}

func (c *checker) isLeaf(id uint64) bool {
	n, err := c.page(id)
	return err == nil && n.flags == pageLeaf
}

func (c *checker) visitLeaf(id uint64, n node, root bool) error {
	for i := range int(n.count) {
		_, value, bucket := n.leaf(i)
		if !bucket {
			continue
		}
		if !root {
			return fmt.Errorf("%w: page %d has a bucket within a bucket", ErrDamaged, id)
		}
		if _, err := c.bucketRoot(value); err != nil {
			return err
		}
		if page := order.Uint64(value); page != 0 {
			if err := c.visit(page, 0, false, bounds{}); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkFreelist: a page that is in use must not be taken for free.
func (c *checker) checkFreelist() error {
	id := c.meta.freelist
	n, err := c.page(id)
	if err != nil {
		return err
	}
	if n.flags != pageFreelist {
		return fmt.Errorf("%w: page %d is no list of free pages", ErrDamaged, id)
	}
	if err := c.mark(id, uint64(n.overflow)); err != nil {
		return err
	}
	ids, count := n.data[pageHeader:], uint64(n.count)
	if n.count == 0xFFFF { // the count did not fit
		count, ids = order.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return fmt.Errorf("%w: the list of free pages is too long", ErrDamaged)
	}
	for i := range count {
		free := order.Uint64(ids[8*i:])
		if free < 2 || free >= c.meta.pgid {
			return fmt.Errorf("%w: free page %d of %d", ErrDamaged, free, c.meta.pgid)
		}
		if err := c.mark(free, 0); err != nil {
			return err
		}
	}
	return nil
}
