package reconcile_test

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/outboxtest"
	"github.com/fprom-go/fprom/reconcile"
)

// While FirstPromoter cannot be asked, Why says what the outbox knows, and that this is not final. Once it can be asked, its
// answer counts: a dead letter hides no commission.
func TestWhyDuringAnOutage(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t, fpromtest.InMemory())
	s.AddPastSale(fpromtest.PastSale{EventID: "ch_done", Email: "both@example.com", Amount: 100})
	box := &outboxtest.Outbox{}
	entries := []fprom.Entry{
		{Key: "sale:ch_waits", Customer: "ann@example.com", State: fprom.StateWaiting, Attempts: 3, Reason: "no answer within 10s"},
		{Key: "refund:re_waits", Kind: fprom.KindRefund, Customer: "ann@example.com", State: fprom.StateWaiting},
		{Key: "sale:ch_dead", Customer: "both@example.com", State: fprom.StateDead, Outcome: fprom.Rejected, Reason: "fprom: sale:ch_dead: 400: Error. Amount blank or invalid."},
		{Key: "sale:Order 12", Customer: "odd@example.com", State: fprom.StateDead, Outcome: fprom.Rejected},
		{Key: "sale:ch_done", State: fprom.StateDone, Outcome: fprom.Tracked, Commissions: 1},
	}
	signup, err := fprom.NewMessage(fprom.Signup{Email: "sue@example.com", TID: "tid"})
	if err != nil {
		t.Fatal(err)
	}
	entries = append(entries, fprom.NewEntry(signup)) // its key and its customer are what is asked for
	for i := range 6 {
		entries = append(entries, fprom.Entry{Key: "sale:many_" + strconv.Itoa(i+1), Customer: "many@example.com", State: fprom.StateWaiting})
	}
	for _, e := range entries {
		e.Kind, e.RecordedAt = cmp.Or(e.Kind, fprom.KindSale), time.Now()
		box.Add(e)
	}
	client, err := firstpromoter.New(firstpromoter.Config{BaseURL: s.URL, APIKey: s.APIKey, AccountID: s.AccountID, HTTPClient: s.Config().HTTPClient, Rate: 6000, Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	outage := s.Inject(fpromtest.Reset())
	for what, parts := range map[string][]string{
		"ann@example.com":    {"not final", "sale:ch_waits is not delivered yet (attempts: 3): no answer within 10s.", "refund:re_waits is not delivered yet"},
		"both@example.com":   {"not final", "sale:ch_dead was given up: 400: Error. Amount blank or invalid. Mend"},
		"odd@example.com":    {"fprom dead redrive 'sale:Order 12'"},
		"ch_done":            {"not final", "sale:ch_done is done: tracked; commissions in the answer: 1."},
		"many@example.com":   {"not final", "sale:many_5", "There are more"},
		"nobody@example.com": {"not final", "The outbox has no event"},
		"sue@example.com":    {"not final", "signup:"},
	} {
		r, err := reconcile.Why(t.Context(), client, box, what)
		if !errors.Is(err, firstpromoter.ErrUnreachable) || r.Verdict != reconcile.BecauseNotAsked || strings.Contains(r.Detail, "@") || strings.Contains(r.Detail, "many_6") || strings.Count(r.Detail, "signup:") > 1 {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
		for _, part := range parts {
			if !strings.Contains(r.Detail, part) {
				t.Errorf("%s: no %q in %q", what, part, r.Detail)
			}
		}
		if r, err := reconcile.Why(t.Context(), client, nil, "nobody@example.com"); err == nil || r.Verdict != "" {
			t.Errorf("without an outbox: %+v, %v", r, err)
		}
	}
	outage.Remove()
	if r, err := reconcile.Why(t.Context(), client, box, "both@example.com"); err != nil || r.Verdict != reconcile.BecauseEarned {
		t.Errorf("after the outage: %+v, %v", r, err)
	}
}

// Who interrupts Why gets no answer.
func TestWhyInterrupted(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t, fpromtest.InMemory())
	s.Inject(fpromtest.Reset())
	ctx, interrupt := context.WithCancel(t.Context())
	client, err := firstpromoter.New(firstpromoter.Config{
		BaseURL: s.URL, APIKey: s.APIKey, AccountID: s.AccountID, HTTPClient: s.Config().HTTPClient, Observer: func(firstpromoter.Call) { interrupt() },
	})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := reconcile.Why(ctx, client, &outboxtest.Outbox{}, "ann@example.com"); !errors.Is(err, context.Canceled) || r.Verdict != "" {
		t.Errorf("%+v, %v", r, err)
	}
}
