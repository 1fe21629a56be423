package firstpromoter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/fprom-go/fprom"
)

// DayTotals is what FirstPromoter counted on one day. It does not document the time zone of a day. Sales and Revenue count
// every tracked sale of a referred customer, also one without a commission. Refunds are subtracted from Revenue. FirstPromoter
// refreshes the totals every 3 minutes (help centre, "Reports overview").
type DayTotals struct {
	Day     time.Time // midnight UTC of the date
	Sales   int
	Refunds int
	Revenue int64 // minor units of the account's currency
}

// Overview returns the totals of the days from the date of from to the date of to
// (https://docs.firstpromoter.com/api-reference-v2/api-admin/reports). Days on which nothing happened may be missing.
func (c *Client) Overview(ctx context.Context, from, to time.Time) ([]DayTotals, error) {
	ask := func(start, end string) (answer, error) {
		return c.get(ctx, "reports/overview", url.Values{
			"columns[]": {"sales_count", "refunds_count", "revenue_amount"}, "group_by": {"day"}, "start_date": {start}, "end_date": {end},
		})
	}
	// The schema wants date-times here, and dates in all other calls.
	a, err := ask(from.Format(time.DateOnly)+"T00:00:00Z", to.Format(time.DateOnly)+"T23:59:59Z")
	if e, ok := errors.AsType[*fprom.APIError](err); ok && e.StatusCode == http.StatusUnprocessableEntity {
		a, err = ask(from.Format(time.DateOnly), to.Format(time.DateOnly))
	}
	if err != nil {
		return nil, err
	}
	type wire struct {
		Period text `json:"period"`
		ID     text `json:"id"`
		Data   struct {
			Sales   number `json:"sales_count"`
			Refunds number `json:"refunds_count"`
			Revenue number `json:"revenue_amount"`
		} `json:"data"`
	}
	rows, err := decodeList[wire](a.body)
	if err != nil {
		return nil, fmt.Errorf("fprom: GET /company/reports: %w", err)
	}
	days := make([]DayTotals, 0, len(rows))
	for _, r := range rows {
		day, ok := dateOf(string(r.Period))
		if !ok {
			day, ok = dateOf(string(r.ID))
		}
		if ok {
			days = append(days, DayTotals{day, int(r.Data.Sales), int(r.Data.Refunds), int64(r.Data.Revenue)})
		}
	}
	return days, nil
}

// dateOf reads the date at the beginning of s.
func dateOf(s string) (time.Time, bool) {
	t, err := time.Parse(time.DateOnly, s[:min(len(s), len(time.DateOnly))])
	return t, err == nil
}
