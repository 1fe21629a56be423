package riverqueue_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/fprom-go/fprom/riverqueue"
)

// TestPlanOfAnEmptyLedger: PostgreSQL keeps the plan of Put that it made while the ledger was empty. It must not read the
// whole ledger as that grows.
func TestPlanOfAnEmptyLedger(t *testing.T) {
	t.Parallel()
	const events = 500
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	for i := range events {
		put(t, q, sale(strconv.Itoa(i), "buyer"+strconv.Itoa(i), 100))
	}
	pool.Reset() // a connection tells the statistics when it ends
	var inserted, scanned int
	waitFor(t, "the statistics", func() bool {
		err := pool.QueryRow(t.Context(), strings.ReplaceAll(`SELECT n_tup_ins, seq_tup_read FROM pg_stat_user_tables
			WHERE schemaname = '$s' AND relname = 'fprom_ledger'`, "$s", cfg.Schema)).Scan(&inserted, &scanned)
		if err != nil {
			t.Fatal(err)
		}
		return inserted == events
	})
	if scanned > events {
		t.Errorf("%d rows were read in sequence by %d Puts", scanned, events)
	}
}
