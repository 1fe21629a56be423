package boltqueue_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
)

func Example() {
	fake := fpromtest.Start(fpromtest.WithAllLeads())
	defer fake.Close()
	dir, err := os.MkdirTemp("", "outbox")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	outbox, err := boltqueue.Open(filepath.Join(dir, "fprom.db"))
	if err != nil {
		log.Fatal(err)
	}
	cfg := fake.Config() // in production: fprom.Config{}, with the credentials in the environment
	cfg.Queue = outbox
	tracker, err := fprom.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if err := tracker.Enqueue(ctx, fprom.Sale{EventID: "ch_1", Email: "jane@example.com", Amount: 4900, Currency: "usd"}); err != nil {
		log.Fatal(err) // not on disk
	}
	if err := tracker.Flush(ctx); err != nil {
		log.Fatal(err)
	}
	stats, err := outbox.Stats(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(fake.Commissions()), "commission;", stats.Pending, "waiting,", stats.Ledger, "remembered")
	if err := tracker.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: 1 commission; 0 waiting, 1 remembered
}

func ExampleQueue_Redrive() {
	outbox, cleanup := rejectedOutbox()
	defer cleanup()
	ctx := context.Background()
	dead := fprom.Filter{State: fprom.StateDead}
	for e, err := range outbox.Entries(ctx, dead) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Key, "was given up:", e.Reason)
	}
	n, err := outbox.Redrive(ctx, dead) // or Drop
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n, "is sent again")
	// Output:
	// sale:ch_1 was given up: deliver: 400 Bad Request: Error. Amount blank or invalid.
	// 1 is sent again
}

// rejectedOutbox returns an outbox with an event that FirstPromoter did not like.
func rejectedOutbox() (outbox *boltqueue.Queue, cleanup func()) {
	dir, err := os.MkdirTemp("", "outbox")
	if err != nil {
		log.Fatal(err)
	}
	outbox, err = boltqueue.Open(filepath.Join(dir, "fprom.db"))
	if err != nil {
		log.Fatal(err)
	}
	m, err := fprom.NewMessage(fprom.Sale{EventID: "ch_1", Email: "jane@example.com", Amount: 4900})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := outbox.Put(ctx, m); err != nil {
		log.Fatal(err)
	}
	go func() {
		_ = outbox.Flush(ctx)
		cancel()
	}()
	if err := run(ctx, outbox, func(context.Context, fprom.Message) error { return reject(m) }); err != nil {
		log.Fatal(err)
	}
	return outbox, func() {
		_ = outbox.Close()
		_ = os.RemoveAll(dir)
	}
}
