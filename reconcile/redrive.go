package reconcile

import (
	"context"
	"errors"
	"strings"

	"github.com/fprom-go/fprom"
)

// redrive sends the missing events again. An event that fails does not stop the others, but refused credentials do.
func (r *run) redrive(ctx context.Context) error {
	n := &Redriven{}
	r.report.Redriven = n
	for i, e := range r.lost {
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.body == nil {
			n.NoCustomer++
			continue
		}
		res, err := r.Redrive(ctx, e.body)
		switch {
		case errors.Is(err, fprom.ErrUnauthorized):
			return err
		case err != nil:
			n.Failed++
			if n.Reason == "" {
				n.Reason = strings.TrimPrefix(err.Error(), "fprom: ")
			}
		case res.Outcome == fprom.Duplicate:
			n.Duplicate++
		case res.Outcome == fprom.NotReferral:
			n.NotReferral++
		default: // no error means tracked
			n.Tracked++
		}
		r.progress("redrive", i+1, len(r.lost), 0)
	}
	return nil
}
