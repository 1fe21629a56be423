package riverqueue_test

import (
	"strconv"
	"testing"

	"github.com/fprom-go/fprom/riverqueue"
)

// TestPlansOfAnEmptyLedger: PostgreSQL keeps the plans of statements that it made while the ledger was empty. To put and to
// deliver an event must not read the whole ledger as that grows.
func TestPlansOfAnEmptyLedger(t *testing.T) {
	t.Parallel()
	const events = 500
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	var r record
	stop := start(t, q, r.deliver)
	for i := range events {
		put(t, q, sale(strconv.Itoa(i), "buyer"+strconv.Itoa(i), 100))
	}
	flush(t, q)
	stop()
	pool.Reset() // a connection tells the statistics when it ends
	var done, read int
	waitFor(t, "the statistics", func() bool {
		err := pool.QueryRow(t.Context(), `SELECT n_tup_ins, seq_tup_read + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes i WHERE i.relid = t.relid)
			FROM pg_stat_user_tables t WHERE schemaname = $1 AND relname = 'fprom_ledger'`, cfg.Schema).Scan(&done, &read)
		if err != nil {
			t.Fatal(err)
		}
		return done == events
	})
	if read > 20*events {
		t.Errorf("%d rows were read to put and to deliver %d events", read, events)
	}
}
