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
	LandingURL    string
	RefTokenParam string // the query parameter of promoters' links, such as "fpr"
	CookieDays    int    // how long a visitor is remembered
	Promoters     int    // this figure and the next two are 0 if the answer lacks them
	Referrals     int
	Customers     int
}

// Campaigns returns the account's campaigns. Use it to check the credentials: it creates nothing, and the answer has no
// personal data.
func (c *Client) Campaigns(ctx context.Context) ([]Campaign, error) {
	type wire struct {
		ID      number `json:"id"`
		Name    text   `json:"name"`
		Default flag   `json:"is_default"`
		Landing text   `json:"landing_url"`
		Param   text   `json:"ref_token_param"`
		Cookie  number `json:"visitor_cookie_life"`
		Stats   struct {
			Promoters number `json:"promoters_count"`
			Referrals number `json:"referrals_count"`
			Customers number `json:"customers_count"`
		} `json:"stats"`
	}
	var all []Campaign
	for w, err := range list(ctx, c, "campaigns", url.Values{}, func(w wire) int64 { return int64(w.ID) }) {
		if err != nil {
			return nil, err
		}
		all = append(all, Campaign{
			ID: int64(w.ID), Name: string(w.Name), Default: bool(w.Default), LandingURL: string(w.Landing),
			RefTokenParam: strings.Trim(string(w.Param), "?= "), CookieDays: int(w.Cookie),
			Promoters: int(w.Stats.Promoters), Referrals: int(w.Stats.Referrals), Customers: int(w.Stats.Customers),
		})
	}
	return all, nil
}
