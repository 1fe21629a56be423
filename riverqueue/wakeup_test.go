package riverqueue_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// quick is a configuration in which lost events come back within seconds. A machine that stands still for less than Rescue changes nothing.
func quick(t *testing.T) riverqueue.Config {
	t.Helper()
	return riverqueue.Config{Schema: newSchema(t), Rescue: 15 * time.Second}
}

var errRejected = &fprom.APIError{StatusCode: 400, Message: "Error. Amount blank or invalid."}

// rejectAll makes dead letters of all events that wait.
func rejectAll(t *testing.T, q *riverqueue.Queue) {
	t.Helper()
	stop := start(t, q, func(context.Context, fprom.Message) error { return errRejected })
	flush(t, q)
	stop()
}

// operator is River's client as its UI and its CLI use it.
func operator(t *testing.T, pool *pgxpool.Pool, schema string) *river.Client[pgx.Tx] {
	t.Helper()
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func jobOf(t *testing.T, pool *pgxpool.Pool, schema, key string) (id int64) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), `SELECT max(id) FROM `+schema+`.river_job WHERE args->>'key' = $1`, key).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

// addJob makes one more job for an event.
func addJob(t *testing.T, pool *pgxpool.Pool, schema, key string) {
	t.Helper()
	execSQL(t, pool, `INSERT INTO `+schema+`.river_job (args, kind, max_attempts, queue) VALUES (jsonb_build_object('key', $1::text), 'fprom_event', 100, 'fprom')`, key)
}

// TestRetryOfAnOldJob: River's Retry on the job of a rejected event sends what stands in the ledger, which is the
// corrected event, and not what the job was made for.
func TestRetryOfAnOldJob(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	q, pool := open(t, cfg)
	r := record{answer: func(m fprom.Message) error {
		if amount, _ := m.Money(); amount != 4900 {
			return errRejected
		}
		return nil
	}}
	put(t, q, sale("1", "ann", 4_900_000))
	stop := start(t, q, r.deliver)
	flush(t, q)
	stop()
	old := jobOf(t, pool, cfg.Schema, "sale:1")
	put(t, q, sale("1", "ann", 4900))
	if _, err := operator(t, pool, cfg.Schema).JobRetry(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	start(t, q, r.deliver)
	flush(t, q)
	time.Sleep(300 * time.Millisecond)
	calls := r.of("sale:1")
	if len(calls) != 2 {
		t.Fatalf("%d deliveries, want the rejected one and that of the correction", len(calls))
	}
	if amount, _ := calls[1].Money(); amount != 4900 {
		t.Errorf("sent %d in place of the corrected 4900", amount)
	}
	if e := entriesOf(t, q, fprom.Filter{}); len(e) != 1 || e[0].State != fprom.StateDone || e[0].Amount != 4900 {
		t.Errorf("entries: %+v", e)
	}
}

// TestRetryOfADeadLetter: neither a retry by hand nor any other job sends a dead letter; Redrive does, and a retry beside it
// does not make it two.
func TestRetryOfADeadLetter(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	a, pool := open(t, cfg)
	b, _ := open(t, cfg)
	var mu sync.Mutex
	answer := error(errRejected)
	r := record{answer: func(fprom.Message) error {
		mu.Lock()
		defer mu.Unlock()
		if answer == nil {
			time.Sleep(100 * time.Millisecond)
		}
		return answer
	}}
	put(t, a, sale("1", "ann", 100))
	start(t, a, r.deliver)
	start(t, b, r.deliver)
	flush(t, a)
	client := operator(t, pool, cfg.Schema)
	old := jobOf(t, pool, cfg.Schema, "sale:1")
	ended := func() bool {
		return countRows(t, pool, `SELECT count(*) FROM `+cfg.Schema+`.river_job WHERE finalized_at IS NULL`) == 0
	}
	retry := func() {
		waitFor(t, "River to take the jobs for ended", ended)
		if _, err := client.JobRetry(t.Context(), old); err != nil {
			t.Fatal(err)
		}
	}
	retry()
	addJob(t, pool, cfg.Schema, "sale:1")
	waitFor(t, "the end of these jobs", ended)
	if n := r.count("sale:1"); n != 1 {
		t.Fatalf("%d deliveries of a dead letter that nobody has redriven, want 1", n)
	}
	mu.Lock()
	answer = nil
	mu.Unlock()
	if n, err := b.Redrive(t.Context(), fprom.Filter{}); n != 1 || err != nil {
		t.Fatalf("Redrive: %d, %v", n, err)
	}
	if _, err := client.JobRetry(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	flush(t, a)
	waitFor(t, "the end of the jobs", ended)
	if n := r.count("sale:1"); n != 2 || r.twice != 0 {
		t.Errorf("%d deliveries, %d at once; want 2, one after the other", n, r.twice)
	}
}

// TestLateOwner: a replica that was taken for dead ends its delivery after the event was rejected elsewhere and corrected.
// Its outcome is not that of the corrected event, also where the dead letter was dropped before.
func TestLateOwner(t *testing.T) {
	t.Parallel()
	for name, drop := range map[string]bool{"corrected": false, "dropped and corrected": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := riverqueue.Config{Schema: newSchema(t)}
			a, pool := open(t, cfg)
			release, begun := make(chan struct{}), make(chan struct{}, 1)
			late := sync.OnceFunc(func() { close(release) })
			put(t, a, sale("1", "ann", 4_900_000))
			// Its only worker is busy, so that the next job is for the other replica.
			stopA := startWith(t, a, 1, func(context.Context, fprom.Message) error {
				begun <- struct{}{}
				<-release
				return nil
			})
			t.Cleanup(late) // before the end of a's Run is waited for
			<-begun
			execSQL(t, pool, `UPDATE `+cfg.Schema+`.fprom_ledger SET claimed_until = now() - interval '1 second'`)
			addJob(t, pool, cfg.Schema, "sale:1")
			b, _ := open(t, cfg)
			r := record{answer: func(m fprom.Message) error {
				if amount, _ := m.Money(); amount != 4900 {
					return errRejected
				}
				if m.Attempt > 1 {
					return nil
				}
				late()
				stopA()
				return errors.New("this delivery fails")
			}}
			stopB := start(t, b, r.deliver)
			flush(t, b)
			stopB()
			if drop {
				if n, err := b.Drop(t.Context(), fprom.Filter{}); n != 1 || err != nil {
					t.Fatalf("Drop: %d, %v", n, err)
				}
			}
			put(t, b, sale("1", "ann", 4900))
			start(t, b, r.deliver)
			flush(t, b)
			if n := r.count("sale:1"); n != 3 {
				t.Errorf("%d deliveries by the other replica, want the rejected one and two of the correction, of which one fails", n)
			}
		})
	}
}

// TestLateFailure: a delivery by a replica that was taken for dead fails. That is no attempt of the delivery that has taken its
// place, and the event is not delivered again beside it.
func TestLateFailure(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	a, pool := open(t, cfg)
	b, _ := open(t, cfg)
	begun := make(chan string)
	release := map[*riverqueue.Queue]chan struct{}{a: make(chan struct{}), b: make(chan struct{})}
	owner := func(q *riverqueue.Queue, fails error) { // its only worker is busy until its release
		startWith(t, q, 1, func(_ context.Context, m fprom.Message) error {
			begun <- m.Key
			if m.Key != "sale:1" {
				return nil
			}
			<-release[q]
			return fails
		})
		if key := <-begun; key != "sale:1" {
			t.Fatalf("%s is delivered, want sale:1", key)
		}
	}
	put(t, a, sale("1", "ann", 100))
	owner(a, errors.New("this delivery fails"))
	execSQL(t, pool, `UPDATE `+cfg.Schema+`.fprom_ledger SET claimed_until = now() - interval '1 second'`)
	addJob(t, pool, cfg.Schema, "sale:1")
	owner(b, nil)
	put(t, a, sale("2", "ben", 100))
	close(release[a])
	if key := <-begun; key != "sale:2" { // by a, after it has stored the end of the first one
		t.Errorf("%s is delivered, want sale:2", key)
	}
	if es := entriesOf(t, b, fprom.Filter{Keys: []string{"1"}}); len(es) != 1 || es[0].Attempts != 0 || es[0].Reason != "" {
		t.Errorf("entries: %+v, want the event without an attempt", es)
	}
	close(release[b])
	flush(t, b)
	if es := entriesOf(t, b, fprom.Filter{Keys: []string{"1"}}); len(es) != 1 || es[0].Outcome != fprom.Tracked || es[0].Attempts != 1 {
		t.Errorf("entries: %+v, want the event tracked at once", es)
	}
}

// TestOutcomeStoredTwice: an outcome is stored again if the first answer of the database was lost. It is not that of an event
// that was redriven, or put again, meanwhile.
func TestOutcomeStoredTwice(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]func(*testing.T, *riverqueue.Queue){
		"redriven": func(t *testing.T, q *riverqueue.Queue) {
			t.Helper()
			if n, err := q.Redrive(t.Context(), fprom.Filter{}); n != 1 || err != nil {
				t.Fatalf("Redrive: %d, %v", n, err)
			}
		},
		"put again": func(t *testing.T, q *riverqueue.Queue) {
			t.Helper()
			put(t, q, sale("1", "ann", 200))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := riverqueue.Config{Schema: newSchema(t)}
			q, pool := open(t, cfg)
			put(t, q, sale("1", "ann", 100))
			generation := countRows(t, pool, `SELECT (event).generation FROM `+cfg.Schema+`.fprom_claim('sale:1', 60, false)`)
			settle := func(want fprom.State) {
				t.Helper()
				execSQL(t, pool, `SELECT `+cfg.Schema+`.fprom_settle('sale:1', $1, 'dead', 'rejected', 'wrong', 400, 0, NULL, 1, false, 0)`, generation)
				if es := entriesOf(t, q, fprom.Filter{}); len(es) != 1 || es[0].State != want {
					t.Fatalf("entries: %+v, want one that is %s", es, want)
				}
			}
			settle(fprom.StateDead)
			again(t, q)
			settle(fprom.StateWaiting)
		})
	}
}

// TestJobsEndedByHand: whatever is done to a job in River, its event is delivered, whole and once.
func TestJobsEndedByHand(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(ctx context.Context, c *river.Client[pgx.Tx], pool *pgxpool.Pool, schema string, id int64) error
	}{
		{"deleted", func(ctx context.Context, c *river.Client[pgx.Tx], _ *pgxpool.Pool, _ string, id int64) error {
			_, err := c.JobDelete(ctx, id)
			return err
		}},
		{"cancelled", func(ctx context.Context, c *river.Client[pgx.Tx], _ *pgxpool.Pool, _ string, id int64) error {
			_, err := c.JobCancel(ctx, id)
			return err
		}},
		{"discarded", func(ctx context.Context, _ *river.Client[pgx.Tx], pool *pgxpool.Pool, schema string, id int64) error {
			_, err := pool.Exec(ctx, `UPDATE `+schema+`.river_job SET state = 'discarded', finalized_at = now() WHERE id = $1`, id)
			return err
		}},
		{"all deleted", func(ctx context.Context, _ *river.Client[pgx.Tx], pool *pgxpool.Pool, schema string, _ int64) error {
			_, err := pool.Exec(ctx, `DELETE FROM `+schema+`.river_job`)
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := quick(t)
			q, pool := open(t, cfg)
			first, next := message(t, sale("1", "ann", 100)), message(t, sale("2", "ann", 200))
			if err := q.Put(t.Context(), first, next); err != nil {
				t.Fatal(err)
			}
			if err := tt.do(t.Context(), operator(t, pool, cfg.Schema), pool, cfg.Schema, jobOf(t, pool, cfg.Schema, "sale:1")); err != nil {
				t.Fatal(err)
			}
			var r record
			start(t, q, r.deliver)
			flush(t, q)
			for i, m := range r.calls {
				if want := []fprom.Message{first, next}[i%2]; m.Key != want.Key || string(m.Body) != string(want.Body) {
					t.Errorf("delivery %d: %+v, want %+v", i+1, m, want)
				}
			}
			if len(r.calls) != 2 {
				t.Errorf("%d deliveries, want 2", len(r.calls))
			}
		})
	}
}

// TestDoubledJobs: many jobs for each event make one delivery at a time, as many as without, and counted as such.
func TestDoubledJobs(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	q, pool := open(t, cfg)
	failed := map[string]int{}
	var mu sync.Mutex
	r := record{answer: func(m fprom.Message) error {
		mu.Lock()
		defer mu.Unlock()
		time.Sleep(5 * time.Millisecond)
		if failed[m.Key]++; failed[m.Key] < 3 {
			return errors.New("this delivery fails")
		}
		return nil
	}}
	for i := range 8 {
		m := message(t, sale(strconv.Itoa(i), "customer"+strconv.Itoa(i%4), 100))
		if i%4 == 0 {
			m.Customer = "" // no event of a customer keeps it from a second delivery
		}
		if err := q.Put(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			addJob(t, pool, cfg.Schema, "sale:"+strconv.Itoa(i))
		}
	}
	start(t, q, r.deliver)
	flush(t, q)
	for _, e := range entriesOf(t, q, fprom.Filter{}) {
		if n := r.count(e.Key); n != 3 || e.Attempts != 3 {
			t.Errorf("%s: %d deliveries, %d attempts; want 3", e.Key, n, e.Attempts)
		}
	}
	if r.twice != 0 {
		t.Errorf("%d deliveries began while another of the same event was under way", r.twice)
	}
}

// TestOneJobEach: the look for lost jobs makes none for an event that has one.
func TestOneJobEach(t *testing.T) {
	t.Parallel()
	var log lines
	cfg := riverqueue.Config{Schema: newSchema(t), Logger: log.logger()}
	q, pool := open(t, cfg)
	put(t, q, sale("1", "ann", 100), sale("2", "ben", 100))
	putBulk(t, q, 2)
	startWith(t, q, 1, func(ctx context.Context, _ fprom.Message) error {
		<-ctx.Done()
		return ctx.Err()
	})
	time.Sleep(2 * time.Second) // the first look is within a second
	if n := countRows(t, pool, `SELECT count(*) FROM `+cfg.Schema+`.river_job`); n != 4 || log.count("lost their job") != 0 {
		t.Errorf("%d jobs of 4 events:\n%s", n, strings.Join(log.all(), "\n"))
	}
}

// TestEarlyJob: a job that comes before the time of the next attempt waits for it.
func TestEarlyJob(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	q, pool := open(t, cfg)
	times := make(chan time.Time, 10)
	start(t, q, func(_ context.Context, m fprom.Message) error {
		times <- time.Now()
		if m.Attempt == 1 {
			return &fprom.APIError{StatusCode: 503, RetryAfter: 2 * time.Second}
		}
		return nil
	})
	put(t, q, sale("1", "ann", 100))
	first := <-times
	addJob(t, pool, cfg.Schema, "sale:1")
	if d := (<-times).Sub(first); d < 2*time.Second {
		t.Errorf("tried again after %v, FirstPromoter asked for 2 s", d)
	}
	flush(t, q)
	if n := jobs(t, pool, cfg.Schema); n != 3 {
		t.Errorf("%d jobs, want 3: of the sale, of its second attempt, and the early one", n)
	}
}

// TestRescue: what a process had in hand when it died is delivered after Config.Rescue, and not before.
func TestRescue(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	q, pool := open(t, cfg)
	put(t, q, sale("1", "ann", 100), sale("2", "ann", 100))
	begun := time.Now()
	// As a process that is killed leaves them behind.
	execSQL(t, pool, `UPDATE `+cfg.Schema+`.river_job SET state = 'running', attempt = 1, attempted_by = ARRAY['dead'], attempted_at = now() - interval '12.5 seconds' WHERE args->>'key' = 'sale:1'`)
	execSQL(t, pool, `UPDATE `+cfg.Schema+`.fprom_ledger SET generation = 1, claimed_until = now() + interval '2.5 seconds' WHERE key = 'sale:1'`)
	var r record
	start(t, q, r.deliver)
	flush(t, q)
	if d := time.Since(begun); d < 2500*time.Millisecond {
		t.Errorf("delivered after %v, while its owner may still be at it", d)
	}
	if r.count("sale:1") != 1 || r.count("sale:2") != 1 {
		t.Errorf("deliveries: %+v", r.calls)
	}
}

// TestBusyPool: an application that takes every connection for a while delays the end of a delivery and does not double it.
func TestBusyPool(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	a, pool := open(t, cfg)
	b, _ := open(t, cfg)
	begun, release := make(chan struct{}, 10), make(chan struct{})
	r := record{answer: func(fprom.Message) error {
		begun <- struct{}{}
		<-release
		return nil
	}}
	put(t, a, sale("1", "ann", 100), sale("2", "ann", 100))
	start(t, a, r.deliver)
	<-begun
	start(t, b, r.deliver)
	var conns []*pgxpool.Conn
	for range pool.Config().MaxConns {
		c, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	close(release)
	time.Sleep(3 * time.Second)
	for _, c := range conns {
		c.Release()
	}
	flush(t, b)
	if r.count("sale:1") != 1 || r.count("sale:2") != 1 || r.twice != 0 {
		t.Errorf("deliveries: %+v", r.calls)
	}
}
