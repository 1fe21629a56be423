package paging_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/paging"
)

// Seven entries in pages of three: a limit may end within a page or with one, an error ends the range, and every range reads anew.
func TestPages(t *testing.T) {
	t.Parallel()
	const size, all = 3, 7
	for _, c := range []struct{ limit, readable, want int }{{0, all, 7}, {-1, all, 7}, {2, all, 2}, {3, all, 3}, {6, all, 6}, {7, all, 7}, {9, all, 7}, {0, 6, 6}, {0, 3, 3}, {0, 0, 0}} {
		entries := paging.Entries(fprom.Filter{Limit: c.limit}, size, func(f fprom.Filter) (page []fprom.Entry, err error) {
			after, _ := strconv.Atoi(f.After)
			if after >= c.readable && c.readable < all {
				return nil, context.DeadlineExceeded
			}
			for i := after + 1; i <= all && len(page) < size; i++ {
				page = append(page, fprom.Entry{Cursor: strconv.Itoa(i), Customer: "ann@example.com"})
			}
			return page, nil
		})
		for range 2 {
			n, failures := 0, 0
			for e, err := range entries {
				if err != nil {
					failures++
					continue
				}
				if n++; e.Cursor != strconv.Itoa(n) || e.Customer != "a***@e***" {
					t.Errorf("%+v: %+v", c, e)
				}
			}
			if n != c.want || failures != min(all-c.readable, 1) {
				t.Errorf("%+v: %d entries and %d errors", c, n, failures)
			}
		}
	}
}
