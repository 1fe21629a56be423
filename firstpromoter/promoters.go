package firstpromoter

import (
	"context"
	"net/url"
	"strconv"
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
	ID    int64
	State string // "pending", "accepted", "rejected", "blocked", "inactive", "not_set"
}

// Promoter returns one promoter. The error wraps ErrNotFound if there is none.
func (c *Client) Promoter(ctx context.Context, id int64) (Promoter, error) {
	return c.PromoterBy(ctx, "", strconv.FormatInt(id, 10))
}

// PromoterBy returns the promoter with a value. by is "ref_token" (the referral id), "promo_code" or "email"; empty: the value is
// the id. The error wraps ErrNotFound if there is none.
func (c *Client) PromoterBy(ctx context.Context, by, value string) (Promoter, error) {
	type wire struct {
		ID        number `json:"id"`
		Archived  moment `json:"archived_at"`
		Campaigns []struct {
			ID    number `json:"id"`
			State text   `json:"state"`
		} `json:"promoter_campaigns"`
	}
	q := url.Values{}
	if by != "" {
		q.Set("find_by", by)
	}
	w, err := one[wire](ctx, c, "promoters/"+url.PathEscape(value), q)
	p := Promoter{ID: int64(w.ID), Archived: w.Archived.time()}
	for _, pc := range w.Campaigns {
		p.Campaigns = append(p.Campaigns, PromoterCampaign{int64(pc.ID), string(pc.State)})
	}
	return p, err
}
