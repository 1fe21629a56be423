package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/outboxtest"
	"github.com/fprom-go/fprom/reconcile"
)

// FirstPromoter does not know a customer whose events it did not get. Then Why says what the outbox has of the customer.
func TestWhyOfACustomerWhoseEventsDidNotArrive(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t, fpromtest.InMemory())
	s.AddLead("lead@example.com")
	box := &outboxtest.Outbox{}
	box.Add(fprom.Entry{Key: "sale:ch_waits", Kind: fprom.KindSale, Customer: "new@example.com", State: fprom.StateWaiting, RecordedAt: time.Now()})
	box.Add(fprom.Entry{Key: "sale:ch_dead", Kind: fprom.KindSale, Customer: "lead@example.com", State: fprom.StateDead, Reason: "400: amount", RecordedAt: time.Now()})
	client, err := firstpromoter.New(firstpromoter.Config{BaseURL: s.URL, APIKey: s.APIKey, AccountID: s.AccountID, HTTPClient: s.Config().HTTPClient, Rate: 6000})
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string][2]string{
		"new@example.com":  {reconcile.BecauseNoLead, "sale:ch_waits is not delivered yet."},
		"lead@example.com": {reconcile.BecauseNoSale, "sale:ch_dead was given up: 400: amount."},
	} {
		if r, err := reconcile.Why(t.Context(), client, box, what); err != nil || r.Verdict != want[0] || !strings.Contains(r.Detail, want[1]) {
			t.Errorf("%s: %+v, %v; want %q", what, r, err, want)
		}
	}
}

// A customer's sign-up and cancellation are known by the customer's address or uid. They are no sales: who asks about the
// customer asks FirstPromoter.
func TestWhyOfACustomerWhoseSignupIsInTheOutbox(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t, fpromtest.InMemory())
	s.AddLead("expired@example.com", "u_expired")
	s.SetLeadState("expired@example.com", "expired")
	s.AddPastSale(fpromtest.PastSale{EventID: "ch_1", Email: "earned@example.com", Amount: 100})
	box := &outboxtest.Outbox{}
	for _, e := range []fprom.Event{
		fprom.Signup{Email: "expired@example.com", TID: "tid1"},
		fprom.Signup{UID: "u_expired", TID: "tid1"},
		fprom.Signup{Email: "earned@example.com", TID: "tid2"},
		fprom.Cancellation{Email: "earned@example.com"},
		fprom.Signup{Email: "nobody@example.com", TID: "tid3"},
	} {
		m, err := fprom.NewMessage(e)
		if err != nil {
			t.Fatal(err)
		}
		entry := fprom.NewEntry(m)
		entry.State, entry.Outcome, entry.Customer, entry.SettledAt = fprom.StateDone, fprom.Tracked, "", time.Now()
		box.Add(entry)
	}
	client, err := firstpromoter.New(firstpromoter.Config{BaseURL: s.URL, APIKey: s.APIKey, AccountID: s.AccountID, HTTPClient: s.Config().HTTPClient, Rate: 6000})
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]string{
		"expired@example.com": reconcile.BecauseLeadExpired, "u_expired": reconcile.BecauseLeadExpired,
		"earned@example.com": reconcile.BecauseEarned, "nobody@example.com": reconcile.BecauseNoLead,
	} {
		if r, err := reconcile.Why(t.Context(), client, box, what); err != nil || r.Verdict != want {
			t.Errorf("%s: %+v, %v; want %q", what, r, err, want)
		}
	}
}
