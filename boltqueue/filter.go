package boltqueue

// filter is a Bloom filter: a key that is not in a run is almost never looked up in it. Hashes are used as they are.
type filter []byte

const (
	filterBits   = 10 // for each key: one in a hundred is looked up in vain
	filterProbes = 6
)

func newFilter(keys uint64) filter { return make(filter, keys*filterBits/8+8) }

func (f filter) add(h hash) {
	a, b := splitPair(h[:])
	for range filterProbes {
		i := a % (uint64(len(f)) * 8)
		f[i/8] |= 1 << (i % 8)
		a += b
	}
}

// mayHave is true for a filter that could not be read.
func (f filter) mayHave(h hash) bool {
	a, b := splitPair(h[:])
	for range filterProbes {
		if len(f) == 0 {
			return true
		}
		i := a % (uint64(len(f)) * 8)
		if f[i/8]&(1<<(i%8)) == 0 {
			return false
		}
		a += b
	}
	return true
}
