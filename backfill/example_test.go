package backfill_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/fprom-go/fprom/backfill"
	"github.com/fprom-go/fprom/boltqueue"
)

// Past sales from a file into an outbox. Run it again and nothing is queued twice.
func ExampleRun() {
	file := `event_id,email,amount,currency
ch_1,ann@example.com,1999,USD
ch_2,bob@example.com,2999,USD
ch_3,,2999,USD
`
	dir, err := os.MkdirTemp("", "fprom")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	outbox, err := boltqueue.Open(filepath.Join(dir, "fprom.db")) // or a riverqueue
	if err != nil {
		log.Fatal(err)
	}
	defer outbox.Close()
	for range 2 {
		result, err := backfill.Run(context.Background(), strings.NewReader(file), backfill.Options{
			Format: backfill.Format{Amount: backfill.Minor}, Outbox: outbox,
		})
		fmt.Println(result.Queued, "queued,", result.Known, "known,", result.Invalid, "invalid,", err)
	}
	// Output:
	// 2 queued, 0 known, 1 invalid, <nil>
	// 0 queued, 2 known, 1 invalid, <nil>
}
