//go:build linux

package bench

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/nethttpadapter"
)

// charging is how long the payment service of BenchmarkCheckout takes: a few commits of a database. Real ones take 200 ms or more.
const charging = 5 * time.Millisecond

// order is what a customer of BenchmarkCheckout buys.
type order struct {
	ID       string `json:"id"`
	Email    string `json:"email"`
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
	Plan     string `json:"plan"`
}

// BenchmarkCheckout: what a customer waits for, over loopback: a checkout that reads an order, charges the card at a payment
// service, and answers. It runs bare twice, wrapped, and wrapped with the sale recorded. FirstPromoter answers at once, under
// its own limit of calls. The contenders are asked in turn, in another order each time.
// Goal: no contender differs from the bare one by more than the noise, which is the difference of the two bare ones.
func BenchmarkCheckout(b *testing.B) {
	n, rounds := pick(50, 5), pick(41, 3)
	firstPromoter := service(func(*http.Request) {})
	defer firstPromoter.Close()
	payments := service(func(*http.Request) { time.Sleep(charging) })
	defer payments.Close()
	t := quietTracker(b, fprom.Config{BaseURL: firstPromoter.URL})
	defer shutdown(t)
	wrap := nethttpadapter.Middleware(t)
	plain, sale := checkout(b, payments, false), checkout(b, payments, true)
	contenders := []struct {
		name    string
		handler http.Handler
	}{
		{"bare", plain}, {"bare again", plain}, {"fprom, nothing recorded", wrap(plain)}, {"fprom, a sale", wrap(sale)},
	}
	var servers []*httptest.Server
	for _, c := range contenders {
		servers = append(servers, httptest.NewServer(c.handler))
		defer servers[len(servers)-1].Close()
	}
	p50s, all, sold := make([][]float64, len(servers)), make([][]time.Duration, len(servers)), 0
	for round := range rounds + 1 {
		took := make([][]time.Duration, len(servers))
		for range n {
			for _, i := range rand.Perm(len(servers)) {
				sold++
				body := fmt.Sprintf(`{"id":"ch_%012[1]d","email":"%012[1]d@example.com","amount":1999,"currency":"USD","plan":"pro"}`, sold)
				start := time.Now()
				must(b, ask(servers[i], strings.NewReader(body)))
				took[i] = append(took[i], time.Since(start))
			}
		}
		for i := range servers {
			if round > 0 { // the first one warms up
				p50s[i], all[i] = append(p50s[i], float64(distOf(took[i]).at(0.5))), append(all[i], took[i]...)
			}
		}
	}
	rows := [][]string{{"checkout", "p50", "× bare", "p99", "× bare"}}
	floor := distOf(all[0]).at(0.99)
	for i, c := range contenders {
		ratio, p99 := against(p50s[i], p50s[0]), distOf(all[i]).at(0.99)
		rows = append(rows, []string{
			c.name, millis(time.Duration(middle(p50s[i]))), fmt.Sprintf("%.3f", ratio), millis(p99), fmt.Sprintf("%.3f", float64(p99)/float64(floor)),
		})
		metric(b, ratio, c.name, "floor")
	}
	if s := t.Stats(); s.Enqueued != uint64((rounds+1)*n) || s.Tracked == 0 {
		b.Errorf("%d sold, %d accepted, %d delivered", (rounds+1)*n, s.Enqueued, s.Tracked)
	}
	table(b, fmt.Sprintf("%d rounds of %d checkouts of each; the payment service takes %v", rounds, n, charging), rows)
}

// checkout reads an order, charges the card, and answers; with record it also records the sale.
func checkout(b *testing.B, payments *httptest.Server, record bool) http.Handler {
	b.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var o order
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			b.Error(err)
		}
		if err := ask(payments, strings.NewReader(o.ID)); err != nil {
			b.Error(err)
		}
		if record {
			if err := fprom.Record(r.Context(), fprom.Sale{EventID: o.ID, Email: o.Email, Amount: o.Amount, Currency: o.Currency, Plan: o.Plan}); err != nil {
				b.Error(err)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(o)
	})
}
