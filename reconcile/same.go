package reconcile

import (
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
)

func theirMoney(c firstpromoter.Commission) (amount int64, currency string) {
	if c.OriginalCurrency != "" || c.OriginalAmount != 0 {
		return c.OriginalAmount, strings.ToUpper(c.OriginalCurrency)
	}
	return c.SaleAmount, ""
}

// wrongAmount is a commission for another amount or currency than the event's. A split one may show a part.
func wrongAmount(e *event) *firstpromoter.Commission {
	for i, c := range e.rows {
		switch {
		case c.Split, e.kind == fprom.KindSale && c.Refund(), sameAmount(e, c):
		default:
			return &e.rows[i]
		}
	}
	return nil
}

// sameAmount compares without the sign, which a refund's commission may have or not; in the sale's currency where both name
// one, else the amount before or after the conversion may be meant.
func sameAmount(e *event, c firstpromoter.Commission) bool {
	original, converted := abs(c.OriginalAmount), abs(c.SaleAmount)
	if e.currency != "" && c.OriginalCurrency != "" {
		return strings.EqualFold(e.currency, c.OriginalCurrency) && e.amount == original
	}
	return e.amount == original || e.amount == converted
}

func abs(n int64) int64 { return max(n, -n) }

// doubled reports whether an event has one commission twice. One sale may make several: for tiers, for a split, for the
// referral; they differ in promoter, tier or reward. A denied one does not count.
func doubled(e *event) bool {
	type what struct {
		promoter, campaign, reward int64
		tier                       int
		refund                     bool
		unit                       string
	}
	seen := map[what]bool{}
	for _, c := range e.rows {
		w := what{c.PromoterID, c.PromoterCampaignID, c.RewardID, c.Tier, c.Refund(), c.Unit}
		switch {
		case c.Status == "denied" || c.Split || e.kind == fprom.KindSale && c.Refund():
		case seen[w]:
			return true
		default:
			seen[w] = true
		}
	}
	return false
}
