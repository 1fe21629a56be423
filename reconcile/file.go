package reconcile

import (
	"io"
	"iter"

	"github.com/fprom-go/fprom/backfill"
)

// File reads a file of sales for Options.Sales, as package backfill does: a provider's export, or the log of an old integration.
// Every row needs a date. refused, if set, is called for each row that makes no sale. Run expects no commission for such a row,
// but knows its event id. The error is that of backfill.NewReader.
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
