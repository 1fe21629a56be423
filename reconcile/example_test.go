package reconcile_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/fprom-go/fprom/backfill"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/reconcile"
)

// What an old integration lost: FirstPromoter against the provider's export, without any outbox.
func ExampleFile() {
	fake := fpromtest.Start() // in production there is no fake
	defer fake.Close()
	day := time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC)
	fake.AddPastSale(fpromtest.PastSale{EventID: "ch_1", Email: "ann@example.com", Amount: 1999, Currency: "USD", At: day.Add(10 * time.Hour)})
	fake.AddPastSale(fpromtest.PastSale{EventID: "in_9", Email: "ann@example.com", Amount: 1999, Currency: "USD", At: day.Add(11 * time.Hour)})

	export := strings.NewReader(`id,Created date (UTC),Amount,Currency,Status,Customer Email
ch_1,2026-03-09 10:00:00,19.99,usd,Paid,ann@example.com
ch_2,2026-03-09 12:00:00,29.99,usd,Paid,ann@example.com
ch_3,2026-03-09 13:00:00,29.99,usd,Paid,nobody@example.com
`)
	sales, err := reconcile.File(export, backfill.Format{Amount: backfill.Major}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := firstpromoter.New(firstpromoter.Config{BaseURL: fake.URL, APIKey: fake.APIKey, AccountID: fake.AccountID})
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := reconcile.Run(context.Background(), reconcile.Options{Client: client, Sales: sales, From: day, To: day})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("matched", report.Matched, "of nobody referred", report.NotReferral)
	for _, e := range report.Missing {
		fmt.Println("missing", e.EventID, e.Amount, e.Currency)
	}
	for _, e := range report.Foreign {
		fmt.Println("foreign", e.EventID, e.Amount, e.Currency)
	}
	// Output:
	// matched 1 of nobody referred 1
	// missing ch_2 2999 USD
	// foreign in_9 1999 USD
}

// Why a customer's sales earned nothing.
func ExampleWhy() {
	fake := fpromtest.Start()
	defer fake.Close()
	fake.AddLead("ann@example.com")
	fake.SetLeadState("ann@example.com", "denied")
	client, err := firstpromoter.New(firstpromoter.Config{BaseURL: fake.URL, APIKey: fake.APIKey, AccountID: fake.AccountID})
	if err != nil {
		fmt.Println(err)
		return
	}
	reason, err := reconcile.Why(context.Background(), client, nil, "ann@example.com")
	fmt.Println(reason.Verdict, reason.Calls, err)
	// Output: lead denied 1 <nil>
}
