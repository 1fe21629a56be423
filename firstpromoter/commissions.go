package firstpromoter

import (
	"context"
	"iter"
	"net/url"
	"strconv"
	"time"
)

// Commission is what one promoter earned by one sale, or lost by a refund. One sale has none, one or several
// (https://docs.firstpromoter.com/api-reference-v2/api-admin/commissions).
type Commission struct {
	ID       int64
	Type     string // "sale", "custom", …
	Status   string // "pending", "approved", "denied"
	EventID  string // of the sale; empty where FirstPromoter has none
	Created  time.Time
	Amount   int64  // what the promoter earns; minor units of the account's currency, or of Unit
	Unit     string // "cash", "points", …
	Tier     int
	Split    bool
	RewardID int64

	SaleAmount       int64  // minor units, converted to the account's currency
	OriginalAmount   int64  // minor units of OriginalCurrency
	OriginalCurrency string // as FirstPromoter writes it; empty where it has none

	PromoterID, PromoterCampaignID int64
	ReferralID                     int64
	Email, UID                     string // of the referral
}

// Refund reports whether the commission takes money back: its type is "refund", or an amount is negative. FirstPromoter does
// not document what the commission of a refund looks like.
func (c Commission) Refund() bool {
	return c.Type == "refund" || c.SaleAmount < 0 || c.OriginalAmount < 0 || c.Amount < 0
}

// CommissionQuery says which commissions to list. The zero value means all.
type CommissionQuery struct {
	// From and To are the first and the last date of creation. FirstPromoter does not document the time zone of a date, nor
	// whether To is included: ask for one day more on both sides, and look at Created.
	From, To time.Time
	// Search finds commissions by event id, or by the referral's e-mail address or uid. FirstPromoter does not document
	// whether a part of one is enough.
	Search string
	// IDs are FirstPromoter's ids of commissions, at most 100.
	IDs []int64
	// NewestFirst lists the newest commissions first. Default: the oldest first.
	NewestFirst bool
}

func (q CommissionQuery) values() url.Values {
	v := url.Values{"sorting[created_at]": {"asc"}} // a commission that is added meanwhile comes last
	if q.NewestFirst {
		v.Set("sorting[created_at]", "desc")
	}
	setDay(v, "filters[created_at][from]", q.From)
	setDay(v, "filters[created_at][to]", q.To)
	if q.Search != "" {
		v.Set("q", q.Search)
	}
	for _, id := range q.IDs {
		v.Add("ids[]", strconv.FormatInt(id, 10))
	}
	return v
}

func setDay(v url.Values, name string, t time.Time) {
	if !t.IsZero() {
		v.Set(name, t.Format(time.DateOnly))
	}
}

type wireCommission struct {
	ID               number `json:"id"`
	Type             text   `json:"commission_type"`
	Status           text   `json:"status"`
	EventID          text   `json:"event_id"`
	Created          moment `json:"created_at"`
	Amount           number `json:"amount"`
	Unit             text   `json:"unit"`
	Tier             number `json:"tier"`
	Split            flag   `json:"is_split"`
	SaleAmount       number `json:"sale_amount"`
	OriginalAmount   number `json:"original_sale_amount"`
	OriginalCurrency text   `json:"original_sale_currency"`
	PromoterCampaign struct {
		ID         number `json:"id"`
		PromoterID number `json:"promoter_id"`
	} `json:"promoter_campaign"`
	Referral struct {
		ID    number `json:"id"`
		Email text   `json:"email"`
		UID   text   `json:"uid"`
	} `json:"referral"`
	Reward struct {
		ID number `json:"id"`
	} `json:"reward"`
}

func (w wireCommission) commission() Commission {
	return Commission{
		ID: int64(w.ID), Type: string(w.Type), Status: string(w.Status), EventID: string(w.EventID), Created: w.Created.time(),
		Amount: int64(w.Amount), Unit: string(w.Unit), Tier: int(w.Tier), Split: bool(w.Split),
		RewardID: int64(w.Reward.ID), SaleAmount: int64(w.SaleAmount), OriginalAmount: int64(w.OriginalAmount),
		OriginalCurrency: string(w.OriginalCurrency), PromoterID: int64(w.PromoterCampaign.PromoterID),
		PromoterCampaignID: int64(w.PromoterCampaign.ID), ReferralID: int64(w.Referral.ID),
		Email: referralEmail(w.Referral.Email), UID: string(w.Referral.UID),
	}
}

// Commissions lists the commissions of q, each once. Rows that changed places while the list was read come later. The first
// error ends it.
func (c *Client) Commissions(ctx context.Context, q CommissionQuery) iter.Seq2[Commission, error] {
	return func(yield func(Commission, error) bool) {
		rows := list(ctx, c, "commissions", q.values(), func(w wireCommission) int64 { return int64(w.ID) })
		for w, err := range rows {
			if !yield(w.commission(), err) {
				return
			}
		}
	}
}
