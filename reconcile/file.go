package reconcile

import (
	"errors"
	"io"
	"iter"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/backfill"
)

// File reads a file of sales for Options.Sales, as package backfill does: a provider's export, or the log of an old integration.
// Every row needs a date. refused, if set, is called for each row that makes no sale. Run expects no commission for such a row,
// but knows its event id. A row whose event id an earlier row has with another amount is refused with fprom.ErrConflict. The
// error is that of backfill.NewReader.
func File(r io.Reader, f backfill.Format, refused func(backfill.Row)) (iter.Seq2[Sale, error], error) {
	f.NeedDate = true
	in, err := backfill.NewReader(r, f)
	if err != nil {
		return nil, err
	}
	return func(yield func(Sale, error) bool) {
		digests := map[string]uint64{} // of the amounts, by key
		for row, err := range in.Rows() {
			if err != nil {
				yield(Sale{}, err)
				return
			}
			if row.Err == nil {
				row.Err = conflict(digests, row.Event)
			}
			s := Sale{Event: row.Event, ID: row.EventID, At: row.At}
			if row.Err != nil {
				if s.Event = nil; errors.Is(row.Err, backfill.ErrZeroAmount) || errors.Is(row.Err, backfill.ErrUnpaid) {
					s.Event = fprom.Sale{EventID: row.EventID}
				}
				if refused != nil {
					refused(row)
				}
				if row.EventID == "" {
					continue
				}
			}
			if !yield(s, nil) {
				return
			}
		}
	}, nil
}

// conflict returns fprom.ErrConflict if an event with the id of e has another amount.
func conflict(digests map[string]uint64, e fprom.Event) error {
	m, err := fprom.NewMessage(e)
	if err != nil {
		return err
	}
	if was, known := digests[m.Key]; known && was != m.Digest {
		return fprom.ErrConflict
	}
	digests[m.Key] = m.Digest
	return nil
}
