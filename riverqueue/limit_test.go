package riverqueue_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// TestLimitOfTheAccount: the limit is the account's. A replica with another number says so and the others keep to it.
func TestLimitOfTheAccount(t *testing.T) {
	t.Parallel()
	schema := newSchema(t)
	var logs [3]lines
	var queues [3]*riverqueue.Queue
	for i := range queues {
		queues[i], _ = open(t, riverqueue.Config{Schema: schema, Logger: logs[i].logger()})
	}
	admit := func(i, perMinute int) {
		t.Helper()
		if err := queues[i].Admit(t.Context(), perMinute); err != nil {
			t.Fatal(err)
		}
	}
	admit(0, 30_000)
	admit(1, 30_000)
	if logs[0].count("limit")+logs[1].count("limit") != 0 {
		t.Error("two replicas with the same limit: a warning")
	}
	admit(2, 60) // one a second
	begun := time.Now()
	time.Sleep(200 * time.Millisecond)
	for range 2 {
		admit(0, 30_000)
		admit(1, 30_000)
	}
	if d := time.Since(begun); d < 3*time.Second {
		t.Errorf("four calls in %v, although another replica has set the limit to one a second", d)
	}
	for i := range logs {
		if n := logs[i].count("limit"); n != 1 {
			t.Errorf("replica %d: %d warnings, want 1:\n%s", i, n, strings.Join(logs[i].all(), "\n"))
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := queues[0].Admit(ctx, math.MaxInt); err != nil {
		t.Errorf("a number that stands for no limit: %v", err)
	}
}

// TestLiveBeforeBulk: while many bulk events wait for the rate limit, a live one is begun before most of them, and then takes one of
// the next slots.
func TestLiveBeforeBulk(t *testing.T) {
	t.Parallel()
	q, _ := open(t, riverqueue.Config{Schema: newSchema(t)})
	const bulk = 200
	putBulk(t, q, bulk)
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	begun, sent := map[string]int{}, map[string]int{} // the calls before
	ran := make(chan error, 1)
	go func() {
		ran <- q.Run(ctx, 32, tracked(func(ctx context.Context, m fprom.Message) error {
			mu.Lock()
			begun[m.Key] = len(sent)
			mu.Unlock()
			if err := q.Admit(ctx, 600); err != nil { // 9 a second
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			sent[m.Key] = len(sent)
			return nil
		}))
	}()
	callsUntil := func(keys ...string) (n int, all bool) {
		mu.Lock()
		defer mu.Unlock()
		return len(sent), !slices.ContainsFunc(keys, func(key string) bool { _, ok := sent[key]; return !ok })
	}
	waitFor(t, "some bulk events", func() bool { n, _ := callsUntil(); return n >= 5 })
	// The last waits for a bulk event.
	last := fmt.Sprint("bulk", bulk-1)
	if err := q.Put(t.Context(), message(t, sale("live0", "ann", 100)), message(t, sale("live1", "ben", 100)), message(t, sale("live2", fmt.Sprint("old", bulk-1), 100))); err != nil {
		t.Fatal(err)
	}
	before, _ := callsUntil()
	keys := []string{"sale:live0", "sale:live1", "sale:live2", "sale:" + last}
	waitFor(t, "the live events", func() bool { _, all := callsUntil(keys...); return all })
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	for _, key := range keys {
		// A machine that stands still sends bulk events meanwhile, since it does not yet know the live one.
		if began, at := begun[key]-before, sent[key]-begun[key]; began > bulk/3 || at > 8 {
			t.Errorf("%s was begun %d calls after it was put, and sent %d calls later; want at most %d and 8", key, began, at, bulk/3)
		}
	}
}

// TestCrossingTransactions: transactions that store the same events in another order wait for each other and do not
// deadlock, and each keeps its own order.
func TestCrossingTransactions(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	const n = 500
	for round := range 6 {
		var wg sync.WaitGroup
		for g := range 4 {
			var events []fprom.Event
			for i := range n {
				events = append(events, sale(fmt.Sprintf("%d_%d", round, i), "ann", 100))
			}
			rand.New(rand.NewPCG(uint64(g), uint64(round))).Shuffle(n, func(i, j int) { events[i], events[j] = events[j], events[i] })
			wg.Go(func() {
				if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return q.EnqueueTx(t.Context(), tx, events...) }); err != nil {
					t.Errorf("EnqueueTx: %v", err)
				}
			})
		}
		wg.Wait()
	}
	if got := entries(t, pool, cfg.Schema); got != 6*n {
		t.Errorf("%d entries, want %d", got, 6*n)
	}
	want := []fprom.Event{sale("z", "ben", 1), sale("a", "ben", 2), sale("m", "ben", 3)}
	if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return q.EnqueueTx(t.Context(), tx, want...) }); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entriesOf(t, q, fprom.Filter{Customer: "ben@example.com"}) {
		got = append(got, e.Key)
	}
	if !slices.Equal(got, []string{"sale:z", "sale:a", "sale:m"}) {
		t.Errorf("order of one call: %v", got)
	}
}

// TestSerializable: a caller whose transaction is SERIALIZABLE learns of a conflict with another by the database's own
// error, and its second try stores nothing twice.
func TestSerializable(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 20 {
				for {
					err := pgx.BeginTxFunc(t.Context(), pool, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(tx pgx.Tx) error {
						return q.EnqueueTx(t.Context(), tx, sale(strconv.Itoa(i), "ann", 100))
					})
					var pg interface{ SQLState() string }
					if errors.As(err, &pg) && pg.SQLState() == "40001" {
						continue
					}
					if err != nil {
						t.Error(err)
					}
					break
				}
			}
		})
	}
	wg.Wait()
	if e, j := entries(t, pool, cfg.Schema), jobs(t, pool, cfg.Schema); e != 20 || j != 20 {
		t.Errorf("%d entries and %d jobs, want 20", e, j)
	}
}

// TestPaceOfACustomer: the events of one customer follow each other at once, without waiting for a poll.
func TestPaceOfACustomer(t *testing.T) {
	t.Parallel()
	q, _ := open(t, riverqueue.Config{Schema: newSchema(t)})
	const n = 30
	var r record
	stop := startWith(t, q, 1, r.deliver)
	put(t, q, sale("first", "ben", 100))
	flush(t, q)
	took := func(customer func(i int) string) time.Duration {
		t.Helper()
		var ms []fprom.Message
		for i := range n {
			ms = append(ms, message(t, sale(customer(i)+strconv.Itoa(i), customer(i), 100)))
		}
		begun := time.Now()
		if err := q.Put(t.Context(), ms...); err != nil {
			t.Fatal(err)
		}
		flush(t, q)
		return time.Since(begun)
	}
	several := took(func(i int) string { return "customer" + strconv.Itoa(i) })
	stop()
	start(t, q, r.deliver) // its workers use up the jobs of events that wait for an earlier one
	put(t, q, sale("second", "ben", 100))
	flush(t, q)
	one := took(func(int) string { return "ann" })
	t.Logf("%v an event of several customers, %v of one", several/n, one/n)
	if one > max(n*300*time.Millisecond, 3*several) { // with polls alone it is 500 ms more; a slow machine takes its time for each
		t.Errorf("%d events of one customer took %v, those of several %v", n, one, several)
	}
}

// TestSerializableByDefault: where the database makes every transaction SERIALIZABLE unless it says otherwise, replicas store
// events and share the limit as they do elsewhere.
func TestSerializableByDefault(t *testing.T) {
	t.Parallel()
	schema := newSchema(t)
	const perMinute, each = 30_000, 40
	var r record
	var queues []*riverqueue.Queue
	for range 3 {
		q, _ := openAt(t, withQuery(t, database, "default_transaction_isolation", "serializable"), riverqueue.Config{Schema: schema})
		queues = append(queues, q)
		start(t, q, func(ctx context.Context, m fprom.Message) error {
			return cmp.Or(q.Admit(ctx, perMinute), r.deliver(ctx, m))
		})
	}
	var wg sync.WaitGroup
	for g := range 12 {
		wg.Go(func() {
			for i := range each {
				q, id := queues[g%len(queues)], fmt.Sprintf("%d_%d", g, i)
				if err := q.Put(t.Context(), message(t, sale(id, id, 100))); err != nil {
					t.Error(err)
				}
				if err := q.Pause(t.Context(), time.Millisecond, errRejected); err != nil && !errors.Is(err, context.DeadlineExceeded) { // it waits 2 s for a slow machine
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	flush(t, queues[0])
	if n := len(r.calls); n != 12*each {
		t.Errorf("%d deliveries, want %d", n, 12*each)
	}
}
