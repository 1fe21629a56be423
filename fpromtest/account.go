package fpromtest

import (
	"strings"
	"time"
)

const (
	// DefaultRefID is the referral id of the promoter that every new Server has.
	DefaultRefID = "ada"

	rewardPercent    = 20
	recruiterPercent = 5
)

// Promoter is a promoter of the account. Every sale earns a commission of 20 %.
type Promoter struct {
	ID    int64
	RefID string
	Email string
	Name  string

	s          *Server
	banned     bool
	archived   bool
	maxRewards int       // sales of each customer that earn; 0: no limit
	recruiter  *Promoter // earns in the second tier
}

// account is the state that requests change. Server.mu guards it.
type account struct {
	nextID    int64
	promoters []*Promoter
	visitors  map[string]*Promoter // by tid
	codes     map[string]*Promoter // by promo code in lower case
	byEmail   map[string]*lead     // by address in lower case
	byUID     map[string]*lead
	leads     []*lead         // oldest first
	events    map[string]bool // kind and event id
	earned    []Commission
}

type lead struct {
	id        int64
	email     string
	uid       string
	promoter  *Promoter
	signedUp  bool
	sales     map[string]bool // by event id
	customer  time.Time       // of the first sale
	cancelled time.Time
	created   time.Time
	state     string // "denied" or "moved"; empty: it follows from the other fields
	expired   bool
	rewards   int // sales that have earned a commission
}

// gone reports whether FirstPromoter no longer takes sales of the lead.
func (l *lead) gone() bool { return l.expired || l.state == "denied" || l.state == "moved" }

// shownState returns the state in FirstPromoter's answers.
func (l *lead) shownState() string {
	switch {
	case l.state != "":
		return l.state
	case !l.cancelled.IsZero():
		return "cancelled"
	case !l.customer.IsZero():
		return "active"
	default:
		return "signup"
	}
}

func newAccount() account {
	return account{
		nextID: 1000, visitors: map[string]*Promoter{}, codes: map[string]*Promoter{},
		byEmail: map[string]*lead{}, byUID: map[string]*lead{}, events: map[string]bool{},
	}
}

func (a *account) id() int64 {
	a.nextID++
	return a.nextID
}

// promoter finds a promoter by referral id. It creates the default promoter at the first call.
func (a *account) promoter(s *Server, refID string) *Promoter {
	for _, p := range a.promoters {
		if p.RefID == refID {
			return p
		}
	}
	if refID != DefaultRefID {
		return nil
	}
	return a.addPromoter(s, refID)
}

func (a *account) addPromoter(s *Server, refID string) *Promoter {
	p := &Promoter{ID: a.id(), RefID: refID, Email: refID + "@promoters.example", Name: "Promoter " + refID, s: s}
	a.promoters = append(a.promoters, p)
	return p
}

func (a *account) find(email, uid string) *lead {
	if l := a.byEmail[strings.ToLower(email)]; email != "" && l != nil {
		return l
	}
	if uid != "" {
		return a.byUID[uid]
	}
	return nil
}

func (a *account) addLead(p *Promoter, email, uid string) *lead {
	l := &lead{id: a.id(), promoter: p, sales: map[string]bool{}, created: time.Now()}
	a.leads = append(a.leads, l)
	a.name(l, email, uid)
	return l
}

// name gives a lead the address or the uid that it did not have.
func (a *account) name(l *lead, email, uid string) {
	if l.email == "" && email != "" {
		l.email, a.byEmail[strings.ToLower(email)] = email, l
	}
	if l.uid == "" && uid != "" {
		l.uid, a.byUID[uid] = uid, l
	}
}

// referrer returns the promoter of the visitor id, the referral id or the promo code, or nil.
func (a *account) referrer(s *Server, b Body) *Promoter {
	if p := a.visitors[b.TID]; b.TID != "" && p != nil {
		return p
	}
	if b.RefID != "" {
		if p := a.promoter(s, b.RefID); p != nil {
			return p
		}
	}
	return a.codes[strings.ToLower(b.PromoCode)]
}

// Promoter returns the default promoter, whose referral id is DefaultRefID.
func (s *Server) Promoter() *Promoter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.account.promoter(s, DefaultRefID)
}

// AddPromoter adds a promoter with this referral id. If there is one already, it returns that.
func (s *Server) AddPromoter(refID string) *Promoter {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.account.promoter(s, refID); p != nil {
		return p
	}
	return s.account.addPromoter(s, refID)
}

// AddLead makes a customer a lead of the default promoter; see Promoter.AddLead.
func (s *Server) AddLead(customer string, uid ...string) { s.Promoter().AddLead(customer, uid...) }

// AddVisitor makes tid a known visitor of the default promoter; see Promoter.AddVisitor.
func (s *Server) AddVisitor(tid string) { s.Promoter().AddVisitor(tid) }

// AddPromoCode gives the default promoter a coupon; see Promoter.AddPromoCode.
func (s *Server) AddPromoCode(code string) { s.Promoter().AddPromoCode(code) }

// AddLead makes a customer a lead of p, as a sign-up does. customer is an e-mail address, or a uid if it has no "@". After an address
// you may give the uid of the same customer. An existing lead moves to p, and gets the address or the uid that it did not have.
func (p *Promoter) AddLead(customer string, uid ...string) {
	email, id := customer, ""
	if !strings.Contains(customer, "@") {
		email, id = "", customer
	}
	if len(uid) > 0 {
		id = uid[0]
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	l := p.s.account.find(email, id)
	if l == nil {
		l = p.s.account.addLead(p, email, id)
	}
	p.s.account.name(l, email, id)
	l.promoter, l.signedUp = p, true
}

// AddVisitor makes tid, the value of the cookie _fprom_tid, a visitor whom p brought.
func (p *Promoter) AddVisitor(tid string) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.s.account.visitors[tid] = p
}

// AddPromoCode gives p a coupon: a sale with it creates a lead of p. Case does not matter.
func (p *Promoter) AddPromoCode(code string) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.s.account.codes[strings.ToLower(code)] = p
}

// Archive archives p: sales of its leads are answered with 404.
func (p *Promoter) Archive() {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.archived = true
}

// SetLeadState sets the state of a lead: "denied", "expired", or "moved" (to another promoter, who then has a new lead). Its sales are
// answered with 404. customer is an e-mail address, or a uid if it has no "@"; nothing happens if there is no such lead.
func (s *Server) SetLeadState(customer, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.account.find(customer, customer)
	switch {
	case l == nil:
	case state == "expired":
		l.expired = true
	default:
		l.state = state
	}
}

// Ban bans p: sales of its leads are answered with 404.
func (p *Promoter) Ban() {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.banned = true
}
