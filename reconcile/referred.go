package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/internal/backlog"
)

// referred returns the events of referred customers. It gives the others their verdict.
func (r *run) referred(ctx context.Context, events []*event) (left []*event, err error) {
	if err := r.findLeads(ctx, events); err != nil {
		return nil, err
	}
	for _, e := range events {
		v := r.referral(e)
		makes := false
		if v == notReferral && e.brought != nil {
			if makes, err = r.makesLead(ctx, *e.brought); err != nil {
				return nil, err
			}
		}
		if v == missing || makes {
			left = append(left, e)
		} else {
			r.conclude(e, v)
		}
	}
	return left, nil
}

// source says who brought the customer of a listed sale.
type source struct {
	visitor          bool // the sale has a TID
	refID, promoCode string
}

// makesLead reports whether a sale makes its customer a lead when it arrives. FirstPromoter cannot be asked for a visitor.
func (r *run) makesLead(ctx context.Context, s source) (bool, error) {
	if s.visitor {
		return true, nil
	}
	for _, x := range [][2]string{{"ref_token", s.refID}, {"promo_code", s.promoCode}} {
		makes, asked := r.promoters[x]
		if !asked && x[1] != "" {
			p, err := r.Client.PromoterBy(ctx, x[0], x[1])
			if err != nil && !errors.Is(err, firstpromoter.ErrNotFound) {
				return false, err
			}
			makes = err == nil && p.Archived.IsZero()
			r.promoters[x] = makes
		}
		if makes {
			return true, nil
		}
	}
	return false, nil
}

// referral is the verdict on an event without a commission, by the leads of its customer: the one of the address and the one of
// the uid may be two.
func (r *run) referral(e *event) verdict {
	v := notReferral
	for _, name := range e.customers {
		switch lead := r.leads[backlog.Customer(name)]; {
		case lead == nil, lead.Created.After(e.at.Add(24 * time.Hour)): // a sale can create its lead, and a date may have no time
		case lead.Expired, lead.State == "denied":
			v = noCommission
		default:
			return missing
		}
	}
	return v
}

// findLeads looks for the customers of events among the referrals: one by one, or in the list of all, whichever takes fewer
// calls.
func (r *run) findLeads(ctx context.Context, events []*event) error {
	wanted := map[string]string{}
	pages := 1
	for _, e := range events {
		for _, customer := range e.customers {
			name := backlog.Customer(customer)
			if _, asked := r.leads[name]; name == "" || asked || r.listed {
				continue
			}
			if len(wanted) == 0 {
				campaigns, err := r.Client.Campaigns(ctx)
				if err != nil {
					return err
				}
				for _, c := range campaigns {
					pages += c.Referrals / 100
				}
			}
			if wanted[name] = customer; len(wanted) > max(pages, 10) {
				return r.listLeads(ctx, pages)
			}
		}
	}
	done := 0
	for name, customer := range wanted {
		by := "uid"
		if strings.Contains(name, "@") {
			by = "email"
		}
		l, err := r.Client.Referral(ctx, by, customer)
		switch {
		case errors.Is(err, firstpromoter.ErrNotFound):
			r.leads[name] = nil
		case err != nil:
			return err
		default:
			r.leads[name] = &l
		}
		done++
		r.progress("customers", done, len(wanted), len(wanted)-done)
	}
	return nil
}

// listLeads reads all referrals, about so many pages. If a customer is a referral twice, the older one counts.
func (r *run) listLeads(ctx context.Context, pages int) error {
	n := 0
	for l, err := range r.Client.Referrals(ctx) {
		if err != nil {
			return err
		}
		if n++; n%100 == 0 {
			r.progress("customers", n, 100*pages, max(pages-n/100, 0))
		}
		for _, name := range []string{backlog.Customer(l.Email), backlog.Customer(l.UID)} {
			if was := r.leads[name]; name != "" && (was == nil || was.Created.After(l.Created)) {
				r.leads[name] = &l
			}
		}
	}
	r.listed = true
	return nil
}

// arrivals counts the sales that FirstPromoter must have counted if all of ours arrived: those with a
// commission, foreign ones, doubled ones, and the events without a commission. It sets r.offset.
func (r *run) arrivals(s span, without []*event) times {
	t := times{}
	for _, e := range r.ours {
		i := slices.IndexFunc(e.rows, e.earns)
		if e.kind != fprom.KindSale || i < 0 {
			continue
		}
		t.add(e.rows[i].Created)
		if doubled(e) {
			t.add(e.rows[i].Created)
		}
	}
	for _, rows := range r.foreign {
		if kindOf(rows[0]) == fprom.KindSale {
			t.add(rows[0].Created)
		}
	}
	for _, c := range r.nameless {
		if kindOf(c) == fprom.KindSale {
			t.add(c.Created)
		}
	}
	for _, e := range without {
		if e.kind == fprom.KindSale {
			t.add(e.at)
		}
	}
	r.findZone(t, s)
	return t
}
