package boltqueue_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
)

// TestKill lets a shop take checkouts, kills it with SIGKILL at random moments, and starts it again, while a part of
// FirstPromoter's answers is lost. Whatever a client was told to have bought must be tracked, and once. FPROM_KILLS is how often.
func TestKill(t *testing.T) {
	t.Parallel()
	kills := 25
	if s := os.Getenv("FPROM_KILLS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		kills = n
	}
	town := newTown(t)
	for i := range kills {
		c := town.launch("")
		if i%4 > 0 { // else it may be killed while it opens its outbox
			town.await(c, true)
		}
		time.Sleep(time.Duration(rand.IntN(120)) * time.Millisecond)
		town.kill(c)
	}
	town.settle(kills)
}

// TestKillAtFailpoints is TestKill at every step between two states of an event.
func TestKillAtFailpoints(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"before-commit", "committed", "stored", "leased", "sent", "answered", "acknowledged"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			town := newTown(t)
			const kills = 3
			for i := range kills {
				c := town.launch(fmt.Sprint(name, ":", 1+i*7))
				town.await(c, false)
				town.died(c)
			}
			town.settle(kills)
		})
	}
}

// TestTakeOver: a service that waits for the outbox has it when the one before was killed.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	town := newTown(t)
	c := town.launch("")
	town.await(c, true)
	killing, killed := make(chan struct{}), make(chan struct{})
	time.AfterFunc(300*time.Millisecond, func() {
		close(killing)
		town.kill(c)
		close(killed)
	})
	q, err := boltqueue.Open(town.file, boltqueue.WithWait(time.Minute), discard)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-killing:
	default:
		t.Error("the outbox was opened while the other service had it")
	}
	<-killed
	closeQueue(t, q)
	town.settle(1)
}

// town is a fake FirstPromoter, a shop, and clients who buy all the time.
type town struct {
	t       *testing.T
	fake    *fpromtest.Server
	file    string
	address atomic.Value // string; of the shop

	cancel  context.CancelFunc
	clients sync.WaitGroup
	mu      sync.Mutex
	asked   map[string]bool // event ids that a client bought
	success map[string]bool // and was told so
	refused int             // checkouts without success
}

func newTown(t *testing.T) *town {
	t.Helper()
	fake := fpromtest.NewServer(t, fpromtest.WithAllLeads(), fpromtest.WithRateLimit(1<<30))
	ctx, cancel := context.WithCancel(t.Context())
	w := &town{
		t: t, fake: fake, file: filepath.Join(t.TempDir(), "fprom.db"), cancel: cancel,
		asked: map[string]bool{}, success: map[string]bool{},
	}
	w.address.Store("")
	for i := range 4 {
		w.clients.Go(func() { w.shopping(ctx, i) })
	}
	t.Cleanup(func() { cancel(); w.clients.Wait() })
	return w
}

// shopping buys one thing after the other. Half of what failed is tried again, as a billing provider delivers again.
func (w *town) shopping(ctx context.Context, client int) {
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	for i := 0; ctx.Err() == nil; i++ {
		id := fmt.Sprintf("ch_%d_%d", client, i)
		w.mu.Lock()
		w.asked[id] = true
		w.mu.Unlock()
		for ctx.Err() == nil {
			ok := w.buy(ctx, transport, id, fmt.Sprintf("client%d.%d", client, i%3))
			w.mu.Lock()
			if ok {
				w.success[id] = true
			} else {
				w.refused++
			}
			w.mu.Unlock()
			if ok || rand.IntN(2) == 0 {
				break
			}
		}
	}
}

func (w *town) buy(ctx context.Context, transport http.RoundTripper, id, customer string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	shop := fmt.Sprintf("http://%s/checkout?id=%s&customer=%s&town=%s", w.address.Load(), id, customer, url.QueryEscape(w.file))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, shop, http.NoBody)
	if err != nil {
		time.Sleep(time.Millisecond) // there is no shop yet
		return false
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		time.Sleep(time.Millisecond)
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

type child struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout io.Reader
	stderr strings.Builder
}

// launch starts the shop.
func (w *town) launch(failpoint string) *child {
	w.t.Helper()
	c := &child{cmd: exec.CommandContext(w.t.Context(), os.Args[0])}
	cfg := w.fake.Config()
	c.cmd.Env = append(os.Environ(), envFile+"="+w.file, envURL+"="+cfg.BaseURL, envKey+"="+cfg.APIKey,
		envAccount+"="+cfg.AccountID, envFailpoint+"="+failpoint)
	c.cmd.Stderr = &c.stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	c.stdin, c.stdout = stdin, stdout
	return c
}

// await waits until the shop is open for business, or has died, which may be.
func (w *town) await(c *child, must bool) {
	w.t.Helper()
	line, err := bufio.NewReader(c.stdout).ReadString('\n')
	if err != nil && must {
		_ = c.cmd.Wait()
		w.t.Fatalf("the shop did not open: %v\n%s", err, c.stderr.String())
	}
	w.address.Store(strings.TrimSpace(line))
}

func (w *town) kill(c *child) {
	w.t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		w.t.Fatal(err)
	}
	w.died(c)
}

// died waits until the shop was killed.
func (w *town) died(c *child) {
	w.t.Helper()
	err := c.cmd.Wait()
	if c.cmd.ProcessState.ExitCode() != -1 {
		w.t.Fatalf("the shop ended by itself: %v\n%s", err, c.stderr.String())
	}
}

// bought is how many checkouts succeeded.
func (w *town) bought() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.success)
}

// settle starts the shop a last time, stops the shopping, lets the shop drain, and compares the clients' receipts with
// the journal of the fake.
func (w *town) settle(kills int) {
	w.t.Helper()
	c := w.launch("")
	w.await(c, true)
	for most, end := w.bought()+5, time.Now().Add(time.Minute); w.bought() < most && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	w.cancel()
	w.clients.Wait()
	if err := c.stdin.Close(); err != nil {
		w.t.Fatal(err)
	}
	if err := c.cmd.Wait(); err != nil {
		w.t.Fatalf("the shop's shutdown: %v\n%s", err, c.stderr.String())
	}
	tracked := map[string]int{}
	for _, c := range w.fake.Commissions() {
		tracked[c.EventID]++
	}
	lost, doubled, invented := 0, 0, 0
	for id := range w.success {
		if tracked[id] == 0 {
			lost++
		}
	}
	for id, n := range tracked {
		if n > 1 {
			doubled++
		}
		if !w.asked[id] {
			invented++
		}
	}
	w.t.Logf("%d kills: %d checkouts succeeded, %d did not; %d requests arrived, %d sales are tracked; %d lost, %d doubled",
		kills, len(w.success), w.refused, len(w.fake.Requests()), len(tracked), lost, doubled)
	if lost+doubled+invented > 0 || len(w.success) == 0 {
		w.t.Errorf("%d lost, %d doubled, %d never bought, of %d", lost, doubled, invented, len(w.success))
	}
	info, err := figures(w.file)
	if err != nil || info.Pending != 0 || info.Dead != 0 || info.Ledger != len(tracked) {
		w.t.Errorf("the drained outbox: %+v, %v; want nothing pending or dead, and %d ids in the ledger", info, err, len(tracked))
	}
}
