package shopify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/fprom-go/fprom/internal/safelog"
)

const (
	maxAnswer = 4 << 20                // bytes of a response
	pageSize  = 100                    // transactions; the API's maximum
	pagePause = 300 * time.Millisecond // the API allows 4 requests a second
)

const query = `query($since: DateTime, $app: ID, $after: String, $first: Int) {
  transactions(createdAtMin: $since, appId: $app, after: $after, first: $first,
    types: [APP_SUBSCRIPTION_SALE, APP_USAGE_SALE, APP_ONE_TIME_SALE, APP_SALE_ADJUSTMENT, APP_SALE_CREDIT]) {
    edges { cursor node { __typename id createdAt
      ... on AppSubscriptionSale { grossAmount { amount currencyCode } netAmount { amount currencyCode } shop { myshopifyDomain } }
      ... on AppUsageSale { grossAmount { amount currencyCode } netAmount { amount currencyCode } shop { myshopifyDomain } }
      ... on AppOneTimeSale { grossAmount { amount currencyCode } netAmount { amount currencyCode } shop { myshopifyDomain } }
      ... on AppSaleAdjustment { grossAmount { amount currencyCode } netAmount { amount currencyCode } shop { myshopifyDomain } }
      ... on AppSaleCredit { grossAmount { amount currencyCode } netAmount { amount currencyCode } shop { myshopifyDomain } }
    } }
    pageInfo { hasNextPage }
  }
}`

// page is a response of the API: the fields that are needed before the conversion.
type page struct {
	Data struct {
		Transactions struct {
			Edges    []edge `json:"edges"`
			PageInfo struct {
				HasNextPage bool `json:"hasNextPage"`
			} `json:"pageInfo"`
		} `json:"transactions"`
	} `json:"data"`
	Errors []struct {
		Message string `json:"message"`
	} `json:"errors"`
}

// edge is one transaction. Its JSON is converted later.
type edge struct {
	Cursor string          `json:"cursor"`
	Node   json.RawMessage `json:"node"`
}

// transactions returns all transactions since then, the oldest first.
func (p *Poller) transactions(ctx context.Context, since time.Time) ([]edge, error) {
	var all []edge
	after := ""
	for {
		got, err := p.page(ctx, since, after)
		if err != nil {
			return nil, err
		}
		edges := got.Data.Transactions.Edges
		all = append(all, edges...)
		if !got.Data.Transactions.PageInfo.HasNextPage || len(edges) == 0 {
			break
		}
		after = edges[len(edges)-1].Cursor
		if err := pause(ctx, pagePause); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(a, b edge) int { return created(a).Compare(created(b)) })
	return all, nil
}

func created(e edge) time.Time {
	var n struct {
		CreatedAt time.Time `json:"createdAt"`
	}
	_ = json.Unmarshal(e.Node, &n) // a transaction without its time comes first, and fails later
	return n.CreatedAt
}

func (p *Poller) page(ctx context.Context, since time.Time, after string) (*page, error) {
	variables := map[string]any{"since": since.UTC().Format(time.RFC3339), "first": pageSize}
	if p.config.AppID != "" {
		variables["app"] = p.config.AppID
	}
	if after != "" {
		variables["after"] = after
	}
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Shopify-Access-Token", p.config.AccessToken)
	res, err := p.config.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden || res.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("the Partner API answers %s: check Config.Organization and Config.AccessToken, and that its client may view financials", res.Status)
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the Partner API answers %s", res.Status)
	case len(answer) > maxAnswer:
		return nil, errors.New("the answer of the Partner API is too large")
	}
	var got page
	if err := json.Unmarshal(answer, &got); err != nil {
		return nil, fmt.Errorf("the answer of the Partner API cannot be read: %w", err)
	}
	if len(got.Errors) > 0 {
		return nil, errors.New("the Partner API answers: " + safelog.Foreign(got.Errors[0].Message, p.config.AccessToken))
	}
	return &got, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
