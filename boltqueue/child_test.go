package boltqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/nethttpadapter"
)

// The environment of a child: the shop that is killed.
const (
	envFile      = "FPROM_CHILD_FILE" // its outbox; set: this process is a child
	envURL       = "FPROM_CHILD_URL"  // the fake FirstPromoter
	envKey       = "FPROM_CHILD_KEY"
	envAccount   = "FPROM_CHILD_ACCOUNT"
	envFailpoint = "FPROM_CHILD_FAILPOINT" // "name:n": it kills itself the nth time it is there; empty: never
)

// envFull makes a child fill its disk. fillDisk does it, where a disk can be limited.
const envFull = "FPROM_FULL_DIR"

var fillDisk func(dir string) error

// envCheck makes a child check a file with bbolt.
const envCheck = "FPROM_CHECK_FILE"

func TestMain(m *testing.M) {
	var err error
	path, dir, check := os.Getenv(envFile), os.Getenv(envFull), os.Getenv(envCheck)
	switch {
	case path != "":
		err = shop(path)
	case dir != "":
		err = fillDisk(dir)
	case check != "":
		err = checkWithBolt(check)
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
}

// failpointAt returns what kills this process with SIGKILL the nth time that it is called with name.
func failpointAt(spec string) func(name string) {
	name, n, _ := strings.Cut(spec, ":")
	after, _ := strconv.Atoi(n)
	var hits atomic.Int64
	return func(at string) {
		if at == name && hits.Add(1) == int64(after) {
			if self, err := os.FindProcess(os.Getpid()); err == nil {
				_ = self.Kill()
			}
			select {} // not one step further
		}
	}
}

// lossy loses some answers, and is the failpoint between FirstPromoter's answer and the Tracker. It loses the first answer to
// an event only: one that failed more often than the others would wait for minutes.
type lossy struct {
	http.RoundTripper
	hit      func(name string)
	answered sync.Map // bodies
}

func (t *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := r.GetBody()
	if err != nil {
		return nil, err
	}
	event, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	res, err := t.RoundTripper.RoundTrip(r)
	t.hit("sent")
	if _, again := t.answered.LoadOrStore(string(event), true); !again && err == nil && rand.IntN(5) == 0 {
		return nil, errors.Join(errors.New("the answer is lost"), res.Body.Close())
	}
	return res, err
}

// shop takes checkouts, prints its address, and shuts down when its standard input ends.
func shop(path string) error {
	hit := failpointAt(os.Getenv(envFailpoint))
	boltqueue.SetFailpoint(hit)
	outbox, err := boltqueue.Open(path)
	if err != nil {
		return err
	}
	tracker, err := fprom.New(fprom.Config{
		BaseURL: os.Getenv(envURL), APIKey: os.Getenv(envKey), AccountID: os.Getenv(envAccount), Queue: outbox, Workers: 8,
		RequestsPerMinute: 1_000_000, Burst: 1000, Breaker: fprom.BreakerConfig{OpenFor: 20 * time.Millisecond},
		Retry:      fprom.RetryConfig{Base: 5 * time.Millisecond, Max: 50 * time.Millisecond},
		HTTPClient: &http.Client{Transport: &lossy{RoundTripper: http.DefaultTransport, hit: hit}},
	})
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           nethttpadapter.Middleware(tracker, fprom.WithFailClosed())(http.HandlerFunc(checkout)),
		ReadHeaderTimeout: time.Minute,
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = server.Serve(listener) }()
	fmt.Println(listener.Addr())
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	if err := server.Shutdown(context.Background()); err != nil {
		return err
	}
	return tracker.Shutdown(context.Background())
}

// checkout sells one thing: /checkout?id=…&customer=…&town=….
func checkout(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("town") != os.Getenv(envFile) { // this shop has the port of one that was killed in another town
		http.NotFound(w, r)
		return
	}
	err := fprom.Record(r.Context(), fprom.Sale{
		EventID: q.Get("id"), Email: q.Get("customer") + "@example.com", Amount: 4900, Currency: "usd",
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, "thank you")
}
