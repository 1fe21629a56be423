//go:build linux

package bench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/nethttpadapter"
)

const (
	buyers  = 1000
	outage  = 30 * time.Second
	thinkTo = 400 * time.Millisecond // between two checkouts of a buyer at most: about 5,000 a second in all
)

// BenchmarkOutage: 1,000 buyers check out over HTTP in a shop whose FirstPromoter hangs, in turn with one whose
// FirstPromoter is healthy and with one that tracks nothing. The hanging one answers each call after 30 s, and does so all
// the time: breaker and time-outs do what they do in an outage. Config is the default but for the size of the queue and
// the time-out, which is longer than the outage. p50 and p99 are medians of the rounds. Goal: the p99 of hanging and healthy are equal, noise aside.
func BenchmarkOutage(b *testing.B) {
	rounds, window := pick(15, 3), time.Duration(pick(1000, 200))*time.Millisecond
	quit := make(chan struct{})
	var asked atomic.Int64
	healthy := service(func(*http.Request) {})
	defer healthy.Close()
	hanging := service(func(r *http.Request) {
		asked.Add(1)
		select {
		case <-time.After(outage):
		case <-r.Context().Done():
		case <-quit:
		}
	})
	defer hanging.Close()
	defer close(quit)
	shops := []*shop{openShop(b, "nothing is tracked", ""), openShop(b, "FirstPromoter healthy", healthy.URL), openShop(b, "FirstPromoter hangs", hanging.URL)}
	start := time.Now()
	for round := range rounds + 1 {
		for _, i := range rand.Perm(len(shops)) {
			shops[i].visit(b, window, round > 0)
		}
	}
	if asked.Load() == 0 {
		b.Fatal("FirstPromoter was not asked: there was no outage")
	}
	rows := [][]string{{"shop", "checkouts/s", "p50", "× healthy", "p99", "× healthy", "best p99", "worst p99", "longest"}}
	for _, s := range shops {
		d := distOf(s.took...)
		ratio := against(s.p99, shops[1].p99)
		rows = append(rows, []string{
			s.name, whole(float64(len(d)) / (float64(rounds) * window.Seconds())),
			millis(time.Duration(middle(s.p50))), fmt.Sprintf("%.2f", against(s.p50, shops[1].p50)),
			millis(time.Duration(middle(s.p99))), fmt.Sprintf("%.2f", ratio),
			millis(time.Duration(slices.Min(s.p99))), millis(time.Duration(slices.Max(s.p99))), millis(d.at(1)),
		})
		metric(b, ratio, s.name, "p99")
	}
	note := fmt.Sprintf("%s buyers over keep-alive connections, an outage of %v, %d rounds", thousands(buyers), time.Since(start).Round(time.Second), rounds)
	for _, s := range shops {
		s.close(b)
	}
	table(b, note, rows)
}

// service is a FirstPromoter that does f before each answer.
func service(f func(*http.Request)) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		f(r)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answerBody)
	}))
}

// shop is a server with a checkout, and the clients of its buyers.
type shop struct {
	name     string
	server   *httptest.Server
	tracker  *fprom.Tracker
	client   *http.Client
	sold     atomic.Int64
	took     [][]time.Duration
	p50, p99 []float64
}

func openShop(b *testing.B, name, firstPromoter string) *shop {
	b.Helper()
	s := &shop{name: name}
	checkout := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := fmt.Sprintf("ch_%012d", s.sold.Add(1))
		if firstPromoter != "" {
			if err := fprom.Record(r.Context(), fprom.Sale{EventID: id, Email: id + "@example.com", Amount: 1999, Currency: "USD"}); err != nil {
				b.Error(err)
			}
		}
		_, _ = io.WriteString(w, id)
	})
	var h http.Handler = checkout
	if firstPromoter != "" {
		s.tracker = quietTracker(b, fprom.Config{BaseURL: firstPromoter, Queue: fprom.NewMemoryQueue(1 << 20), Timeout: 2 * outage})
		h = nethttpadapter.Middleware(s.tracker)(checkout)
	}
	s.server = httptest.NewServer(h)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost, transport.DisableCompression = buyers, buyers, true
	s.client = &http.Client{Transport: transport, Timeout: time.Minute}
	return s
}

// visit lets all buyers check out again and again for as long as window.
func (s *shop) visit(b *testing.B, window time.Duration, keep bool) {
	b.Helper()
	runtime.GC()
	took := make([][]time.Duration, buyers)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range buyers {
		wg.Go(func() {
			for {
				time.Sleep(rand.N(thinkTo))
				if time.Since(start) > window {
					return
				}
				t := time.Now()
				if err := s.buy(); err != nil {
					b.Error(err)
					return
				}
				took[i] = append(took[i], time.Since(t))
			}
		})
	}
	wg.Wait()
	if keep {
		d := distOf(took...)
		s.took, s.p50, s.p99 = append(s.took, d), append(s.p50, float64(d.at(0.5))), append(s.p99, float64(d.at(0.99)))
	}
}

func (s *shop) buy() error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.server.URL+"/checkout", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("checkout: %s", resp.Status)
	}
	return err
}

func (s *shop) close(b *testing.B) {
	b.Helper()
	s.client.CloseIdleConnections()
	s.server.Close()
	if s.tracker == nil {
		return
	}
	if st := s.tracker.Stats(); int64(st.Enqueued) != s.sold.Load() {
		b.Errorf("%s: %d sold, %d accepted", s.name, s.sold.Load(), st.Enqueued)
	}
	shutdown(s.tracker)
}
