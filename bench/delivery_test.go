//go:build linux

package bench

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// answerBody is the answer to a sale with one commission, in the documented shape.
const answerBody = `{"id":45831949,"etype":"sale","sale_amount":1999,"original_sale_amount":1999,"original_sale_currency":null,"event_id":null,` +
	`"plan_id":null,"billing_period":null,"created_at":"2026-01-02T03:04:05.000Z","referral":{"id":7,"email":"a@example.com","uid":null},` +
	`"commissions":[{"id":1,"status":"approved","is_self_referral":false,"commission_type":"sale","sale_amount":1999,"event_id":null,"plan_id":null,` +
	`"tier":1,"unit":"cash","fraud_check":"no_suspicion","amount":400,"is_paid":false,"is_split":false,"created_at":"2026-01-02T03:04:05.000Z",` +
	`"promoter_campaign":{"id":1,"campaign_id":2,"promoter_id":3,"promoter":{"id":3,"email":"p@example.com","name":"P"},"campaign":{"id":2,"name":"C","color":"#000"}}}]}`

// BenchmarkDelivery: 64 workers against a loopback server, with pacing lifted, beside a bare tuned http.Client that
// posts the same bytes with the same headers and the same time-out, reads the answer and drops it. A bare transport, without
// what http.Client does, is the lowest floor of all. Goal: at least 85 % of the client's throughput.
func BenchmarkDelivery(b *testing.B) {
	const workers, timeout = 64, 10 * time.Second
	var last atomic.Pointer[http.Request]
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if last.Load() == nil {
			last.Store(r.Clone(context.Background()))
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answerBody)
	}))
	defer s.Close()

	ids := newSales()
	var queue fprom.Queue
	fill := func(n int) {
		queue = fprom.NewMemoryQueue(n)
		for range n {
			must(b, queue.Put(context.Background(), ids.next()))
		}
	}
	ours := func(n int) {
		t := tracker(b, fprom.Config{BaseURL: s.URL, Workers: workers, Queue: queue, Timeout: timeout})
		must(b, t.Flush(context.Background()))
		if s := t.Stats(); s.Tracked != uint64(n) {
			b.Fatalf("%d of %d tracked", s.Tracked, n)
		}
		shutdown(t)
	}
	var jobs chan []byte
	bodies := func(n int) {
		jobs = make(chan []byte, n)
		for range n {
			jobs <- ids.next().Body
		}
		close(jobs)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost, transport.DisableCompression = workers, true
	client := &http.Client{Transport: transport, Timeout: timeout}
	url := s.URL + "/sale"
	bare := func(do func([]byte) error) func(int) {
		return func(int) {
			var wg sync.WaitGroup
			for range workers {
				wg.Go(func() {
					for body := range jobs {
						if err := do(body); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			transport.CloseIdleConnections()
		}
	}
	cs := []contender{
		{"bare http.Client", bodies, bare(func(body []byte) error { return post(context.Background(), client.Do, url, body) })},
		{"fprom delivery", fill, ours},
		{"bare http.Transport", bodies, bare(func(body []byte) error {
			ctx, cancel := context.WithTimeout(context.Background(), timeout)
			defer cancel()
			return post(ctx, transport.RoundTrip, url, body)
		})},
	}
	sameRequest(b, cs, &last)
	race(b, 15, pick(20_000, 2_000), cs...)
}

// sameRequest checks that all contenders send the same header and as much of a body.
func sameRequest(b *testing.B, cs []contender, last *atomic.Pointer[http.Request]) {
	b.Helper()
	var first *http.Request
	for _, c := range cs {
		last.Store(nil)
		c.prepare(1)
		c.run(1)
		r := last.Load()
		if first == nil {
			first = r
		}
		if r.ContentLength != first.ContentLength || r.URL.Path != first.URL.Path || !reflect.DeepEqual(r.Header, first.Header) {
			b.Fatalf("%s sends %s %v of %d bytes, %s %s %v of %d", c.name, r.URL, r.Header, r.ContentLength, cs[0].name, first.URL, first.Header, first.ContentLength)
		}
	}
}

func post(ctx context.Context, do func(*http.Request) (*http.Response, error), url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = http.Header{
		"Accept": {"application/json"}, "Accept-Encoding": {"identity"}, "Account-Id": {"account"}, "Authorization": {"Bearer key"},
		"Content-Type": {"application/json"}, "User-Agent": {"fprom-go/" + fprom.Version + " (+https://github.com/fprom-go/fprom)"},
	}
	resp, err := do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return err
}
