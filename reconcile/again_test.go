package reconcile_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/outboxtest"
	"github.com/fprom-go/fprom/reconcile"
)

// What was sent again has a commission of a later day, with another id than the first answer named. It is not missing any more.
func TestSentAgainIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fpromtest.Company{}, 3, 20)
	o := w.options(t)
	o.Outbox, o.Full = w.outbox(t), true
	w.fake.Forget("ch_1_5")
	w.fake.Forget("ch_1_15")
	r, err := reconcile.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	found(t, r, []string{"ch_1_5", "ch_1_15"}, nil, nil, nil)
	for i, id := range map[int]string{5: "ch_1_5", 15: "ch_1_15"} {
		w.fake.AddPastSale(fpromtest.PastSale{EventID: id, Email: fmt.Sprintf("c1.%d@example.com", i), Amount: int64(500 + 7*i), Currency: w.money[i%3], At: monday.AddDate(0, 0, 30)})
	}
	if r, err = reconcile.Run(t.Context(), o); err != nil || !r.Clean() || r.Matched != w.expected {
		t.Errorf("%+v %v", r, err)
	}
}

// A sale of which one promoter has the commission and the other has not is missing, unless somebody deleted that one.
func TestOneOfTwoCommissionsIsMissing(t *testing.T) {
	t.Parallel()
	tiers := []string{
		`{"event_id":"ch_1","sale_amount":1999,"created_at":"2026-03-09T12:00:00Z","promoter_campaign":{"id":1,"promoter_id":1}}`,
		`{"event_id":"ch_1","sale_amount":1999,"created_at":"2026-03-09T12:00:00Z","tier":2,"promoter_campaign":{"id":2,"promoter_id":2}}`,
	}
	for _, c := range []struct {
		rows    int
		deleted int64
		missing []int64
		calls   int // the totals, a list; a search by the commissions' ids, one by the event id if there is none
	}{{2, 0, nil, 2}, {1, 0, []int64{2}, 3}, {1, 2, nil, 2}, {0, 2, []int64{1, 2}, 4}} {
		box := &outboxtest.Outbox{}
		box.Add(fprom.Entry{
			Key: "sale:ch_1", Kind: fprom.KindSale, State: fprom.StateDone, Outcome: fprom.Tracked, Amount: 1999, Currency: "usd",
			RecordedAt: noon, SettledAt: noon, Commissions: 2, CommissionIDs: []int64{1, 2},
		})
		r, err := reconcile.Run(t.Context(), reconcile.Options{
			Client: listing(t, slices.Clone(tiers[:c.rows])...), Outbox: box, From: monday, To: monday, Full: true,
			Decided: func(id int64) string { return map[bool]string{true: firstpromoter.StatusDeleted}[id == c.deleted] },
		})
		if err != nil || r.Clean() != (c.missing == nil) || r.Matched+len(r.Missing) != 1 || r.Calls != c.calls {
			t.Fatalf("%+v: %+v %v", c, r, err)
		}
		for _, e := range r.Missing {
			if !slices.Equal(e.CommissionIDs, c.missing) {
				t.Errorf("%+v: %+v", c, e)
			}
		}
	}
}

// A list whose column of ids is the wrong one often has amounts with tax, too, such as Stripe's export. Nothing of it is sent again: each
// sale would earn a second commission. Where most sales are found under their own ids, a sale of another amount is sent again.
func TestRedriveUnderAnotherIDWithTax(t *testing.T) {
	t.Parallel()
	for _, own := range []int{0, 1, 4} { // of 8 sales
		fake := fpromtest.NewServer(t)
		var list []reconcile.Sale
		for i := range 8 {
			email, id := fmt.Sprintf("c%d@example.com", i), fmt.Sprint("ch_", i)
			sent := id
			if i >= own {
				sent = fmt.Sprint("in_", i)
			}
			fake.AddPastSale(fpromtest.PastSale{EventID: sent, Email: email, Amount: 1000, Currency: "USD", At: noon})
			list = append(list, reconcile.Sale{At: noon, Event: fprom.Sale{EventID: id, Email: email, Amount: 1190, Currency: "USD"}})
		}
		o := (&world{fake: fake}).options(t)
		o.Full, o.Sales = true, sold(list...)
		sent := 0
		o.Redrive = func(context.Context, fprom.Event) (fprom.Result, error) {
			sent++
			return fprom.Result{Outcome: fprom.Tracked}, nil
		}
		r, err := reconcile.Run(t.Context(), o)
		if want := map[int]int{4: 4}[own]; err != nil || len(r.Missing) != 8-own || sent != want || r.OtherID != 8-own-want {
			t.Errorf("%d own ids: %d sent, %d under other ids, %d missing, %v", own, sent, r.OtherID, len(r.Missing), err)
		}
	}
}

// The sales of a customer whose sign-up was given up earn nothing: that needs a person. Its empty currency does not keep the sums of the
// days from being compared.
func TestSignupThatWasGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fpromtest.Company{}, 3, 20, "USD")
	box := w.outbox(t)
	box.Events = append([]fprom.Entry{{
		Key: "signup:sha256-1", Kind: fprom.KindSignup, State: fprom.StateDead, Outcome: fprom.Rejected, RecordedAt: monday, SettledAt: monday.Add(time.Hour),
	}, {
		Key: "signup:sha256-2", Kind: fprom.KindSignup, State: fprom.StateWaiting, RecordedAt: monday,
	}, {
		Key: "cancellation:sha256-1", Kind: fprom.KindCancellation, State: fprom.StateDead, Outcome: fprom.Rejected, RecordedAt: monday, // earns nothing
	}}, box.Events...)
	o := w.options(t)
	o.Outbox = box
	r, err := reconcile.Run(t.Context(), o)
	if err != nil || r.Clean() || r.Dead != 1 || r.Waiting != 1 || r.Calls != 1 || r.Matched != w.expected {
		t.Errorf("%+v %v", r, err)
	}
	w.fake.Lose("ch_2_5")
	w.fake.Double("ch_2_6")
	if r, err = reconcile.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	found(t, r, []string{"ch_2_5"}, nil, nil, []string{"ch_2_6"})
}

// Who denied the commissions of another integration has decided: they are not named as foreign again.
func TestDeniedForeignCommission(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fpromtest.Company{}, 2, 20)
	o := w.options(t)
	o.Outbox = w.outbox(t)
	w.fake.AddPastSale(fpromtest.PastSale{EventID: "in_1", Email: "c1.6@example.com", Amount: 542, Currency: "USD", At: noon})
	w.fake.Deny("in_1")
	r, err := reconcile.Run(t.Context(), o)
	if err != nil || !r.Clean() || len(r.Denied) != 1 || r.Denied[0].EventID != "in_1" || r.Denied[0].Status != firstpromoter.StatusDenied {
		t.Errorf("%+v %v", r, err)
	}
}

// A lost sale that named its visitor, promoter or promo code would have made its customer a lead: FirstPromoter knows no such lead now.
// A promoter or code that FirstPromoter does not know makes none.
func TestSaleThatMakesItsLead(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t)
	fake.AddPromoCode("SPRING20")
	fake.AddLead("late@example.com") // by a later sale
	fake.AddPromoter("gone").Archive()
	fake.AddPastSale(fpromtest.PastSale{EventID: "before", Email: "denied@example.com", Amount: 500, At: noon.AddDate(0, 0, -9)})
	fake.SetLeadState("denied@example.com", "denied")
	var list []reconcile.Sale
	for i, s := range []fprom.Sale{
		{TID: "visitor-1"},
		{RefID: fpromtest.DefaultRefID},
		{PromoCode: "Spring20"},
		{RefID: "nobody", PromoCode: "SPRING20"},
		{Email: "late@example.com", RefID: fpromtest.DefaultRefID},
		{}, // from here on nobody's
		{RefID: "nobody"},
		{RefID: "nobody"},
		{PromoCode: "BLACKFRIDAY"},
		{RefID: "gone"},
		{Email: "late@example.com"},
		{Email: "denied@example.com", RefID: fpromtest.DefaultRefID}, // is a lead, and earns nothing
	} {
		s.EventID, s.Email, s.Amount = fmt.Sprint("ch_", i), cmp.Or(s.Email, fmt.Sprintf("c%d@example.com", i)), 500
		list = append(list, reconcile.Sale{At: noon, Event: s})
	}
	o := (&world{fake: fake}).options(t)
	o.Full, o.Sales = true, sold(list...)
	r, err := reconcile.Run(t.Context(), o)
	if err != nil || r.NotReferral != 6 || r.NoCommission != 1 {
		t.Errorf("%+v %v", r, err)
	}
	found(t, r, []string{"ch_0", "ch_1", "ch_2", "ch_3", "ch_4"}, nil, nil, nil)
	asked := 0
	for _, c := range fake.Requests() {
		if c.EventID == "promoters" {
			asked++
		}
	}
	if asked != 6 { // each once: ada, SPRING20 in two forms, nobody, BLACKFRIDAY, gone
		t.Errorf("%d calls for promoters", asked)
	}
}

// A dead letter that was redriven while the outbox was read comes twice. What it earned is known by the ids of the answer.
func TestRedrivenWhileItIsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fpromtest.Company{NullEventIDs: true}, 2, 20)
	box := w.outbox(t)
	dead := box.Events[slices.IndexFunc(box.Events, func(e fprom.Entry) bool { return e.Commissions > 0 })]
	dead.State, dead.Outcome, dead.Commissions, dead.CommissionIDs = fprom.StateDead, fprom.Rejected, 0, nil
	box.Events = append([]fprom.Entry{dead}, box.Events...)
	o := w.options(t)
	o.Outbox, o.Full = box, true
	if r, err := reconcile.Run(t.Context(), o); err != nil || !r.Clean() || r.Unidentified != 0 {
		t.Errorf("%+v %v", r, err)
	}
}
