package riverqueue_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/postgres"
)

// TestKill is the proof that nothing is lost and nothing doubled when replicas are killed, PostgreSQL crashes and
// FirstPromoter misbehaves. FPROM_KILL_LIMIT and FPROM_KILL_SALES make it longer: the limit is per minute, and there
// should be more sales than that.
func TestKill(t *testing.T) {
	t.Parallel()
	limit, sales := intEnv(t, "FPROM_KILL_LIMIT", 600), intEnv(t, "FPROM_KILL_SALES", 512)
	const buyers = 64
	server, dbURL := ownServer(t)
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(limit), fpromtest.WithAllLeads())
	fake.Inject(
		fpromtest.Status(429).RetryAfter("1").Chance(0.01),
		fpromtest.Status(500).AfterProcessing().Chance(0.04),
		fpromtest.Reset().AfterProcessing().Chance(0.02),
		fpromtest.Reset().Chance(0.02),
		fpromtest.Status(503).Chance(0.01),
	)
	s := newShop(t, fake, dbURL, limit)
	for i := range s.addrs {
		s.startReplica(i)
	}
	trouble, enough := context.WithCancel(t.Context())
	var troubles sync.WaitGroup
	var kills, crashes atomic.Int64
	troubles.Go(func() { s.killReplicas(trouble, &kills) })
	troubles.Go(func() { crashPostgres(trouble, t, server, &crashes) })

	var bought sync.WaitGroup
	for b := range buyers {
		bought.Go(func() { s.buy(b, sales/buyers) })
	}
	bought.Wait()
	s.waitSettled(3*time.Minute + time.Duration(2*sales)*time.Minute/time.Duration(limit))
	enough()
	troubles.Wait()
	s.waitSettled(time.Minute)
	s.terminate()
	s.verify(buyers, sales/buyers, limit)
	t.Logf("%d sales, %d calls, at most %d in a minute of %d allowed; %d replicas killed, PostgreSQL crashed %d times",
		sales, len(fake.Requests()), fake.MaxInWindow(time.Minute), limit, kills.Load(), crashes.Load())
	if kills.Load() < 3 {
		t.Errorf("only %d replicas were killed: too few to prove anything", kills.Load())
	}
}

func intEnv(t *testing.T, name string, n int) int {
	t.Helper()
	if s := os.Getenv(name); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return n
}

// ownServer starts a PostgreSQL that may be crashed. Where FPROM_TEST_POSTGRES is set and there are no programs to start
// one, that is used and not crashed: server is nil.
func ownServer(t *testing.T) (server *postgres.Server, url string) {
	t.Helper()
	server, err := postgres.Start(t.Context(), "max_connections=200")
	if errors.Is(err, postgres.ErrMissing) && os.Getenv("FPROM_TEST_POSTGRES") != "" {
		return nil, database
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server, server.URL
}

func crashPostgres(ctx context.Context, t *testing.T, server *postgres.Server, crashes *atomic.Int64) {
	t.Helper()
	for server != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(25 * time.Second):
		}
		if err := server.Crash(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if err := server.Continue(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
			return
		}
		crashes.Add(1)
	}
}

// waitSettled waits until the ledger has no open event.
func (s *shop) waitSettled(patience time.Duration) {
	s.t.Helper()
	for end := time.Now().Add(patience); ; {
		n, err := s.count(`SELECT count(*) FROM fprom_ledger WHERE settled_at IS NULL`)
		if err == nil && n == 0 {
			return
		}
		if time.Now().After(end) {
			var open string
			_ = s.pool.QueryRow(context.Background(), `SELECT string_agg(concat_ws(' ', key, 'attempts', attempts, 'claimed until', claimed_until, 'next', next_attempt,
				'jobs', (SELECT string_agg(state::text, ',') FROM river_job WHERE args->>'key' = key), reason), E'\n') FROM fprom_ledger WHERE settled_at IS NULL`).Scan(&open)
			s.t.Fatalf("%d events have no outcome after %v (%v); at %s:\n%s", n, patience, err, time.Now().Format(time.RFC3339), open)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// verify reads the fake's journal and the database.
func (s *shop) verify(buyers, each, limit int) {
	s.t.Helper()
	commissions := map[string][]int64{}
	order := map[string][]string{}
	for _, c := range s.fake.Commissions() {
		commissions[c.EventID] = append(commissions[c.EventID], c.SaleAmount)
		order[c.Customer] = append(order[c.Customer], c.EventID)
	}
	var lost, doubled, wrong []string
	for b := range buyers {
		var want []string
		for i := range each {
			id := eventID(b, i)
			want = append(want, id)
			switch got := commissions[id]; {
			case len(got) == 0:
				lost = append(lost, id)
			case len(got) > 1:
				doubled = append(doubled, id)
			case got[0] != price(b, i):
				wrong = append(wrong, id)
			}
		}
		if got := order[email(b)]; !slices.Equal(got, want) {
			s.t.Errorf("sales of %s arrived as %v, want %v", email(b), got, want)
		}
	}
	if len(lost)+len(doubled)+len(wrong) > 0 || len(commissions) != buyers*each {
		s.t.Errorf("lost: %v; doubled: %v; with a wrong amount: %v; %d commissions, want %d", lost, doubled, wrong, len(commissions), buyers*each)
	}
	for sql, want := range map[string]int{
		`SELECT count(*) FROM fprom_ledger WHERE state = 'done'`:  buyers * each,
		`SELECT count(*) FROM fprom_ledger WHERE state <> 'done'`: 0,
		`SELECT count(*) FROM shop_order`:                         buyers * each,
	} {
		if n, err := s.count(sql); err != nil || n != want {
			s.t.Errorf("%s: %d, %v; want %d", sql, n, err, want)
		}
	}
	if most := s.fake.MaxInWindow(time.Minute); most > limit {
		s.t.Errorf("%d calls within a minute, want at most %d", most, limit)
	}
	for _, r := range s.fake.Requests() {
		if r.Status == http.StatusTooManyRequests && !strings.HasPrefix(r.Fault, "status 429") {
			s.t.Errorf("%s: the fake's own limit was met", r.EventID)
		}
	}
}
