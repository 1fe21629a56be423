package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
)

// Reason says why a sale earned nothing. Its JSON form is what fprom why prints.
type Reason struct {
	Verdict string `json:"verdict"` // one of the Because constants
	Detail  string `json:"detail"`  // a sentence or two, with what to do
	Calls   int    `json:"calls"`   // to FirstPromoter: at most 3, unless calls fail and are made again
}

// Verdicts of Why.
const (
	BecauseWaiting      = "waiting"             // it is not delivered yet
	BecauseDead         = "dead letter"         // it was given up
	BecauseNotReferral  = "not a referral"      // FirstPromoter's answer; the outbox has erased the customer
	BecauseNoLead       = "no lead"             // FirstPromoter does not know the customer
	BecauseLeadExpired  = "lead expired"        //
	BecauseLeadDenied   = "lead denied"         //
	BecauseLeadMoved    = "lead moved"          // to another promoter
	BecausePromoter     = "promoter "           // followed by "archived", "blocked", "rejected", "pending" or "inactive"
	BecauseNoSale       = "no sale"             // the lead is good, and FirstPromoter has no sale of it
	BecauseNoCommission = "no commission"       // the sale arrived and earned nothing: plan excluded, reward used up
	BecauseDenied       = "commission denied"   // somebody denied it
	BecauseDeleted      = "commission deleted"  // somebody deleted it; only with decided
	BecauseMissing      = "commission missing"  // the answer had one, FirstPromoter has none
	BecauseEarned       = "earned a commission" // it earned one
	BecauseNotAsked     = "not asked"           // FirstPromoter could not be asked, see the error; the detail says what the outbox knows
)

// Why says why a sale earned nothing, in at most three calls. what is a customer's e-mail address, a uid, an event id or the
// Key of an Entry. outbox may be nil. With one, Why also finds an event id in it, and the events of a customer that have not arrived.
// decided is optional, see Options.Decided. The error is that of ctx, the client or the outbox. If it is the client's, and
// there is an outbox, the Reason is BecauseNotAsked.
func Why(ctx context.Context, client *firstpromoter.Client, outbox fprom.Outbox, what string, decided ...func(commission int64) string) (Reason, error) {
	w := &why{client: client, what: strings.TrimSpace(what), decided: decided}
	before := client.Calls()
	r, err := w.ask(ctx, outbox)
	r.Calls = client.Calls() - before
	switch {
	case outbox == nil:
	case err != nil && r.Calls > 0 && ctx.Err() == nil:
		r.Verdict, r.Detail = BecauseNotAsked, notAsked(ctx, outbox, strings.TrimSpace(what))
	case r.Verdict == BecauseNoLead, r.Verdict == BecauseNoSale: // perhaps its events have not arrived
		r.Detail += inOutbox(ctx, outbox, fprom.Filter{Customer: w.what})
	}
	return r, err
}

type why struct {
	client  *firstpromoter.Client
	what    string
	outbox  bool // an outbox was asked, and has no such event
	decided []func(commission int64) string
}

// earning are the kinds of events that have an id; the key of the others is their customer.
var earning = []string{fprom.KindSale, fprom.KindRefund}

func (w *why) ask(ctx context.Context, outbox fprom.Outbox) (Reason, error) {
	if outbox != nil {
		for _, kind := range earning { // without a kind an outbox reads all of its events
			for e, err := range outbox.Entries(ctx, fprom.Filter{Keys: []string{w.what}, Kind: kind, Personal: true}) {
				if err != nil {
					return Reason{}, fmt.Errorf("fprom: read the outbox: %w", err)
				}
				return w.event(ctx, e)
			}
		}
	}
	w.outbox = outbox != nil
	for _, kind := range earning { // FirstPromoter does not know an outbox's keys
		w.what = strings.TrimPrefix(w.what, kind+":")
	}
	by := "uid"
	if strings.Contains(w.what, "@") {
		by = "email"
	}
	return w.customer(ctx, by, w.what)
}

// event explains an event that the outbox has.
func (w *why) event(ctx context.Context, e fprom.Entry) (Reason, error) {
	switch {
	case e.State == fprom.StateWaiting:
		return Reason{Verdict: BecauseWaiting, Detail: "It " + state(e) + ". You need to do nothing, unless the reason says so."}, nil
	case e.State == fprom.StateDead:
		return Reason{Verdict: BecauseDead, Detail: "It " + state(e)}, nil
	case e.Outcome == fprom.NotReferral:
		return Reason{Verdict: BecauseNotReferral, Detail: "FirstPromoter answered that the customer is no referral. To see why, ask for the customer: fprom why EMAIL. The outbox has erased the address, as of all events that are done: look into your own records."}, nil
	}
	q := firstpromoter.CommissionQuery{Search: strings.TrimPrefix(e.Key, e.Kind+":")}
	if n := len(e.CommissionIDs); n > 0 {
		q = firstpromoter.CommissionQuery{IDs: e.CommissionIDs[:min(n, 10)]}
	}
	rows, err := w.commissions(ctx, q, func(c firstpromoter.Commission) bool {
		return len(q.IDs) > 0 || strings.EqualFold(c.EventID, q.Search)
	})
	switch {
	case err != nil:
		return Reason{}, err
	case len(rows) > 0:
		return earned(rows), nil
	case w.deleted(e.CommissionIDs):
		return Reason{Verdict: BecauseDeleted, Detail: fmt.Sprintf("Somebody deleted the commission %d in FirstPromoter. If that was wrong, create it there again (Commissions): the event id cannot be used again.", e.CommissionIDs[0])}, nil
	case e.Commissions > 0:
		return Reason{Verdict: BecauseMissing, Detail: "FirstPromoter's answer had a commission, but FirstPromoter has none now: somebody deleted it, or it was lost. fprom reconcile finds all such sales."}, nil
	default:
		return nothingEarned(), nil
	}
}

// deleted reports whether decided says that somebody deleted all of an event's commissions.
func (w *why) deleted(commissions []int64) bool {
	exists := func(id int64) bool {
		return !slices.ContainsFunc(w.decided, func(decided func(int64) string) bool { return decided(id) == firstpromoter.StatusDeleted })
	}
	return len(commissions) > 0 && !slices.ContainsFunc(commissions, exists)
}

// customer explains the sales of a customer by the lead, its promoter and its commissions.
func (w *why) customer(ctx context.Context, by, customer string) (Reason, error) {
	lead, err := w.client.Referral(ctx, by, customer)
	switch {
	case errors.Is(err, firstpromoter.ErrNotFound):
		return w.noLead(ctx, by)
	case err != nil:
		return Reason{}, err
	}
	if r, bad := leadReason(lead); bad {
		return r, nil
	}
	promoter, err := w.client.Promoter(ctx, lead.PromoterID)
	if err != nil && !errors.Is(err, firstpromoter.ErrNotFound) {
		return Reason{}, err
	}
	if r, bad := promoterReason(promoter, lead.PromoterCampaignID); bad {
		return r, nil
	}
	rows, err := w.commissions(ctx, firstpromoter.CommissionQuery{Search: customer}, func(c firstpromoter.Commission) bool { return c.ReferralID == lead.ID })
	switch {
	case err != nil:
		return Reason{}, err
	case len(rows) > 0:
		return earned(rows), nil
	case lead.CustomerSince.IsZero():
		return Reason{Verdict: BecauseNoSale, Detail: "The customer is a good lead of " + lead.Created.Format(time.DateOnly) + ", and no sale of it arrived. Was it reported, and with this e-mail address or uid? fprom events --customer …"}, nil
	default:
		return nothingEarned(), nil
	}
}

// noLead explains an unknown customer. If what is the event id of another integration, it names the commission.
func (w *why) noLead(ctx context.Context, by string) (Reason, error) {
	if by == "uid" && w.what != "" {
		rows, err := w.commissions(ctx, firstpromoter.CommissionQuery{Search: w.what}, func(c firstpromoter.Commission) bool { return strings.EqualFold(c.EventID, w.what) })
		if err != nil {
			return Reason{}, err
		}
		if len(rows) > 0 {
			return earned(rows), nil
		}
	}
	unknown := "FirstPromoter has no lead by this e-mail address"
	switch {
	case by == "uid" && w.outbox:
		unknown = "The outbox has no such event id. FirstPromoter has no commission by it, and no lead by this uid"
	case by == "uid":
		unknown = "FirstPromoter has no lead by this uid, and no commission by this event id"
	}
	return Reason{Verdict: BecauseNoLead, Detail: unknown + ": nobody referred the customer, or the sign-up was not reported, or under another e-mail address or uid."}, nil
}

func leadReason(l firstpromoter.Referral) (Reason, bool) {
	switch {
	case l.Expired:
		return Reason{Verdict: BecauseLeadExpired, Detail: "The lead of " + l.Created.Format(time.DateOnly) + " has expired: the campaign's time for a first sale was over."}, true
	case l.State == "denied":
		return Reason{Verdict: BecauseLeadDenied, Detail: "Somebody denied the lead in FirstPromoter (Referrals). Approve it there if that was wrong."}, true
	case l.Moved:
		return Reason{Verdict: BecauseLeadMoved, Detail: "The lead was moved to another promoter, who earns from now on."}, true
	}
	return Reason{}, false
}

func promoterReason(p firstpromoter.Promoter, campaign int64) (Reason, bool) {
	if !p.Archived.IsZero() {
		return Reason{Verdict: BecausePromoter + "archived", Detail: "The lead's promoter is archived: sales of their leads are answered with 404."}, true
	}
	for _, pc := range p.Campaigns {
		if campaign != 0 && pc.ID != campaign && len(p.Campaigns) > 1 {
			continue
		}
		switch pc.State {
		case "blocked", "rejected", "pending", "inactive":
			return Reason{Verdict: BecausePromoter + pc.State, Detail: "The lead's promoter is " + pc.State + " in the campaign: sales of their leads are answered with 404. Accept the promoter in FirstPromoter (Promoters) if that is wrong."}, true
		}
	}
	return Reason{}, false
}

func earned(rows []firstpromoter.Commission) Reason {
	denied := 0
	for _, c := range rows {
		if c.Status == "denied" {
			denied++
		}
	}
	newest := rows[0]
	if denied == len(rows) {
		return Reason{Verdict: BecauseDenied, Detail: fmt.Sprintf("Somebody denied the commission %d in FirstPromoter (Commissions). Approve it there if that was wrong.", newest.ID)}
	}
	back := ""
	if newest.Refund() {
		back = ", which takes money back for a refund"
	}
	return Reason{Verdict: BecauseEarned, Detail: fmt.Sprintf("FirstPromoter has the commission %d of %s (%s)%s.", newest.ID, newest.Created.Format(time.DateOnly), newest.Status, back)}
}

func nothingEarned() Reason {
	return Reason{Verdict: BecauseNoCommission, Detail: "The sale arrived and earned nothing: its plan is excluded from rewards, the reward is for the first sale only, or it is used up. The campaign's rewards in FirstPromoter say which."}
}

// commissions reads one page, the newest first.
func (w *why) commissions(ctx context.Context, q firstpromoter.CommissionQuery, is func(firstpromoter.Commission) bool) (rows []firstpromoter.Commission, err error) {
	q.NewestFirst = true
	n := 0
	for c, err := range w.client.Commissions(ctx, q) {
		if err != nil {
			return nil, err
		}
		if is(c) {
			rows = append(rows, c)
		}
		if n++; n == 20 { // further ones would be another call
			break
		}
	}
	return rows, nil
}
