package fprom_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
)

// fakeConfig is a Config for the examples: it reaches a fake FirstPromoter that knows jane@example.com. A program leaves
// the key and the account to the environment.
func fakeConfig() (fprom.Config, *fpromtest.Server) {
	fake := fpromtest.Start(fpromtest.InMemory())
	fake.AddLead("jane@example.com")
	cfg := fake.Config()
	cfg.Logger = slog.New(slog.DiscardHandler)
	return cfg, fake
}

// Make one Tracker when the program starts, enqueue what is paid, and shut it down at the end.
func ExampleNew() {
	cfg, fake := fakeConfig() // in a program: cfg := fprom.Config{}
	defer fake.Close()

	tracker, err := fprom.New(cfg)
	if err != nil {
		fmt.Println(err) // names the field that is wrong
		return
	}
	err = tracker.Enqueue(context.Background(), fprom.Sale{EventID: "ch_1", Email: "jane@example.com", Amount: 1999, Currency: "USD"})
	fmt.Println("accepted:", err == nil)

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var left *fprom.UndeliveredError
	if err := tracker.Shutdown(ctx); errors.As(err, &left) {
		fmt.Println("store these for later:", left.Events)
	}
	fmt.Println("tracked:", tracker.Stats().Tracked)
	// Output:
	// accepted: true
	// tracked: 1
}

// Enqueue stores an event and returns; who is told of the same payment twice reports it once.
func ExampleTracker_Enqueue() {
	cfg, fake := fakeConfig()
	defer fake.Close()
	tracker, err := fprom.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	defer func() { _ = tracker.Shutdown(ctx) }()

	paid := fprom.Sale{EventID: "in_1", Email: "jane@example.com", Amount: 1999, Currency: "USD"}
	for range 2 { // the provider sends its webhook again
		if err := tracker.Enqueue(ctx, paid); err != nil {
			fmt.Println(err)
		}
	}
	var invalid *fprom.ValidationError
	err = tracker.Enqueue(ctx, fprom.Sale{EventID: "in_2", Email: "jane@example.com", Currency: "USD"})
	fmt.Println(errors.As(err, &invalid), err)

	if err := tracker.Flush(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println(len(fake.Commissions()), "commission")
	// Output:
	// true fprom: Amount: is zero: free trials and empty invoices are not reported
	// 1 commission
}

// Track makes one call now and says what FirstPromoter answered, for programs with a queue of their own.
func ExampleTracker_Track() {
	cfg, fake := fakeConfig()
	defer fake.Close()
	tracker, err := fprom.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	defer func() { _ = tracker.Shutdown(ctx) }()

	for _, email := range []string{"jane@example.com", "nobody@example.com"} {
		result, err := tracker.Track(ctx, fprom.Sale{EventID: "ch_" + email, Email: email, Amount: 1000, Currency: "USD"})
		switch {
		case err == nil:
			fmt.Println(result.Outcome, len(result.Commissions))
		case fprom.IsPermanent(err):
			fmt.Println("give up:", err)
		default:
			fmt.Println("again later:", err)
		}
	}
	// Output:
	// tracked 1
	// not-referral 0
}

// An Observer is told of every step of every event: for metrics, and for tests.
func ExampleConfig_observer() {
	cfg, fake := fakeConfig()
	defer fake.Close()
	fake.Inject(fpromtest.Status(500).Times(1))

	cfg.Observer = func(_ context.Context, s fprom.Step) {
		switch s.Stage {
		case fprom.StageRetry, fprom.StageDelivered, fprom.StageDead:
			fmt.Println(s.Message.Key, s.Stage, s.Result.Outcome, s.Message.Attempt)
		default:
		}
	}
	cfg.Retry.Base = 10 * time.Millisecond
	tracker, err := fprom.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := tracker.Enqueue(ctx, fprom.Sale{EventID: "ch_1", Email: "jane@example.com", Amount: 1000}); err != nil {
		fmt.Println(err)
	}
	if err := tracker.Shutdown(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// sale:ch_1 retry undelivered 1
	// sale:ch_1 delivered tracked 2
}

// Providers write amounts as decimals or in minor units of their own; FirstPromoter takes its minor units.
func ExampleParseAmount() {
	for _, price := range [][2]string{{"19.99", "USD"}, {"1999", "JPY"}, {"19.995", "USD"}} {
		fmt.Println(fprom.ParseAmount(price[0], price[1]))
	}
	// Output:
	// 1999 <nil>
	// 1999 <nil>
	// 0 fprom: Amount: has more decimal digits than its currency: round it, or name the right currency
}

// Commissions are paid on what is left without taxes: of 11.90 paid on an invoice over 23.80 with 3.80 VAT, 10.00.
func ExampleBeforeTax() {
	fmt.Println(fprom.BeforeTax(1190, 2380, 380))
	// Output: 1000
}
