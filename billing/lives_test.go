package billing_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/explain"
	"github.com/fprom-go/fprom/billing/paypal"
	"github.com/fprom-go/fprom/fpromtest"
)

// Over the whole life of a customer, the sales less the refunds are what the merchant has kept before taxes, however many webhooks
// describe a payment. Each file in testdata/lives is the life of a customer of one provider, with these lines:
//
//	# a comment
//	{…} or <…>                                    a webhook
//	payment <id> <total> <tax> <refunded> <sale>  from now on WithPayment knows this payment
//	ordered                                       the life must not be told backwards
//	= eur 2000 jpy 1000                           what the events until here come to, in FirstPromoter's minor units
//
// The webhooks are delivered in this order, each one twice, and also all of them backwards.
func TestLives(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/lives/*")
	if err != nil || len(files) == 0 {
		t.Fatal("no lives", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := strings.Split(strings.TrimSpace(string(read(t, file))), "\n")
			end := lines[len(lines)-1]
			l := newLife(t, name)
			for i, line := range lines {
				l.step(i+1, line)
			}
			if slices.Contains(lines, "ordered") {
				return
			}
			payments := l.payments
			l = newLife(t, name)
			l.payments = payments
			for i := range lines {
				at := len(lines) - 1 - i
				if strings.HasPrefix(lines[at], "{") || strings.HasPrefix(lines[at], "<") {
					l.step(at+1, lines[at])
				}
			}
			l.step(0, end)
		})
	}
}

type life struct {
	t        *testing.T
	name     string
	sink     *billingtest.Sink
	handler  http.Handler
	payments map[string]billing.Payment
	log      bytes.Buffer
}

func newLife(t *testing.T, name string) *life {
	t.Helper()
	v, ok := explain.Provider(name)
	if !ok {
		t.Fatal("unknown provider")
	}
	if name == "paypal" {
		v = paypal.Provider(paypal.WithCertificates(fpromtest.PayPalCertificates()))
	}
	l := &life{t: t, name: name, sink: &billingtest.Sink{}, payments: map[string]billing.Payment{}}
	l.handler = billing.Handler(l.sink, v, fpromtest.TestWebhookSecret,
		billing.WithLogger(slog.New(slog.NewTextHandler(&l.log, &slog.HandlerOptions{Level: slog.LevelError}))),
		billing.WithPayment(func(_ context.Context, id string) (billing.Payment, error) { return l.payments[id], nil }),
		billing.WithCustomer(func(context.Context, string) (billing.Customer, error) {
			return billing.Customer{Email: "ada@example.com"}, nil
		}))
	return l
}

func (l *life) step(line int, text string) {
	l.t.Helper()
	switch kind, rest, _ := strings.Cut(text, " "); {
	case text == "" || kind == "#" || kind == "ordered":
	case kind == "payment":
		var id string
		p := billing.Payment{Email: "ada@example.com"}
		if _, err := fmt.Sscan(rest, &id, &p.Total, &p.Tax, &p.Refunded, &p.SaleEventID); err != nil {
			l.t.Fatalf("line %d: %v", line, err)
		}
		l.payments[id] = p
	case kind == "=":
		if got := l.sum(); got != rest {
			l.t.Errorf("line %d: the events come to %q, want %q", line, got, rest)
		}
	default:
		for range 2 {
			status := billingtest.Post(l.handler, []byte(text), func(r *http.Request) {
				if err := fpromtest.SignWebhook(l.name, r.Header, []byte(text), fpromtest.TestWebhookSecret, time.Now()); err != nil {
					l.t.Fatal(err)
				}
			})
			if status != http.StatusOK || l.log.Len() > 0 {
				l.t.Errorf("line %d: status %d\n%s", line, status, &l.log)
				l.log.Reset()
			}
		}
	}
}

// sum returns the sales less the refunds by currency, such as "eur 2000 jpy 1000". A refund that names its sale must name one that is
// there.
func (l *life) sum() string {
	l.t.Helper()
	sums, sales := map[string]int64{}, map[string]bool{"": true}
	for _, e := range l.sink.Events() {
		if e, ok := e.(fprom.Sale); ok {
			sums[strings.ToLower(e.Currency)] += e.Amount
			sales[e.EventID] = true
		}
	}
	for _, e := range l.sink.Events() {
		if e, ok := e.(fprom.Refund); ok {
			sums[strings.ToLower(e.Currency)] -= e.Amount
			if !sales[e.SaleEventID] {
				l.t.Errorf("the refund %s is of the sale %s, which is not there", e.EventID, e.SaleEventID)
			}
		}
	}
	var text []string
	for _, currency := range slices.Sorted(maps.Keys(sums)) {
		text = append(text, fmt.Sprint(currency, " ", sums[currency]))
	}
	return strings.Join(text, " ")
}
