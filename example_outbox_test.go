package fprom_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
)

// An operator asks what became of each sale, mends the cause of a dead letter, and sends it again under its own event id.
func ExampleOutbox() {
	cfg, fake := fakeConfig() // in a program: cfg := fprom.Config{}
	defer fake.Close()
	refusal := fake.Inject(fpromtest.Status(400).OnEvent("ch_2"))
	dir, err := os.MkdirTemp("", "outbox")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	outbox, err := boltqueue.Open(filepath.Join(dir, "fprom.db"))
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg.Queue = outbox
	tracker, err := fprom.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, id := range []string{"ch_1", "ch_2"} {
		if err := tracker.Enqueue(ctx, fprom.Sale{EventID: id, Email: "jane@example.com", Amount: 1999, Currency: "USD"}); err != nil {
			fmt.Println(err)
		}
	}

	show := func() {
		if err := tracker.Flush(ctx); err != nil {
			fmt.Println(err)
		}
		for e, err := range outbox.Entries(ctx, fprom.Filter{}) {
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println(e.Key, e.State, e.Outcome)
		}
	}
	show()
	refusal.Remove() // in real life: mend what Entry.Reason says
	n, err := outbox.Redrive(ctx, fprom.Filter{State: fprom.StateDead})
	fmt.Println("sent again:", n, err)
	show()
	fmt.Println("shut down:", tracker.Shutdown(ctx))
	// Output:
	// sale:ch_1 done tracked
	// sale:ch_2 dead rejected
	// sent again: 1 <nil>
	// sale:ch_1 done tracked
	// sale:ch_2 done tracked
	// shut down: <nil>
}
