package fpromtest

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
)

// books is the data of the Company API: commissions, and the events that the reports count. Server.mu guards it.
type books struct {
	rows    []*bookRow
	tracked []*bookEvent
}

// bookRow is a commission as the Company API shows it.
type bookRow struct {
	Commission
	original int64
	currency string
	plan     string
	tier     int
	promoter *Promoter
	lead     *lead
	status   string
	saleID   string // of a refund
}

// bookEvent is a tracked sale or refund as the reports count it.
type bookEvent struct {
	kind, id string
	amount   int64
	at       time.Time
	copies   int
}

// convert returns an amount in the account's currency.
func (s *Server) convert(amount int64, currency string) int64 {
	rate := cmp.Or(s.company.Rates[strings.ToUpper(currency)], 100)
	return amount * rate / 100
}

// book enters a tracked sale or refund and returns its commissions: one for the lead's promoter and one for the recruiter of that
// promoter. There is none if the promoter's rewards for the lead are used up.
func (s *Server) book(kind string, l *lead, b Body, amount int64, now time.Time) []*bookRow {
	s.books.tracked = append(s.books.tracked, &bookEvent{kind: kind, id: b.EventID, amount: s.convert(amount, b.Currency), at: now, copies: 1})
	p := l.promoter
	if kind == fprom.KindSale {
		if p.maxRewards > 0 && l.rewards >= p.maxRewards {
			return nil
		}
		l.rewards++
	}
	earned := []*bookRow{s.commission(kind, l, b, p, 1, rewardPercent, amount, now)}
	if p.recruiter != nil && kind == fprom.KindSale {
		earned = append(earned, s.commission(kind, l, b, p.recruiter, 2, recruiterPercent, amount, now))
	}
	return earned
}

// commission books the commission of a promoter for an amount.
func (s *Server) commission(kind string, l *lead, b Body, p *Promoter, tier int, percent, amount int64, now time.Time) *bookRow {
	sale := s.convert(amount, b.Currency)
	c := Commission{
		ID: s.account.id(), Kind: kind, EventID: b.EventID, Customer: b.eventID(""),
		SaleAmount: sale, Amount: sale/100*percent + sale%100*percent/100,
		RefID: p.RefID, Time: now,
	}
	s.account.earned = append(s.account.earned, c)
	r := &bookRow{
		Commission: c, original: amount, currency: b.Currency, plan: b.Plan, tier: tier, promoter: p, lead: l,
		status: "approved", saleID: b.SaleEventID,
	}
	s.books.rows = append(s.books.rows, r)
	return r
}

// MaxRewards lets only the first n sales of each customer earn a commission. Later sales are tracked without one. 0: no limit.
func (p *Promoter) MaxRewards(n int) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.maxRewards = n
}

// RecruitedBy makes up the recruiter of p: for every sale of p, up earns a second commission of 5 %.
func (p *Promoter) RecruitedBy(up *Promoter) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.recruiter = up
}

// PastSale is a sale or a refund that came to FirstPromoter without this Server, such as from a native connection.
type PastSale struct {
	EventID    string
	Email, UID string // an unknown customer becomes a lead of the default promoter
	Amount     int64  // minor units of Currency
	Currency   string
	At         time.Time // default: now
	RefundOf   string    // event id of a sale, if this is its refund
}

// AddPastSale books a sale or a refund with its commissions.
func (s *Server) AddPastSale(p PastSale) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := p.At
	if at.IsZero() {
		at = time.Now()
	}
	l := s.account.find(p.Email, p.UID)
	if l == nil {
		l = s.account.addLead(s.account.promoter(s, DefaultRefID), p.Email, p.UID)
	}
	if at.Before(l.created) {
		l.created = at
	}
	kind, amount := fprom.KindSale, p.Amount
	if p.RefundOf != "" {
		kind, amount = fprom.KindRefund, -amount
	} else {
		l.sales[p.EventID] = true
		if l.customer.IsZero() {
			l.customer = at
		}
	}
	s.account.events[kind+":"+p.EventID] = true
	s.book(kind, l, Body{EventID: p.EventID, Email: p.Email, UID: p.UID, Currency: p.Currency, SaleEventID: p.RefundOf}, amount, at)
}

// Lose removes the commissions of an event, and the event from the reports. The event id stays used.
func (s *Server) Lose(eventID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.books.rows = slices.DeleteFunc(s.books.rows, func(r *bookRow) bool { return r.EventID == eventID })
	s.books.tracked = slices.DeleteFunc(s.books.tracked, func(e *bookEvent) bool { return e.id == eventID })
}

// Forget is Lose, but the event id is free again.
func (s *Server) Forget(eventID string) {
	s.Lose(eventID)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.account.events, "sale:"+eventID)
	delete(s.account.events, "refund:"+eventID)
}

// Double books the commissions of an event a second time.
func (s *Server) Double(eventID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.books.rows {
		if r.EventID == eventID {
			twin := *r
			twin.ID = s.account.id()
			s.books.rows = append(s.books.rows, &twin)
		}
	}
	for _, e := range s.books.tracked {
		if e.id == eventID {
			e.copies++
		}
	}
}

// Reprice changes the amount of an event in the books, as if a faulty integration had sent another amount.
func (s *Server) Reprice(eventID string, amount int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.books.rows {
		if r.EventID == eventID {
			r.original, r.SaleAmount = amount, s.convert(amount, r.currency)
		}
	}
	for _, e := range s.books.tracked {
		if e.id == eventID {
			e.amount = amount
		}
	}
}

// Deny denies the commissions of an event, as a user of FirstPromoter can.
func (s *Server) Deny(eventID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.books.rows {
		if r.EventID == eventID {
			r.status = "denied"
		}
	}
}
