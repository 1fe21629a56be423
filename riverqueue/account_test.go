package riverqueue_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/riverqueue"
)

// TestAdmitSharesTheLimit: three replicas that are all in a hurry.
func TestAdmitSharesTheLimit(t *testing.T) {
	t.Parallel()
	const perMinute = 600
	cfg := riverqueue.Config{Schema: newSchema(t)}
	var queues [3]*riverqueue.Queue
	for i := range queues {
		queues[i], _ = open(t, cfg)
	}
	begun := time.Now()
	var mu sync.Mutex
	var admitted []time.Time
	most := 0 // in 4 s
	const least = 4 * perMinute / 60 * 3 / 4
	for try := 0; try < 5 && most < least; try++ { // a busy machine does not get to use the limit in some of them
		before := len(admitted)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		var wg sync.WaitGroup
		for _, q := range queues {
			for range 4 {
				wg.Go(func() {
					for q.Admit(ctx, perMinute) == nil {
						mu.Lock()
						admitted = append(admitted, time.Now())
						mu.Unlock()
					}
				})
			}
		}
		wg.Wait()
		cancel()
		most = max(most, len(admitted)-before)
	}
	slices.SortFunc(admitted, time.Time.Compare)
	if most < least {
		t.Errorf("%d calls in 4 s, want at least %d: the limit is not used", most, least)
	}
	for n, at := range admitted { // since the begin: a busy machine learns of some calls late, and so of several at once
		if d := at.Sub(begun); n >= 3 && d < time.Duration(n-3)*time.Minute/perMinute {
			t.Errorf("call %d after %v, want at most %d a second", n+1, d, perMinute/60)
		}
	}
}

// TestAdmitAfterIdle: an account that made no call for long has a fortieth of its limit to spare, and no more.
func TestAdmitAfterIdle(t *testing.T) {
	t.Parallel()
	const perMinute, spare, calls = 600, 15, 40
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	var begun time.Time
	for i := range calls + 1 {
		if err := q.Admit(t.Context(), perMinute); err != nil {
			t.Fatal(err)
		}
		if i == 0 { // an hour later, as the row knows it
			begun = time.Now()
			execSQL(t, pool, `UPDATE `+cfg.Schema+`.fprom_account SET next_slot = next_slot - interval '1 hour'`)
		}
	}
	const apart = 62 * time.Second * 100 / (95 * perMinute)
	if d := time.Since(begun); d < (calls-1-spare)*apart-50*time.Millisecond {
		t.Errorf("%d calls in %v after an hour without one, want %d at once and then one in %v", calls, d, spare+1, apart)
	}
}

// TestAdmitAtOnce: of two replicas that ask at the same moment the second waits for the first, and gets the call after its one.
func TestAdmitAtOnce(t *testing.T) {
	t.Parallel()
	const perMinute = 30
	const apart = 62 * time.Second * 100 / (95 * perMinute)
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	if err := q.Admit(t.Context(), perMinute); err != nil {
		t.Fatal(err)
	}
	execSQL(t, pool, `UPDATE `+cfg.Schema+`.fprom_account SET next_slot = '-infinity'`)
	begun := time.Now()
	second := make(chan error, 1)
	if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `SELECT FROM `+cfg.Schema+`.fprom_admit($1, $1, false)`, perMinute)
		go func() { second <- q.Admit(t.Context(), perMinute) }()
		waiters(t, pool, cfg.Schema, 1)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := <-second; err != nil || time.Since(begun) < apart-50*time.Millisecond {
		t.Errorf("two calls in %v, want %v between them: %v", time.Since(begun), apart, err)
	}
}

// TestAdmitLifted: a limit that nobody reaches must not be one.
func TestAdmitLifted(t *testing.T) {
	t.Parallel()
	q, _ := open(t, riverqueue.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	begun := time.Now()
	for range 200 {
		if err := q.Admit(ctx, 1_000_000_000); err != nil {
			t.Fatalf("after %v: %v", time.Since(begun), err)
		}
	}
}

// TestCallsOfTheLastMinute: Stats knows the calls of all replicas, and those of the last minute alone.
func TestCallsOfTheLastMinute(t *testing.T) {
	t.Parallel()
	var log lines
	cfg := riverqueue.Config{Schema: newSchema(t), Logger: log.logger()}
	a, pool := open(t, cfg)
	b, _ := open(t, cfg)
	// A call that the database gave, while this machine stood still for longer than the answer may take, is counted and given again.
	again := func() bool { return log.count("wait for the rate limit") > 0 }
	calls := func() int {
		t.Helper()
		s, err := b.Stats(t.Context())
		if err != nil || s.LastMinute == nil {
			t.Fatalf("Stats: %+v, %v", s, err)
		}
		return *s.LastMinute
	}
	if n := calls(); n != 0 {
		t.Errorf("%d calls before the first", n)
	}
	for range 50 {
		if err := a.Admit(t.Context(), 3000); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Admit(t.Context(), 3000); err != nil {
		t.Fatal(err)
	}
	if n := calls(); n < 51 || n > 51 && !again() {
		t.Errorf("%d calls, want 51", n)
	}
	// A minute with seven calls in each second has passed, as the row knows it.
	execSQL(t, pool, `UPDATE `+cfg.Schema+`.fprom_account SET calls = array_fill((extract(epoch FROM now())::bigint - 61) * 1000000 + 7, ARRAY[60])`)
	if n := calls(); n != 0 {
		t.Errorf("%d calls of the last minute, want 0: they are older", n)
	}
	if err := b.Admit(t.Context(), 3000); err != nil {
		t.Fatal(err)
	}
	if n := calls(); n < 1 || n > 1 && !again() {
		t.Errorf("%d calls of the last minute, want 1", n)
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	a, _ := open(t, cfg)
	b, _ := open(t, cfg)
	ctx := t.Context()
	if err := b.Admit(ctx, 600); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := a.Pause(ctx, 3*time.Second, fprom.ErrUnauthorized); err != nil {
		t.Fatal(err)
	}
	if err := a.Pause(ctx, time.Millisecond, fprom.ErrUnauthorized); err != nil { // does not shorten it
		t.Fatal(err)
	}
	if err := b.Admit(ctx, 600); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begun); d < 3*time.Second {
		t.Errorf("admitted %v after the begin of a pause of 3 s", d)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // a call is allowed
	for range 10 {
		if err := a.Admit(ctx, 600); !errors.Is(err, fprom.ErrQueueClosed) {
			t.Fatalf("Admit after Close: %v", err)
		}
	}
	if err := b.Pause(ctx, 10*time.Minute, fprom.ErrUnauthorized); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if err := b.Admit(short, 600); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Admit in a pause: %v, want the context's error", err)
	}
}

// fleet is n Trackers in front of one schema and one fake.
func fleet(t *testing.T, n int, fake *fpromtest.Server, change func(*fprom.Config)) (trackers []*fprom.Tracker, queues []*riverqueue.Queue) {
	t.Helper()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	for range n {
		q, _ := open(t, cfg)
		c := fake.Config()
		c.Queue, c.RequestsPerMinute, c.Burst, c.Logger = q, 60_000, 1000, slog.New(slog.DiscardHandler)
		if change != nil {
			change(&c)
		}
		tracker, err := fprom.New(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := tracker.Shutdown(ctx); err != nil {
				t.Error(err)
			}
		})
		trackers, queues = append(trackers, tracker), append(queues, q)
	}
	return trackers, queues
}

// enqueue tries until the events are stored: a Tracker waits for a slow machine's database for a second only.
func enqueue(t *testing.T, tracker *fprom.Tracker, events ...fprom.Event) {
	t.Helper()
	waitFor(t, "the events to be stored", func() bool {
		err := tracker.Enqueue(t.Context(), events...)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		return err == nil
	})
}

// pauses notes the pauses of all replicas, and the calls that were allowed. The fields of each are the times before and after.
type pauses struct {
	mu     sync.Mutex
	paused []pausing
	calls  []allowed
}

type pausing struct {
	before, after time.Time
	d             time.Duration
}

type allowed struct{ asked, got time.Time }

// pausable is a queue whose pauses are noted.
type pausable struct {
	*riverqueue.Queue

	noted *pauses
}

func (p pausable) Pause(ctx context.Context, d time.Duration, reason error) error {
	before := time.Now()
	err := p.Queue.Pause(ctx, d, reason)
	p.noted.mu.Lock()
	defer p.noted.mu.Unlock()
	if err == nil {
		p.noted.paused = append(p.noted.paused, pausing{before, time.Now(), d})
	}
	return err
}

func (p pausable) Admit(ctx context.Context, perMinute int) error {
	asked := time.Now()
	err := p.Queue.Admit(ctx, perMinute)
	p.noted.mu.Lock()
	defer p.noted.mu.Unlock()
	if err == nil {
		p.noted.calls = append(p.noted.calls, allowed{asked, time.Now()})
	}
	return err
}

// begun is the number of pauses.
func (p *pauses) begun() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.paused)
}

// TestOnePauseForAll: an answer that one replica gets stops all of them, and one call at a time tries again.
func TestOnePauseForAll(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault fpromtest.Fault
		pause time.Duration
	}{
		{"429", fpromtest.Status(http.StatusTooManyRequests).RetryAfter("4").Times(1), 4 * time.Second},
		{"401", fpromtest.Status(http.StatusUnauthorized).Times(1), time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
			fake.Inject(fpromtest.Delay(20*time.Millisecond).Times(30), tt.fault)
			var noted pauses
			trackers, _ := fleet(t, 3, fake, func(c *fprom.Config) { c.Queue = pausable{c.Queue.(*riverqueue.Queue), &noted} })
			const sales = 100
			for i := range sales {
				if i == 70 { // the others are put in the pause
					waitFor(t, "the pause", func() bool { return noted.begun() > 0 })
				}
				enqueue(t, trackers[i%3], sale(strconv.Itoa(i), "buyer"+strconv.Itoa(i), 100))
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for _, tracker := range trackers {
				if err := tracker.Flush(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(fake.Commissions()); n != sales {
				t.Errorf("%d commissions, want %d", n, sales)
			}
			noted.mu.Lock()
			defer noted.mu.Unlock()
			if n, p := len(noted.paused), noted.paused[0]; n != 1 || p.d < tt.pause-time.Second/10 {
				t.Fatalf("%d pauses, the first of %v; want one of %v", n, p.d, tt.pause)
			}
			p := noted.paused[0]
			inPause, inProbe := 0, 0
			for _, call := range noted.calls {
				switch end := p.before.Add(p.d); {
				case call.asked.Before(p.after): // perhaps allowed before the pause
				case call.got.Before(end):
					inPause++
					t.Logf("a call was allowed %v after the begin of the pause", call.got.Sub(p.before))
				case call.got.Before(end.Add(2 * time.Millisecond)):
					inProbe++
				}
			}
			if inPause > 0 || inProbe > 1 {
				t.Errorf("%d calls in the pause, %d at once after it; want none and at most 1", inPause, inProbe)
			}
		})
	}
}

// TestRefusedKey: while the key is refused few calls are made, nothing becomes a dead letter, and all is delivered
// afterwards.
func TestRefusedKey(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
	refused := fake.Inject(fpromtest.Status(http.StatusUnauthorized).For(4 * time.Second))
	trackers, queues := fleet(t, 3, fake, nil)
	const sales = 60
	for i := range sales {
		enqueue(t, trackers[i%3], sale(strconv.Itoa(i), "buyer"+strconv.Itoa(i), 100))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := trackers[0].Flush(ctx); err != nil {
		t.Fatal(err)
	}
	// The first calls of three replicas with four workers each, and one probe per second and replica after that.
	if n := refused.Hits(); n > 12+3*5 {
		t.Errorf("%d calls with a refused key in 4 s", n)
	}
	s, err := queues[1].Stats(ctx)
	if err != nil || s.Dead != 0 || s.Pending != 0 || s.Ledger != sales {
		t.Errorf("Stats: %+v, %v; want no dead letter, nothing pending, %d in the ledger", s, err, sales)
	}
	if n := len(fake.Commissions()); n != sales {
		t.Errorf("%d commissions, want %d", n, sales)
	}
}

// TestProbesGoOn: many events wait for the rate limit when the account is paused. They do not take the probes' place.
func TestProbesGoOn(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
	refused := fake.Inject(fpromtest.Status(http.StatusForbidden))
	q, _ := open(t, riverqueue.Config{Schema: newSchema(t)})
	c := fake.Config()
	c.Queue, c.RequestsPerMinute, c.Workers, c.Logger = q, 400, 16, slog.New(slog.DiscardHandler)
	tracker, err := fprom.New(c)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for i := range 40 {
		enqueue(t, tracker, sale(strconv.Itoa(i), "buyer"+strconv.Itoa(i), 100))
	}
	waitFor(t, "3 refusals, some seconds for those that wait, one probe a second", func() bool { return refused.Hits() >= 7 })
	if n, d := refused.Hits(), time.Since(begun); n > 5+int(d/time.Second) {
		t.Errorf("%d calls in %v, want one a second", n, d)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := tracker.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}
