//go:build !race

package nethttpadapter_test // the race detector makes sync.Pool drop what it holds, so allocations are exact only without it

import (
	"net/http"
	"testing"

	"github.com/fprom-go/fprom/nethttpadapter"
)

// TestAllocations: a request that records nothing costs three allocations more at most; a sale with the visitor's id that
// is validated, deduped and queued costs ten.
func TestAllocations(t *testing.T) { // not parallel: allocations are counted for the whole process
	const runs = 4000
	wrap := nethttpadapter.Middleware(newTracker(t, runs+1))
	for _, c := range []struct {
		name    string
		handler http.Handler
		most    float64
	}{
		{"bare", http.HandlerFunc(plain), 0},
		{"nothing recorded", wrap(http.HandlerFunc(plain)), 3},
		{"sale", wrap(sellingOf(saleIDs(runs + 1))), 10},
	} {
		w, r := exchange(t)
		if got := testing.AllocsPerRun(runs, func() { c.handler.ServeHTTP(w, r) }); got > c.most {
			t.Errorf("%s: %v allocations, want at most %v", c.name, got, c.most)
		}
	}
}
