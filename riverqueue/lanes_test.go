package riverqueue_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// TestLanes: three replicas, events of few customers put through any of them, failures: one at a time, in order.
func TestLanes(t *testing.T) {
	t.Parallel()
	const customers, each = 6, 25
	cfg := riverqueue.Config{Schema: newSchema(t)}
	var mu sync.Mutex
	under, got := map[string]int{}, map[string][]string{}
	deliver := func(_ context.Context, m fprom.Message) error {
		mu.Lock()
		under[m.Customer]++
		if under[m.Customer] > 1 {
			t.Errorf("%s was delivered while another event of its customer was", m.Key)
		}
		fails := rand.IntN(12) == 0
		if !fails {
			got[m.Customer] = append(got[m.Customer], m.Key)
		}
		mu.Unlock()
		time.Sleep(time.Duration(rand.IntN(5)) * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		under[m.Customer]--
		if fails {
			return errors.New("this delivery fails")
		}
		return nil
	}
	var queues []*riverqueue.Queue
	for range 3 {
		q, _ := open(t, cfg)
		queues = append(queues, q)
		start(t, q, deliver)
	}
	want := map[string][]string{}
	var wg sync.WaitGroup
	for c := range customers {
		name := fmt.Sprintf("customer%d", c)
		var ms []fprom.Message
		for i := range each {
			m := message(t, sale(fmt.Sprintf("%d_%d", c, i), name, 100))
			ms = append(ms, m)
			want[m.Customer] = append(want[m.Customer], m.Key)
		}
		wg.Go(func() {
			for i := 0; i < each; {
				n := min(1+rand.IntN(3), each-i)
				if err := queues[rand.IntN(3)].Put(t.Context(), ms[i:i+n]...); err != nil {
					t.Error(err)
				}
				i += n
			}
		})
	}
	wg.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := queues[0].Flush(ctx); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for customer := range want {
		if !slices.Equal(got[customer], want[customer]) {
			t.Errorf("%s: %v, want %v", customer, got[customer], want[customer])
		}
	}
}

// TestBulkJobOfALiveEvent: an event that became live, since a live one of its customer waits for it, does not overtake
// older live events by its old job in the queue of bulk events.
func TestBulkJobOfALiveEvent(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	put(t, q, sale("2", "ben", 100))
	m := message(t, sale("1", "ann", 100))
	m.Bulk = true
	if err := q.Put(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	execSQL(t, pool, `UPDATE `+cfg.Schema+`.fprom_ledger SET bulk = false`)
	execSQL(t, pool, `DELETE FROM `+cfg.Schema+`.river_job WHERE queue = 'fprom'`) // that of ben comes again in a second
	var r record
	startWith(t, q, 1, r.deliver)
	flush(t, q)
	if len(r.calls) != 2 || r.calls[0].Key != "sale:2" {
		t.Errorf("delivered %+v, want sale:2 first", r.calls)
	}
}

// TestBulkJobsOfTwoLiveEvents: two events that became live while they waited for their next attempt, and so have only their jobs
// in the queue of bulk events, do not wait for each other.
func TestBulkJobsOfTwoLiveEvents(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	q, pool := open(t, cfg)
	var r record
	r.answer = func(m fprom.Message) error {
		if m.Bulk && m.Attempt == 1 && m.Key != "sale:ann3" {
			return &fprom.APIError{StatusCode: 503, RetryAfter: time.Hour}
		}
		return nil
	}
	for _, customer := range []string{"ann", "ben"} {
		m := message(t, sale(customer+"1", customer, 100))
		m.Bulk = true
		if err := q.Put(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	start(t, q, r.deliver)
	tried := func(bulk bool) (n int) {
		for _, e := range entriesOf(t, q, fprom.Filter{State: fprom.StateWaiting}) {
			if e.Bulk == bulk && e.Attempts == 1 {
				n++
			}
		}
		return n
	}
	waitFor(t, "the first attempts", func() bool { return tried(true) == 2 })
	later := message(t, sale("ann3", "ann", 100))
	later.Bulk = true
	if err := q.Put(t.Context(), message(t, sale("ann2", "ann", 100)), message(t, sale("ben2", "ben", 100)), later); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "them to become live", func() bool { return tried(false) == 2 })
	if e := entriesOf(t, q, fprom.Filter{Keys: []string{"ann3"}}); len(e) != 1 || !e[0].Bulk {
		t.Errorf("%+v became live, for which no live event waits", e)
	}
	comeDue(t, pool, cfg.Schema)
	flush(t, q)
}

// TestBulkEventThatBecomesLive: it does not wait for its job in the queue of bulk events, which is taken here, nor for the look for lost jobs.
func TestBulkEventThatBecomesLive(t *testing.T) {
	t.Parallel()
	var log lines
	cfg := riverqueue.Config{Schema: newSchema(t), Logger: log.logger()}
	q, pool := open(t, cfg)
	m := message(t, sale("1", "ann", 100))
	m.Bulk = true
	if err := q.Put(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	execSQL(t, pool, `UPDATE `+cfg.Schema+`.river_job SET state = 'running', attempt = 1, attempted_by = ARRAY['dead'], attempted_at = now()`)
	put(t, q, sale("2", "ann", 100))
	var r record
	start(t, q, r.deliver)
	flush(t, q)
	if log.count("lost their job") != 0 {
		t.Error("the event that became live got no job")
	}
}

// TestSetAsideUnderWay: a later event of its customer passes one that is set aside, also after another failure of it, but not
// while that is under way.
func TestSetAsideUnderWay(t *testing.T) {
	t.Parallel()
	var log lines
	cfg := riverqueue.Config{Schema: newSchema(t), Logger: log.logger()}
	q, pool := open(t, cfg)
	begun, release := make(chan string, 10), make(chan struct{})
	put(t, q, sale("1", "ann", 100))
	stop := start(t, q, func(_ context.Context, m fprom.Message) error {
		begun <- m.Key
		if m.Key == "sale:1" {
			<-release
			return &fprom.APIError{StatusCode: 503, RetryAfter: 15 * time.Minute}
		}
		return nil
	})
	<-begun
	execSQL(t, pool, `UPDATE `+cfg.Schema+`.fprom_ledger SET aside = true`)
	put(t, q, sale("2", "ann", 100))
	for _, id := range []string{"3", "4"} { // their jobs come after that of the second event
		put(t, q, sale(id, "ben"+id, 100))
		if key := <-begun; key != "sale:"+id {
			t.Errorf("%s is delivered while another event of its customer is", key)
		}
	}
	close(release)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := q.Flush(ctx); !errors.Is(err, fprom.ErrNotDue) || len(begun) != 1 {
		t.Errorf("Flush: %v after %d deliveries of the later event, want ErrNotDue and one", err, len(begun))
	}
	if log.count("lost their job") != 0 {
		t.Error("the event that may pass got no job")
	}
	stop()
	put(t, q, sale("5", "ann", 100))
	ctx, cancel = context.WithTimeout(t.Context(), time.Second/2)
	defer cancel()
	if err := q.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Flush: %v, although an event is due: it may pass the one that is set aside", err)
	}
}

// TestRedriveOfWhatWasSetAside: a dead letter that was set aside before it was rejected holds up later events of its customer again
// once it is redriven.
func TestRedriveOfWhatWasSetAside(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	put(t, q, sale("1", "ann", 100))
	execSQL(t, pool, `UPDATE `+cfg.Schema+`.fprom_ledger SET aside = true`)
	rejectAll(t, q)
	if n, err := q.Redrive(t.Context(), fprom.Filter{}); n != 1 || err != nil {
		t.Fatalf("Redrive: %d, %v", n, err)
	}
	put(t, q, sale("2", "ann", 100))
	r := record{answer: func(fprom.Message) error { return &fprom.APIError{StatusCode: 503, RetryAfter: 15 * time.Minute} }}
	start(t, q, r.deliver)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := q.Flush(ctx); !errors.Is(err, fprom.ErrNotDue) || r.count("sale:2") != 0 {
		t.Errorf("Flush: %v after %d deliveries of the later event, want ErrNotDue and none", err, r.count("sale:2"))
	}
}

// inTx runs a statement in a transaction that is rolled back at the end of the test.
func inTx(t *testing.T, pool *pgxpool.Pool, schema, sql string) pgx.Tx {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	if _, err := tx.Exec(t.Context(), strings.ReplaceAll(sql, "$s", schema)); err != nil {
		t.Fatal(err)
	}
	return tx
}

// TestClaimBesideAnOutcome: the job of an event that was put while the outcome of the one before is being stored waits for that outcome. If it
// ended, nothing would wake the event.
func TestClaimBesideAnOutcome(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	put(t, q, sale("1", "ann", 100))
	execSQL(t, pool, `SELECT "`+cfg.Schema+`".fprom_claim('sale:1', 60, false)`)
	outcome := inTx(t, pool, cfg.Schema, `SELECT "$s".fprom_settle('sale:1', generation, 'done', 'tracked', '', 200, 0, NULL, 1, false, 0) FROM "$s".fprom_ledger`)
	put(t, q, sale("2", "ann", 100))
	claims := make(chan int, 1)
	go func() {
		claims <- countRows(t, pool, `SELECT count(*) FROM "`+cfg.Schema+`".fprom_claim('sale:2', 60, false) WHERE claimed`)
	}()
	waitFor(t, "the claim to wait or to end", func() bool { return len(claims)+waiting(t, pool, cfg.Schema) == 1 })
	if err := outcome.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := <-claims; n != 1 {
		t.Error("the event was not claimed")
	}
}

// TestClaimOfACorrectedEvent: a dead letter is put again with another customer while an old job of it waits to claim it. The old job and the
// new one do not both deliver it.
func TestClaimOfACorrectedEvent(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	put(t, q, sale("1", "ann", 100))
	rejectAll(t, q)
	put(t, q, sale("2", "ann", 100))
	const claim = `SELECT count(*) FROM "$s".fprom_claim('sale:1', 60, false) WHERE claimed`
	other := inTx(t, pool, cfg.Schema, `SELECT "$s".fprom_lock('sale:2')`)
	claims := make(chan int, 1)
	go func() { claims <- countRows(t, pool, strings.ReplaceAll(claim, "$s", cfg.Schema)) }()
	waiters(t, pool, cfg.Schema, 1)
	put(t, q, sale("1", "ben", 100))
	byNewJob := inTx(t, pool, cfg.Schema, claim)
	if err := other.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the old job to wait for the new one", func() bool {
		return countRows(t, pool, `SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))`, int(byNewJob.Conn().PgConn().PID())) == 1
	})
	if err := byNewJob.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := <-claims; n != 0 {
		t.Error("the old job claimed the event beside the new one")
	}
}

// TestWakesPastADeadLetter: the outcome of an event wakes the next one of its customer at once, also where the customer has an older
// dead letter.
func TestWakesPastADeadLetter(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	r := record{answer: func(m fprom.Message) error {
		switch m.Key {
		case "sale:dead":
			return errRejected
		case "sale:first":
			<-held
		}
		return nil
	}}
	start(t, q, r.deliver)
	defer release()
	put(t, q, sale("dead", "ann", 1))
	flush(t, q)
	put(t, q, sale("first", "ann", 2))
	waitFor(t, "the first event to be under way", func() bool { return r.count("sale:first") == 1 })
	put(t, q, sale("next", "ann", 3))
	jobs := `SELECT count(*) FROM ` + cfg.Schema + `.river_job WHERE args->>'key' = 'sale:next'`
	waitFor(t, "the next event's job to end", func() bool { return countRows(t, pool, jobs+` AND finalized_at IS NOT NULL`) == 1 })
	release()
	waitFor(t, "the outcome of the first event", func() bool {
		return len(entriesOf(t, q, fprom.Filter{Keys: []string{"sale:first"}, State: fprom.StateDone})) == 1
	})
	if n := countRows(t, pool, jobs); n < 2 {
		t.Errorf("%d jobs of the next event, want another one", n)
	}
}
