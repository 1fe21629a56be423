package reconcile

import (
	"strconv"
	"time"
)

// Report is what Run found. Its JSON form is what fprom reconcile prints.
type Report struct {
	Days          []Day     `json:"days"`
	Matched       int       `json:"matched"`
	NoCommission  int       `json:"no_commission"`
	NotReferral   int       `json:"not_referral"` // sales of customers whom nobody referred
	Waiting       int       `json:"waiting"`      // events of these days that still wait or are dead letters
	Dead          int       `json:"dead"`         // how many of these are dead letters that FirstPromoter does not have
	Unidentified  int       `json:"unidentified"` // commissions that fit no event of ours: without an event id, older than the outbox, or of refunds if the list of sales has none
	Missing       []Entry   `json:"missing"`      // with the ids of the commissions that are missing
	OtherID       int       `json:"other_id"`     // how many of these FirstPromoter seems to have under another event id: they are not sent again
	Foreign       []Entry   `json:"foreign"`
	AmountDiffers []Entry   `json:"amount_differs"`
	Doubled       []Entry   `json:"doubled"`
	Denied        []Entry   `json:"denied"`         // sales, also foreign ones, whose commissions were all denied or deleted: somebody's decision, no difference
	Zone          string    `json:"zone"`           // the time zone in which the days agree best, such as "+00:00"
	Calls         int       `json:"calls"`          // to FirstPromoter
	Next          string    `json:"next,omitempty"` // after an interruption: the day to go on from
	Redriven      *Redriven `json:"redriven,omitempty"`
}

// Day is a day's totals.
type Day struct {
	Day    string `json:"day"`
	Ours   int    `json:"ours"`   // sales that FirstPromoter should count
	Theirs int    `json:"theirs"` // sales that it counts
	Read   bool   `json:"read"`   // whether its commissions were read
}

// Entry is one event with a difference.
type Entry struct {
	EventID       string    `json:"event_id"`
	Kind          string    `json:"kind"`
	Amount        int64     `json:"amount"` // our amount; FirstPromoter's for a foreign commission
	Currency      string    `json:"currency"`
	SettledAt     time.Time `json:"settled_at,omitzero"` // when it was delivered; the date in a file of sales; the creation of a foreign commission
	CommissionIDs []int64   `json:"commission_ids"`
	TheirAmount   int64     `json:"their_amount,omitempty"` // FirstPromoter's, in amount_differs
	TheirCurrency string    `json:"their_currency,omitempty"`
	Status        string    `json:"status,omitempty"` // in denied: "denied" or "deleted"
}

// Redriven counts the missing events that were sent again by their outcome.
type Redriven struct {
	Tracked     int    `json:"tracked"`
	Duplicate   int    `json:"duplicate"`    // FirstPromoter has the event, but not the commission: somebody deleted it or its promoter, or it was lost
	NotReferral int    `json:"not_referral"` // FirstPromoter does not know the customer, or no longer
	Failed      int    `json:"failed"`
	NoCustomer  int    `json:"no_customer"`      // not sent: the outbox has erased the customer; set Options.Sales
	Reason      string `json:"reason,omitempty"` // why the first one failed
}

// Clean reports whether nothing needs a person. A missing event that Options.Redrive got tracked needs nobody.
func (r Report) Clean() bool {
	missing := len(r.Missing)
	if r.Redriven != nil {
		missing -= r.Redriven.Tracked
	}
	return missing+r.Dead+len(r.Foreign)+len(r.AmountDiffers)+len(r.Doubled) == 0
}

// Empty reports whether the compared days have no sale and no refund of ours.
func (r Report) Empty() bool {
	return r.Matched+r.NoCommission+r.NotReferral+r.Waiting+len(r.Missing)+len(r.AmountDiffers)+len(r.Doubled)+len(r.Denied) == 0
}

// Advice says how to mend the differences, one string for each kind. It is empty for a clean report.
func (r Report) Advice() (lines []string) {
	say := func(n int, text string) {
		if n > 0 {
			lines = append(lines, strconv.Itoa(n)+" "+text)
		}
	}
	say(r.OtherID, "missing, but FirstPromoter has commissions of the same customers and days under other event ids: they are not sent again, since they would earn twice. Does another column of the list have the event ids, as with --map 'Invoice ID=event_id'? If not, two integrations report sales")
	if d := r.Redriven; d != nil {
		say(d.NoCustomer, "not sent again: the outbox erases a customer once an event is done, so it does not know whose sale it was. Add --sales FILE: a list with the same event ids and amounts, and with the customers, such as the payment provider's export")
		say(d.Failed, "not sent again: "+d.Reason+". Run it again")
		say(d.Duplicate, "sent again, and FirstPromoter has the event id, but not the commission: somebody deleted it or its promoter, or it was lost. Ask its support, with the event ids")
		say(d.NotReferral, "sent again, and FirstPromoter knows the customer as no referral: fprom why EMAIL says more")
	} else {
		say(len(r.Missing)-r.OtherID, "missing: add --redrive to send them again under their own event ids, so that nothing is paid twice. An outbox has erased the customers: it needs --sales FILE beside it, such as the payment provider's export")
	}
	say(r.Dead, "given up: fprom dead list shows the reasons. Mend the cause, then fprom dead redrive, or drop what is no sale")
	say(len(r.Foreign), "foreign: another integration reports sales too; or the outbox is younger than these days, or the list that was compared (--sales) lacks some of them, and nothing is wrong. Disconnect the other one in FirstPromoter (Settings → Integrations), or stop reporting here; deny only those commissions that are for a sale that also earned one here")
	say(len(r.AmountDiffers), "with another amount: if the list that was compared (--sales) has amounts with tax, nothing is wrong. Otherwise refund the event, and report the sale again under another event id, since an amount cannot be changed in FirstPromoter. Then it is still named here: do it once")
	say(len(r.Doubled), "doubled: deny one of the commissions in FirstPromoter (Commissions → Deny)")
	return lines
}
