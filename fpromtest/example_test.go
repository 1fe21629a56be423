package fpromtest_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
)

// A fake outside of a test, as a demo uses it. In a test NewServer(t) closes it for you.
func ExampleStart() {
	fake := fpromtest.Start()
	defer fake.Close()
	fake.AddLead("jane@example.com")

	tracker, err := fprom.New(fake.Config())
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	for _, email := range []string{"jane@example.com", "joe@example.com"} {
		result, err := tracker.Track(ctx, fprom.Sale{EventID: "ch_" + email, Email: email, Amount: 1999})
		fmt.Println(email, result.Outcome, err)
	}
	for _, c := range fake.Commissions() {
		fmt.Println("commission for", c.RefID, c.Amount)
	}
	if err := tracker.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// jane@example.com tracked <nil>
	// joe@example.com not-referral <nil>
	// commission for ada 399
}

// The event is registered and the answer is lost: the event id makes the second attempt safe.
func ExampleServer_Inject() {
	fake := fpromtest.Start()
	defer fake.Close()
	fake.AddVisitor("visitor-1")
	fake.Inject(fpromtest.Status(http.StatusInternalServerError).AfterProcessing().OnKind("sale").Times(1))

	tracker, err := fprom.New(fake.Config())
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	sale := fprom.Sale{EventID: "ch_1", Email: "jane@example.com", Amount: 1000, TID: "visitor-1"}
	if err := tracker.Enqueue(ctx, sale); err != nil {
		log.Fatal(err)
	}
	if err := tracker.Shutdown(ctx); err != nil { // delivers what is queued
		log.Fatal(err)
	}
	for _, r := range fake.Requests() {
		fmt.Println(r.Kind, r.EventID, r.Status, "registered:", r.Accepted)
	}
	fmt.Println("commissions:", len(fake.Commissions()))
	// Output:
	// sale ch_1 500 registered: true
	// sale ch_1 409 registered: false
	// commissions: 1
}

// A server without a socket, reached through its Transport.
func ExampleInMemory() {
	fake := fpromtest.Start(fpromtest.InMemory(), fpromtest.WithAllLeads())
	defer fake.Close()
	tracker, err := fprom.New(fprom.Config{
		BaseURL: fake.URL, APIKey: fake.APIKey, AccountID: fake.AccountID, // this and the next line are fake.Config()
		HTTPClient: &http.Client{Transport: fake.Transport()},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if err := tracker.Enqueue(ctx, fprom.Signup{Email: "jane@example.com", TID: "visitor-1"}); err != nil {
		log.Fatal(err)
	}
	err = fake.Wait(ctx, func(s *fpromtest.Server) bool { return len(s.Accepted()) == 1 })
	fmt.Println(fake.Accepted()[0].Kind, err)
	if err := tracker.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: signup <nil>
}
