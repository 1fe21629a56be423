package fpromtest

import (
	"time"

	"github.com/fprom-go/fprom"
)

// object is a JSON object. The answers below have the members of FirstPromoter's documentation.
type object map[string]any

// stamp is a time in milliseconds, or null.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// orNull returns v, or null for the empty string.
func orNull(v string) any {
	if v == "" {
		return nil
	}
	return v
}

// eventJSON is the answer to a sale or a sign-up.
func (s *Server) eventJSON(id int64, l *lead, b Body, etype string, now time.Time, earned ...*bookRow) object {
	o := object{
		"id": id, "etype": etype, "sale_amount": nil, "original_sale_amount": nil, "original_sale_currency": nil,
		"event_id": nil, "plan_id": nil, "billing_period": nil, "created_at": stamp(now),
		"referral": referralJSON(l), "commissions": []object{},
	}
	if etype == fprom.KindSale {
		o["sale_amount"], o["original_sale_amount"] = s.convert(b.Amount, b.Currency), b.Amount
		o["original_sale_currency"] = orNull(b.Currency)
		o["event_id"], o["plan_id"] = b.EventID, orNull(b.Plan)
		commissions := []object{}
		for _, r := range earned {
			c := s.rowJSON(r) // the Company API's form, except these members
			delete(c, "split_details")
			c["event_id"], c["created_at"], c["created_by_user_at"] = b.EventID, stamp(now), nil
			c["promoter_campaign"].(object)["created_at"] = stamp(now)
			commissions = append(commissions, c)
		}
		o["commissions"] = commissions
	}
	return o
}

func referralJSON(l *lead) object {
	return object{"id": l.id, "email": orNull(l.email), "uid": orNull(l.uid)}
}

func refundJSON(id int64, l *lead, c Commission, now time.Time) object {
	return object{
		"id": id, "type": "refund", "amount_cents": c.SaleAmount,
		"reward": object{
			"id": c.ID, "status": "approved", "amount": c.Amount, "unit": "cash", "created_at": stamp(now),
			"lead": leadJSON(l), "event_id": c.EventID, "conversion_amount": c.SaleAmount, "tier_level": 1, "split_type": nil,
		},
		"lead": leadJSON(l), "promoter": promoterJSON(l.promoter),
	}
}

func cancellationJSON(id int64, l *lead) object {
	return object{
		"id": id, "type": "cancellation", "amount_cents": nil, "reward": nil,
		"lead": leadJSON(l), "promoter": promoterJSON(l.promoter),
	}
}

func leadJSON(l *lead) object {
	return object{
		"id": l.id, "state": l.shownState(), "email": orNull(l.email), "uid": orNull(l.uid),
		"customer_since": stamp(l.customer), "cancelled_at": stamp(l.cancelled), "plan_name": nil,
		"suspicion": "no_suspicion", "username": nil, "website": nil, "created_at": stamp(l.created),
		"split_promotion_id": nil, "custom_fields": nil, "split_percentage_value": nil, "visitor_sub_id": nil,
	}
}

func promoterJSON(p *Promoter) object {
	return object{
		"id": p.ID, "status": "active", "cust_id": "", "email": p.Email, "created_at": "2026-01-01T00:00:00.000Z",
		"temp_password": PromoterSecret + "-password", "auth_token": PromoterSecret + "-token",
		"default_promotion_id": p.ID + 1_000_000, "pref": p.RefID, "default_ref_id": p.RefID, "note": nil,
		"w8_form_url": nil, "w9_form_url": nil, "parent_promoter_id": nil,
		"earnings_balance": object{}, "current_balance": object{}, "paid_balance": object{},
	}
}
