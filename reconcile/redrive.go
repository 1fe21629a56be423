package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/fprom-go/fprom"
)

// dropOtherIDs counts the lost events that FirstPromoter seems to have under an event id that is not ours, and leaves them out of
// what is sent again: it cannot know that they are the same.
func (r *run) dropOtherIDs() {
	lost, other, near, own := byCustomer(r.lost), map[*event]bool{}, map[*event]bool{}, 0
	for _, rows := range r.foreign {
		for _, c := range rows {
			for _, e := range lost(c) {
				if c.Created.Sub(e.at).Abs() <= samePayment {
					if near[e] = true; sameAmount(e, c) {
						other[e] = true
					}
				}
			}
		}
	}
	for _, e := range r.ours {
		if e.has() > 0 {
			own++
		}
	}
	if len(near) > 2*own { // another column of the list has the event ids, and the amounts may be with taxes
		other = near
	}
	r.lost = slices.DeleteFunc(r.lost, func(e *event) bool { return other[e] })
	r.report.OtherID = len(other)
}

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
