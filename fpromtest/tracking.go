package fpromtest

import (
	"net/http"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
)

// Messages that FirstPromoter documents.
const (
	msgBlankCustomer = "Error. Email and uid can not be blank!"
	msgAmount        = "Error. Amount blank or invalid."
	msgNotFound      = "Referral corresponding to email or uid parameter not found or promoter is banned."
	msgVisitor       = "Visitor  invalid, not found or you are trying to use the signup tracking test via API which doesn't work on API calls."
	msgSignedUp      = "there is already a signup event registered on this lead"
)

// process processes a request as FirstPromoter does. accepted reports whether an event was registered.
func (s *Server) process(e *entry) (rep reply, accepted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.company == nil && e.kind == nil:
		return s.noEndpoint(e.req), false
	case e.auth != "Bearer "+s.APIKey:
		return reply{status: http.StatusUnauthorized}, false
	case e.account != s.AccountID:
		return coded(http.StatusForbidden, "forbidden", "You don't have enough rights to perform this action"), false
	case !s.admit(e.req.Time):
		return reply{status: http.StatusTooManyRequests}, false
	case e.company != nil:
		return s.processCompany(e), false
	case !e.valid:
		return message(http.StatusBadRequest, "Error. The request body is not valid JSON."), false
	case strings.TrimSpace(e.req.Body.Email+e.req.Body.UID) == "":
		return message(http.StatusBadRequest, msgBlankCustomer), false
	}
	return e.kind(s, e.req.Body, e.req.Time)
}

// admit reports whether the rate limit allows a request, and counts it then.
func (s *Server) admit(now time.Time) bool {
	if s.limit <= 0 {
		return true
	}
	for len(s.window) > 0 && now.Sub(s.window[0]) >= time.Minute {
		s.window = s.window[1:]
	}
	if len(s.window) >= s.limit {
		return false
	}
	s.window = append(s.window, now)
	return true
}

// handler answers requests of one kind. Server.mu is held.
type handler func(s *Server, b Body, now time.Time) (rep reply, accepted bool)

var handlers = map[string]handler{
	fprom.KindSale: (*Server).sale, fprom.KindRefund: (*Server).refund,
	fprom.KindSignup: (*Server).signup, fprom.KindCancellation: (*Server).cancellation,
}

// checkEvent checks the fields of a sale or a refund, before its lead is looked up. If one is wrong it returns the answer and false.
func (s *Server) checkEvent(kind string, b Body) (reply, bool) {
	switch {
	case strings.TrimSpace(b.EventID) == "":
		return message(http.StatusBadRequest, "Error. Event id blank or invalid."), false
	case !b.amountOK:
		return message(http.StatusBadRequest, msgAmount), false
	case s.account.events[kind+":"+b.EventID]:
		return exists(kind, b.EventID), false
	}
	return reply{}, true
}

// leadOf finds the lead. With create it makes a new one, if the request names a promoter. nil: no referral, or a banned promoter.
func (s *Server) leadOf(b Body, create bool) *lead {
	l := s.account.find(b.Email, b.UID)
	if l == nil && create {
		if p := s.account.referrer(s, b); p != nil && !p.banned {
			l = s.account.addLead(p, b.Email, b.UID)
		}
	}
	if l == nil && s.allLeads {
		l = s.account.addLead(s.account.promoter(s, DefaultRefID), b.Email, b.UID)
	}
	if l == nil || l.gone() || l.promoter.banned || l.promoter.archived {
		return nil
	}
	return l
}

func (s *Server) sale(b Body, now time.Time) (reply, bool) {
	if rep, ok := s.checkEvent(fprom.KindSale, b); !ok {
		return rep, false
	}
	l := s.leadOf(b, true)
	if l == nil {
		return notFound(), false
	}
	s.account.events[fprom.KindSale+":"+b.EventID] = true
	l.sales[b.EventID] = true
	if l.customer.IsZero() {
		l.customer = now
	}
	return jsonReply(http.StatusOK, s.eventJSON(s.account.id(), l, b, fprom.KindSale, now, s.book(fprom.KindSale, l, b, b.Amount, now)...)), true
}

func (s *Server) refund(b Body, now time.Time) (reply, bool) {
	if rep, ok := s.checkEvent(fprom.KindRefund, b); !ok {
		return rep, false
	}
	l := s.leadOf(b, false)
	if l == nil {
		return notFound(), false
	}
	if len(l.sales) == 0 || b.SaleEventID != "" && !l.sales[b.SaleEventID] {
		return reply{status: http.StatusNoContent}, false
	}
	s.account.events[fprom.KindRefund+":"+b.EventID] = true
	earned := s.book(fprom.KindRefund, l, b, -b.Amount, now)
	return jsonReply(http.StatusOK, refundJSON(s.account.id(), l, earned[0].Commission, now)), true
}

func (s *Server) signup(b Body, now time.Time) (reply, bool) {
	l := s.account.find(b.Email, b.UID)
	if l != nil && l.signedUp {
		return jsonReply(http.StatusUnprocessableEntity, object{"transaction_id": msgSignedUp}), false
	}
	if l == nil {
		p := s.account.referrer(s, Body{TID: b.TID, RefID: b.RefID})
		if p == nil && s.allLeads {
			p = s.account.promoter(s, DefaultRefID)
		}
		if p == nil || p.banned {
			return message(http.StatusNotFound, msgVisitor), false
		}
		l = s.account.addLead(p, b.Email, b.UID)
	}
	l.signedUp = true
	return jsonReply(http.StatusOK, s.eventJSON(s.account.id(), l, b, fprom.KindSignup, now)), true
}

func (s *Server) cancellation(b Body, now time.Time) (reply, bool) {
	l := s.leadOf(b, false)
	if l == nil {
		return notFound(), false
	}
	l.cancelled = now
	return jsonReply(http.StatusOK, cancellationJSON(s.account.id(), l)), true
}
