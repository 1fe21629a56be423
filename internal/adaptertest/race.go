//go:build race

package adaptertest

// PoolDrops is the number of allocations that a request may have more because the race detector makes sync.Pool drop
// a quarter of what is put into it.
const PoolDrops = 2
