package reconcile

import (
	"io"
	"iter"

	"github.com/fprom-go/fprom/backfill"
)

// File reads a file of sales for Options.Sales, as backfill reads it: a provider's export, an old integration's log. Every
// row needs a date. refused, if set, gets the rows that make no sale; nothing is expected of those, but their event ids are
// ours. The error is that of backfill.NewReader.
func File(r io.Reader, f backfill.Format, refused func(backfill.Row)) (iter.Seq2[Sale, error], error) {
	f.NeedDate = true
	in, err := backfill.NewReader(r, f)
	if err != nil {
		return nil, err
	}
	return func(yield func(Sale, error) bool) {
		for row, err := range in.Rows() {
			s := Sale{Event: row.Event, ID: row.EventID, At: row.At}
			if err == nil && row.Err != nil {
				s.Event = nil
				if refused != nil {
					refused(row)
				}
				if row.EventID == "" {
					continue
				}
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}, nil
}
