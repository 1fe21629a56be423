package queuetest

import (
	"context"
	"errors"

	"github.com/fprom-go/fprom"
)

var forgetCases = []testCase{
	{"forgets the customer of a dead letter", (*rig).testForgetDead},
	{"forgets a customer when the event has its outcome", (*rig).testForgetWaiting},
	{"remembers ids and sums of who is forgotten", (*rig).testForgetKeeps},
}

func (r *rig) forget(customer string) int {
	r.t.Helper()
	n, err := r.outbox().Forget(context.WithoutCancel(r.t.Context()), customer)
	if err != nil {
		r.t.Fatalf("Forget: %v", err)
	}
	return n
}

func (r *rig) testForgetDead() {
	s := newScene(r)
	n, err := s.outbox().Forget(s.t.Context(), "")
	if _, invalid := errors.AsType[*fprom.ValidationError](err); n != 0 || !invalid {
		s.t.Errorf("Forget of no customer: %d, %v, want 0 and a *ValidationError", n, err)
	}
	for _, unknown := range []string{"nobody@example.com", "U_FINN"} { // the case of a uid matters
		if n := s.forget(unknown); n != 0 {
			s.t.Errorf("Forget of %s, who is unknown: %d, want 0", unknown, n)
		}
	}
	for customer, place := range map[string]int{"EVE@example.com": wrong, "u_finn": wrongUID} {
		if n := s.forget(customer); n != 1 {
			s.t.Errorf("Forget of a customer with one dead letter: %d, want 1", n)
		}
		e := s.one(fprom.Filter{Keys: []string{s.msgs[place].Key}, Personal: true})
		if amount, currency := s.msgs[place].Money(); e.Customer != "" || e.State != fprom.StateDead || e.Amount != amount || e.Currency != currency || e.StatusCode == 0 {
			s.t.Errorf("the entry of a customer who is forgotten: %+v, want no customer, and all else", e)
		}
		if n := s.forget(customer); n != 0 {
			s.t.Errorf("Forget of a customer who is forgotten: %d, want 0", n)
		}
	}
	n, err = s.outbox().Redrive(s.t.Context(), fprom.Filter{})
	s.checkCount("Redrive where one of three dead letters has a body", n, err, 1)
	n, err = s.outbox().Drop(s.t.Context(), fprom.Filter{})
	s.checkCount("Drop of dead letters without a body", n, err, 2)
}

// testForgetWaiting forgets a customer while two events wait. Later one is done and one is dead.
func (r *rig) testForgetWaiting() {
	good, bad := r.sale("good", "ann", 100), r.sale("bad", "ann", 200)
	r.put(good, bad)
	r.forget("ann@EXAMPLE.com")
	r.restart()
	r.start(2, func(_ context.Context, m fprom.Message) (fprom.Result, error) {
		if m.Key == bad.Key {
			return rejected()
		}
		return done()
	})
	r.checkOnce(good, bad)
	r.checkSame(r.deliveries(good)[0].Message, good)
	r.wait("both have their outcome", func() bool { return r.stats().Pending == 0 })
	for _, m := range []fprom.Message{good, bad} {
		if e := r.one(fprom.Filter{Keys: []string{m.Key}, Personal: true}); e.Customer != "" {
			r.t.Errorf("after its outcome the entry of a customer who is forgotten: %+v, want no customer", e)
		}
	}
	n, err := r.outbox().Redrive(r.t.Context(), fprom.Filter{})
	r.checkCount("Redrive of a dead letter whose customer is forgotten", n, err, 0)
	for range 2 { // put again, it is an event of a customer who was not forgotten since
		r.put(bad)
		r.wait("its outcome", func() bool { return r.stats().Pending == 0 })
		if e := r.one(fprom.Filter{Keys: []string{bad.Key}, Personal: true}); e.Customer != bad.Customer {
			r.t.Errorf("the entry of an event that was put after its customer was forgotten: %+v, want its customer", e)
		}
		if n := r.forget(bad.Customer); n != 1 {
			r.t.Errorf("Forget of a customer with one dead letter: %d, want 1", n)
		}
	}
}

func (r *rig) testForgetKeeps() {
	s := newScene(r)
	s.forget("ann@example.com")
	s.restart()
	if e := s.one(fprom.Filter{Keys: []string{"in_tracked"}}); e.Amount != 4900 || e.Currency != "usd" || e.ID != 101 || e.Commissions != 2 {
		s.t.Errorf("the entry of a customer who is forgotten: %+v, want the sums", e)
	}
	changed := s.message(fprom.Sale{EventID: "in_tracked", Email: "ann@example.com", Amount: 1, Currency: "usd"})
	s.checkConflict("another amount", s.q.Put(r.t.Context(), changed), changed)
	marker := s.sale("in_marker", "ivy", 100)
	s.start(2, nil)
	s.put(s.msgs[tracked], marker)
	s.checkOnce(marker)
	if n := len(s.deliveries(s.msgs[tracked])); n != 0 {
		s.t.Errorf("an event that was done was delivered again after its customer was forgotten")
	}
}
