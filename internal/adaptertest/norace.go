//go:build !race

package adaptertest

// PoolDrops is the number of allocations that a request may have more because of the race detector.
const PoolDrops = 0
