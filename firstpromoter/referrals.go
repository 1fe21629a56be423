package firstpromoter

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"strings"
	"time"
)

// Referral is a lead, or the customer that it became (https://docs.firstpromoter.com/api-reference-v2/api-admin/referrals).
type Referral struct {
	ID            int64
	Email, UID    string
	State         string // "subscribed", "signup", "active", "cancelled", "refunded", "denied", "pending", "moved"
	Expired       bool
	Moved         bool // to another promoter
	Created       time.Time
	CustomerSince time.Time // zero for a lead that has bought nothing

	PromoterID, PromoterCampaignID int64
}

type wireReferral struct {
	ID               number `json:"id"`
	Email            text   `json:"email"`
	UID              text   `json:"uid"`
	State            text   `json:"state"`
	Expired          flag   `json:"is_expired"`
	Created          moment `json:"created_at"`
	Since            moment `json:"customer_since"`
	PromoterCampaign struct {
		ID         number `json:"id"`
		PromoterID number `json:"promoter_id"`
	} `json:"promoter_campaign"`
}

func (w wireReferral) referral() Referral {
	return Referral{
		ID: int64(w.ID), Email: referralEmail(w.Email), UID: string(w.UID), State: string(w.State), Expired: bool(w.Expired),
		Moved: w.State == "moved" || isMoved(w.Email), Created: w.Created.time(), CustomerSince: w.Since.time(),
		PromoterID: int64(w.PromoterCampaign.PromoterID), PromoterCampaignID: int64(w.PromoterCampaign.ID),
	}
}

// movedNote may stand at the end of the address of a moved referral.
const movedNote = " (moved)"

func isMoved(s text) bool         { return strings.HasSuffix(string(s), movedNote) }
func referralEmail(s text) string { return strings.TrimSuffix(string(s), movedNote) }

// Referrals lists all referrals, each once. The first error ends it.
func (c *Client) Referrals(ctx context.Context) iter.Seq2[Referral, error] {
	return func(yield func(Referral, error) bool) {
		for w, err := range list(ctx, c, "referrals", url.Values{}, func(w wireReferral) int64 { return int64(w.ID) }) {
			if !yield(w.referral(), err) {
				return
			}
		}
	}
}

// Referral returns one referral. by is "email", "uid" or "username". The error wraps ErrNotFound if there is none.
func (c *Client) Referral(ctx context.Context, by, value string) (Referral, error) {
	w, err := one[wireReferral](ctx, c, "referrals/"+url.PathEscape(value), url.Values{"find_by": {by}})
	return w.referral(), err
}

// one reads a single record.
func one[record any](ctx context.Context, c *Client, path string, q url.Values) (record, error) {
	var r record
	a, err := c.get(ctx, path, q)
	if err != nil {
		return r, err
	}
	if json.Unmarshal(a.body, &r) != nil {
		return r, fmt.Errorf("fprom: GET /company/%s: %w: the record has another form", label(path), ErrNotFirstPromoter)
	}
	return r, nil
}
