package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
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
// posts the same bytes with the same headers, reads the answer and drops it. Goal: at least 85 % of its throughput.
func BenchmarkDelivery(b *testing.B) {
	const workers = 64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answerBody)
	}))
	defer s.Close()

	id := 0
	ours := func(n int) {
		b.Helper()
		q := fprom.NewMemoryQueue(n)
		for range n {
			id++
			m, err := fprom.NewMessage(fprom.Sale{EventID: fmt.Sprintf("ch_%012d", id), Email: fmt.Sprintf("c%012d@example.com", id), Amount: 1999, Currency: "USD"})
			if err != nil {
				b.Fatal(err)
			}
			if err := q.Put(context.Background(), m); err != nil {
				b.Fatal(err)
			}
		}
		t := tracker(b, fprom.Config{BaseURL: s.URL, Workers: workers, Queue: q})
		if err := t.Flush(context.Background()); err != nil {
			b.Fatal(err)
		}
		if s := t.Stats(); s.Tracked != uint64(n) {
			b.Fatalf("%d of %d tracked", s.Tracked, n)
		}
		shutdown(t)
	}

	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = workers
	transport.DisableCompression = true
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	bare := func(n int) {
		jobs := make(chan []byte, n)
		for range n {
			id++
			jobs <- fmt.Appendf(nil, `{"event_id":"ch_%012d","email":"c%012d@example.com","amount":1999,"currency":"usd"}`, id, id)
		}
		close(jobs)
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for body := range jobs {
					post(b, client, s.URL+"/sale", body)
				}
			})
		}
		wg.Wait()
		transport.CloseIdleConnections()
	}
	race(b, 15, 20_000, contender{name: "bare http.Client", run: bare}, contender{name: "fprom delivery", run: ours})
}

func post(b *testing.B, c *http.Client, url string, body []byte) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		b.Error(err)
		return
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Account-Id", "account")
	req.Header.Set("Authorization", "Bearer key")
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
}
