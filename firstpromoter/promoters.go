package firstpromoter

import (
	"context"
	"time"
)

// Promoter is somebody who brings customers (https://docs.firstpromoter.com/api-reference-v2/api-admin/promoters).
// FirstPromoter's record also contains the promoter's credentials: only these fields are read.
type Promoter struct {
	ID        int64
	Archived  time.Time // zero: not archived
	Campaigns []PromoterCampaign
}

// PromoterCampaign is a promoter's membership in a campaign.
type PromoterCampaign struct {
	ID, CampaignID int64
	State          string // "pending", "accepted", "rejected", "blocked", "inactive", "not_set"
	RefID          string // the referral id in the promoter's links
}

// Promoter returns one promoter. by is "id", "email", "cust_id", "ref_token" or "promo_code". The error wraps ErrNotFound
// if there is none.
func (c *Client) Promoter(ctx context.Context, by, value string) (Promoter, error) {
	type wire struct {
		ID        number `json:"id"`
		Archived  moment `json:"archived_at"`
		Campaigns []struct {
			ID       number `json:"id"`
			Campaign number `json:"campaign_id"`
			State    text   `json:"state"`
			Ref      text   `json:"ref_token"`
		} `json:"promoter_campaigns"`
	}
	q := find(by)
	if by == "id" {
		q = nil // the numeric id is found without find_by
	}
	w, err := one[wire](ctx, c, path("promoters", value), q)
	p := Promoter{ID: int64(w.ID), Archived: w.Archived.time()}
	for _, pc := range w.Campaigns {
		p.Campaigns = append(p.Campaigns, PromoterCampaign{int64(pc.ID), int64(pc.Campaign), string(pc.State), string(pc.Ref)})
	}
	return p, err
}
