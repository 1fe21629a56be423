package stripe_test

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/stripe"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
)

// ledger is a durable queue that has one answer for the sale of an invoice.
type ledger struct {
	entry fprom.Entry
	err   error
	after *billingtest.Sink // the entry is not there before this sink has an event; nil: it is there
}

func (l ledger) Entries(_ context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error] {
	return func(yield func(fprom.Entry, error) bool) {
		if l.after != nil && len(l.after.Events()) == 0 {
			return
		}
		if l.err != nil || slices.Contains(f.Keys, l.entry.Key) {
			yield(l.entry, l.err)
		}
	}
}

// A sale that came before the session, and was no referral without its tracking id, is sent again with it. The sign-up is stored in any
// case: Stripe gives the session up after three days, and the sales of later invoices need the sign-up.
func TestSaleBeforeItsSession(t *testing.T) {
	t.Parallel()
	entry := fprom.Entry{Key: "sale:in_1RbasilSub0001", Kind: fprom.KindSale, State: fprom.StateDone, Amount: 2000, Currency: "eur"}
	signup := fprom.Signup{Email: "bob@example.com", TID: "tid-bob"}
	sale := fprom.Sale{EventID: "in_1RbasilSub0001:attributed", Email: "bob@example.com", TID: "tid-bob", Amount: 2000, Currency: "eur"}
	for _, tt := range []struct {
		name    string
		key     string
		state   fprom.State
		outcome fprom.Outcome
		err     error
		late    bool
		status  int // default 200
		want    []fprom.Event
	}{
		{name: "no referral", outcome: fprom.NotReferral, want: []fprom.Event{signup, sale}},
		{name: "no referral, stored at once with the session", outcome: fprom.NotReferral, late: true, want: []fprom.Event{signup, sale}},
		{name: "tracked", outcome: fprom.Tracked, want: []fprom.Event{signup}},
		{name: "no sale yet", key: "sale:in_another", outcome: fprom.NotReferral, want: []fprom.Event{signup}},
		{name: "waiting", state: fprom.StateWaiting, status: http.StatusServiceUnavailable, want: []fprom.Event{signup}},
		{name: "the ledger cannot be read", err: errors.New("the file is damaged"), status: http.StatusServiceUnavailable, want: []fprom.Event{signup}},
	} {
		e := entry
		e.Outcome, e.Key, e.State = tt.outcome, cmp.Or(tt.key, e.Key), cmp.Or(tt.state, e.State)
		sink := &billingtest.Sink{}
		l := ledger{entry: e, err: tt.err}
		if tt.late {
			l.after = sink
		}
		v := stripe.Provider(stripe.WithOutbox(l))
		body := billingtest.Read(t, "session_subscription.json")
		got := billingtest.Post(billing.Handler(sink, v, "whsec_a", billingtest.Quiet()), body, func(r *http.Request) { sign(r.Header, body, "whsec_a") })
		if want := cmp.Or(tt.status, http.StatusOK); got != want || !slices.Equal(sink.Events(), tt.want) {
			t.Errorf("%s: status %d, accepted %+v, want %d and %+v", tt.name, got, sink.Events(), want, tt.want)
		}
	}
}

// A refund may come between the sale that was no referral and the session. It takes back the sale that the session sends again.
func TestRefundBeforeTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fpromtest.NewServer(t, fpromtest.InMemory())
		queue, err := boltqueue.Open(filepath.Join(t.TempDir(), "fprom.db"), boltqueue.WithoutSocket())
		if err != nil {
			t.Fatal(err)
		}
		defer queue.Close()
		tracker := fpromtest.NewTracker(t, server, func(c *fprom.Config) { c.Queue = queue })
		h := billing.Handler(tracker, stripe.Provider(stripe.WithOutbox(queue)), "whsec_a", billingtest.Quiet(),
			billing.WithPayment(func(context.Context, string) (billing.Payment, error) {
				return billing.Payment{SaleEventID: "in_1", Email: "bob@example.com"}, nil
			}))
		for _, object := range []string{
			`"invoice.paid","data":{"object":{"id":"in_1","amount_paid":2000,"total":2000,"customer_email":"bob@example.com"`,
			`"refund.created","data":{"object":{"id":"re_1","status":"succeeded","payment_intent":"pi_1","amount":2000`,
			`"checkout.session.completed","data":{"object":{"id":"cs_1","mode":"subscription","invoice":"in_1",
				"customer_details":{"email":"bob@example.com"},"metadata":{"fp_ref":"` + fpromtest.DefaultRefID + `"}`,
		} {
			body := []byte(`{"type":` + object + `,"currency":"eur"}}}`)
			if got := billingtest.Post(h, body, func(r *http.Request) { sign(r.Header, body, "whsec_a") }); got != http.StatusOK {
				t.Errorf("status %d for %s", got, body)
			}
			time.Sleep(time.Minute)
		}
		time.Sleep(time.Hour)
		var left int64
		for _, c := range server.Commissions() {
			left += c.SaleAmount
		}
		if n := len(server.Commissions()); n != 2 || left != 0 {
			t.Errorf("%d commissions, of %d in all, want that of the sale and that of its refund", n, left)
		}
		if err := tracker.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A refund names the sale that was sent again: FirstPromoter has no other one, and would take nothing back.
func TestRefundOfSaleSentAgain(t *testing.T) {
	t.Parallel()
	down := errors.New("the file is damaged")
	again := fprom.Entry{Key: "sale:in_1:attributed", Kind: fprom.KindSale, State: fprom.StateWaiting}
	for _, tt := range []struct {
		name string
		l    ledger
		want string // the sale; empty: an error
	}{
		{"sent again", ledger{entry: again}, "in_1:attributed"},
		{"no referral so far", ledger{entry: fprom.Entry{Key: "sale:in_1", State: fprom.StateDone, Outcome: fprom.NotReferral}}, "in_1:attributed"},
		{"not sent again", ledger{entry: fprom.Entry{Key: "sale:in_1"}}, "in_1"},
		{"the ledger cannot be read", ledger{err: down}, ""},
	} {
		v := stripe.Provider(stripe.WithOutbox(tt.l), stripe.WithChargeRefunded())
		known := billing.WithPayment(func(context.Context, string) (billing.Payment, error) {
			return billing.Payment{SaleEventID: "in_1", Email: "bob@example.com"}, nil
		})
		charge := `{"type":"charge.refunded","data":{"object":{"id":"ch_1","payment_intent":"pi_1","invoice":"in_1","receipt_email":"bob@example.com",
			"amount":500,"amount_refunded":500,"currency":"eur"},"previous_attributes":{"amount_refunded":0}}}`
		dispute := `{"type":"charge.dispute.created","data":{"object":{"id":"du_1","status":"lost","payment_intent":"pi_1","amount":500,"currency":"eur"}}}`
		for payload, opts := range map[string][]billing.Option{charge: nil, dispute: {known}} {
			events, err := v.Events([]byte(payload), opts...)
			if tt.want == "" {
				if !errors.Is(err, down) || fprom.IsPermanent(err) {
					t.Errorf("%s: %v, %v", tt.name, events, err)
				}
				continue
			}
			if err != nil || len(events) != 1 || events[0].(fprom.Refund).SaleEventID != tt.want {
				t.Errorf("%s: %+v, %v, want the sale %s", tt.name, events, err, tt.want)
			}
		}
	}
	// Without the sale's id nobody is asked.
	events, err := stripe.Provider(stripe.WithOutbox(ledger{err: down})).Events([]byte(`{"type":"refund.created","data":{"object":{"id":"re_1",
		"status":"succeeded","payment_intent":"pi_1","amount":500,"currency":"eur","metadata":{"fp_uid":"u"}}}}`))
	if err != nil || len(events) != 1 {
		t.Errorf("%+v, %v", events, err)
	}
}
