package riverqueue_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/riverqueue"
)

// shop is three replica processes and what they share.
type shop struct {
	t      *testing.T
	fake   *fpromtest.Server
	pool   *pgxpool.Pool
	env    []string
	addrs  []string
	client *http.Client

	mu    sync.Mutex
	procs []*exec.Cmd
}

func newShop(t *testing.T, fake *fpromtest.Server, dbURL string, limit int) *shop {
	t.Helper()
	schema := "kill_" + strconv.FormatInt(time.Now().UnixMilli(), 10)
	dbURL = withQuery(t, dbURL, "search_path", schema)
	pool := newPool(t, dbURL)
	t.Cleanup(pool.Close)
	q, err := riverqueue.New(pool, riverqueue.Config{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `CREATE TABLE shop_order (id text PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := pool.Exec(context.Background(), `DROP SCHEMA `+schema+` CASCADE`); err != nil {
			t.Error(err)
		}
	})
	s := &shop{t: t, fake: fake, pool: pool, procs: make([]*exec.Cmd, 3), client: &http.Client{Timeout: 5 * time.Second}}
	for range s.procs {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.addrs = append(s.addrs, l.Addr().String())
		l.Close()
	}
	s.env = append(os.Environ(), "FPROM_TEST_ROLE=replica", "FPROM_TEST_DATABASE="+dbURL, "FPROM_TEST_SCHEMA="+schema,
		"FPROM_TEST_LIMIT="+strconv.Itoa(limit), "FIRSTPROMOTER_API_URL="+fake.URL, "FIRSTPROMOTER_API_KEY="+fake.APIKey,
		"FIRSTPROMOTER_ACCOUNT_ID="+fake.AccountID)
	t.Cleanup(s.terminate)
	return s
}

func (s *shop) startReplica(i int) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(slices.Clone(s.env), "FPROM_TEST_LISTEN="+s.addrs[i])
	var out bytes.Buffer
	if os.Getenv("FPROM_KILL_LOG") != "" {
		cmd.Stderr = os.Stderr
	} else {
		cmd.Stderr = &out
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := cmd.Start(); err != nil {
		s.t.Errorf("start replica %d: %v", i, err)
		return
	}
	s.procs[i] = cmd
}

// stopReplica signals replica i and waits for its end.
func (s *shop) stopReplica(i int, sig os.Signal) {
	s.mu.Lock()
	cmd := s.procs[i]
	s.procs[i] = nil
	s.mu.Unlock()
	if cmd == nil {
		return
	}
	if sig == syscall.SIGTERM { // before it serves it may not yet catch the signal
		s.awaitReplica(i)
	}
	_ = cmd.Process.Signal(sig)
	if err := cmd.Wait(); err != nil && sig == syscall.SIGTERM {
		s.t.Errorf("replica %d after SIGTERM: %v\n%s", i, err, cmd.Stderr)
	}
}

// awaitReplica waits until replica i serves.
func (s *shop) awaitReplica(i int) {
	for range 1200 {
		c, err := net.DialTimeout("tcp", s.addrs[i], time.Second)
		if err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Errorf("replica %d does not serve", i)
}

func (s *shop) terminate() {
	var wg sync.WaitGroup
	for i := range s.addrs {
		wg.Go(func() { s.stopReplica(i, syscall.SIGTERM) })
	}
	wg.Wait()
}

func (s *shop) killReplicas(ctx context.Context, kills *atomic.Int64) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(5000+rand.IntN(3000)) * time.Millisecond):
		}
		i := rand.IntN(len(s.addrs))
		s.stopReplica(i, syscall.SIGKILL)
		kills.Add(1)
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
		s.startReplica(i)
	}
}

func eventID(buyer, n int) string { return fmt.Sprintf("ch_%d_%d", buyer, n) }

func email(buyer int) string { return fmt.Sprintf("buyer%d@example.com", buyer) }

func price(buyer, n int) int64 { return int64(1000 + 10*buyer + n) }

// buy pays n times, one after the other. The provider sends each webhook to two replicas at once, and again until both
// have answered 200.
func (s *shop) buy(buyer, n int) {
	for i := range n {
		form := url.Values{"id": {eventID(buyer, i)}, "email": {email(buyer)}, "amount": {strconv.FormatInt(price(buyer, i), 10)}}
		if (buyer+i)%2 == 0 {
			form.Set("tx", "1")
		}
		first := rand.IntN(len(s.addrs))
		var both sync.WaitGroup
		for k := range 2 {
			both.Go(func() {
				for to := first + k; !s.send(s.addrs[to%len(s.addrs)], form); to++ {
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		both.Wait()
	}
}

func (s *shop) send(addr string, form url.Values) bool {
	resp, err := s.client.PostForm("http://"+addr+"/webhook", form)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (s *shop) count(sql string) (n int, err error) {
	err = s.pool.QueryRow(context.Background(), sql).Scan(&n)
	return n, err
}
