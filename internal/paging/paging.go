// Package paging reads the entries of an outbox page by page.
package paging

import (
	"iter"

	"github.com/fprom-go/fprom"
)

// Entries ranges over the entries that f selects, and shows them as f says. read returns the first entries that f selects, at most size. A
// page of fewer is the last one.
func Entries(f fprom.Filter, size int, read func(fprom.Filter) ([]fprom.Entry, error)) iter.Seq2[fprom.Entry, error] {
	return func(yield func(fprom.Entry, error) bool) {
		f := f // the caller may range again
		for more := true; more; {
			page, err := read(f)
			if err != nil {
				yield(fprom.Entry{}, err)
				return
			}
			for _, e := range page {
				f.After = e.Cursor
				f.Limit-- // less than 0: no limit
				if !yield(f.Show(e), nil) || f.Limit == 0 {
					return
				}
			}
			more = len(page) == size
		}
	}
}
