package reconcile

import (
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
)

// theirMoney is FirstPromoter's amount before the conversion to the account's currency, if it has one.
func theirMoney(c firstpromoter.Commission) (amount int64, currency string) {
	if c.OriginalAmount != 0 {
		return c.OriginalAmount, strings.ToUpper(c.OriginalCurrency)
	}
	return c.SaleAmount, ""
}

// wrongAmount returns a commission with another amount or currency, or nil. A split one may have a part of the amount, and one without
// an amount says nothing.
func wrongAmount(e *event) *firstpromoter.Commission {
	for i, c := range e.rows {
		switch {
		case c.Split, c.SaleAmount == 0 && c.OriginalAmount == 0, e.kind == fprom.KindSale && c.Refund(), !e.free && sameAmount(e, c):
		default:
			return &e.rows[i]
		}
	}
	return nil
}

// sameAmount compares the amounts without their signs, since the commission of a refund may be negative. If both name a currency,
// it compares in this one. Otherwise the amount before or after the conversion may match.
func sameAmount(e *event, c firstpromoter.Commission) bool {
	original, converted := abs(c.OriginalAmount), abs(c.SaleAmount)
	if e.currency != "" && c.OriginalCurrency != "" {
		return strings.EqualFold(e.currency, c.OriginalCurrency) && e.amount == original
	}
	return e.amount == original || e.amount == converted
}

func abs(n int64) int64 { return max(n, -n) }

// share is what tells the commissions of one sale from each other (tiers, a split, the referral).
type share struct {
	promoter, campaign, reward int64
	tier                       int
	refund                     bool
	unit                       string
}

func shareOf(c firstpromoter.Commission) share {
	return share{c.PromoterID, c.PromoterCampaignID, c.RewardID, c.Tier, c.Refund(), c.Unit}
}

// doubled reports whether an event has the same commission twice. Denied commissions do not count.
func doubled(e *event) bool {
	seen := map[share]bool{}
	for _, c := range e.rows {
		w := shareOf(c)
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
