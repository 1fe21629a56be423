package firstpromoter

import (
	"context"
	"net/url"
	"strings"
)

// Campaign is a campaign of the account
// (https://docs.firstpromoter.com/api-reference-v2/api-admin/campaigns).
type Campaign struct {
	ID            int64
	Name          string
	Default       bool
	RefTokenParam string // the query parameter of promoters' links, such as "fpr"
	CookieDays    int    // how long a visitor is remembered
	Referrals     int    // 0 if the answer lacks it
}

// Campaigns returns the account's campaigns. Use it to check the credentials: it creates nothing, and the answer has no
// personal data.
func (c *Client) Campaigns(ctx context.Context) ([]Campaign, error) {
	type wire struct {
		ID      number `json:"id"`
		Name    text   `json:"name"`
		Default flag   `json:"is_default"`
		Param   text   `json:"ref_token_param"`
		Cookie  number `json:"visitor_cookie_life"`
		Stats   struct {
			Referrals number `json:"referrals_count"`
		} `json:"stats"`
	}
	var all []Campaign
	for w, err := range list(ctx, c, "campaigns", url.Values{}, func(w wire) int64 { return int64(w.ID) }) {
		if err != nil {
			return nil, err
		}
		all = append(all, Campaign{
			ID: int64(w.ID), Name: string(w.Name), Default: bool(w.Default),
			RefTokenParam: strings.Trim(string(w.Param), "?= "), CookieDays: int(w.Cookie), Referrals: int(w.Stats.Referrals),
		})
	}
	return all, nil
}
