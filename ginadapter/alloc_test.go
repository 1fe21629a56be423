//go:build !race

package ginadapter_test // the race detector makes sync.Pool drop what it holds, so allocations are exact only without it

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestAllocations: a request that records nothing costs three allocations more at most.
func TestAllocations(t *testing.T) { // not parallel: allocations are counted for the whole process
	w, r := nullWriter{http.Header{}}, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/checkout", http.NoBody)
	bare, wrapped := engines()
	without := testing.AllocsPerRun(4000, func() { bare.ServeHTTP(w, r) })
	with := testing.AllocsPerRun(4000, func() { wrapped.ServeHTTP(w, r) })
	if with > without+3 {
		t.Errorf("%v allocations with the middleware, %v without", with, without)
	}
}
