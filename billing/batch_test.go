package billing_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
)

// batch is a provider that sends several events in one body.
var batch = billing.Provider{
	Name: "test", Batch: "events", Header: "X-Signature", Verify: billing.HMACSHA256("X-Signature", hex.DecodeString),
	Convert: func(p *billing.Payload) {
		p.Event(p.Root.Text("type"), p.Root.Text("id"))
		if p.Root.Text("type").S != "paid" {
			return
		}
		d := p.Sale()
		d.ID(p.Root.Text("id"))
		d.Email(p.Root.Text("email"))
		d.Minor(p.Root.Int("amount"), p.Root.Text("currency"))
		d.Add()
	},
}

// calls is an Enqueuer that keeps the event ids of each call.
type calls struct {
	ids      []string
	conflict string // an event id that is already used with another amount
	full     bool
}

func (c *calls) Enqueue(_ context.Context, events ...fprom.Event) error {
	var ids []string
	var err error
	for _, e := range events {
		if id := e.(fprom.Sale).EventID; id != c.conflict {
			ids = append(ids, id)
		} else {
			err = &fprom.ConflictError{Keys: []string{"sale:" + id}}
		}
	}
	if c.full {
		return fprom.ErrQueueFull
	}
	c.ids = append(c.ids, strings.Join(ids, "+"))
	return err
}

func TestBatch(t *testing.T) {
	t.Parallel()
	paid := func(id, amount string) string {
		return `{"type":"paid","id":"` + id + `","email":"ada@example.com","amount":` + amount + `,"currency":"usd"}`
	}
	for _, tt := range []struct {
		name, events, conflict string
		want                   string // ids of the calls
		full                   bool
		status                 int
		text                   string // in the log
	}{
		{name: "two", events: paid("a", "1") + "," + paid("b", "2"), want: "a+b", status: 200},
		{name: "one is nothing", events: `{"type":"other","id":"x"},` + paid("b", "2"), want: "b", status: 200},
		{name: "one cannot be read", events: paid("a", `"ten"`) + "," + paid("b", "2"), want: "b", status: 422, text: "id=a"},
		{name: "no customer", events: `{"type":"paid","id":"x","amount":1,"currency":"usd"},` + paid("b", "2"), want: "b", status: 200, text: "no-customer"},
		{name: "no customer, queue full", events: `{"type":"paid","id":"x","amount":1,"currency":"usd"},` + paid("b", "2"), full: true, status: 503, text: "no-customer"},
		{name: "none", status: 200},
		{name: "conflict", events: paid("a", "1") + "," + paid("b", "2") + "," + paid("c", "3"), conflict: "b", want: "a+c", status: 200, text: "sale:b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			queue := &calls{conflict: tt.conflict, full: tt.full}
			seen, conflict := 0, ""
			h := billing.Handler(queue, batch, secret, billing.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
				billing.WithObserver(func(_ context.Context, x billing.Explanation) {
					if seen++; errors.Is(x.Err, fprom.ErrConflict) {
						conflict += x.ID
					}
				}))
			body := []byte(`{"events":[` + tt.events + `]}`)
			if got := billingtest.Post(h, body, sign(body)); got != tt.status || strings.Join(queue.ids, " ") != tt.want {
				t.Errorf("status %d, calls %v, want %d and %s", got, queue.ids, tt.status, tt.want)
			}
			if conflict != tt.conflict { // it is answered 200, and not tracked all the same
				t.Errorf("the observer saw the conflict of %q", conflict)
			}
			if !strings.Contains(log.String(), tt.text) || strings.Contains(log.String(), "ada@") {
				t.Errorf("logged %q, want %q in it", log.String(), tt.text)
			}
			if want := max(1, strings.Count(tt.events, `"type"`)); seen != want {
				t.Errorf("%d observed, want %d", seen, want)
			}
		})
	}
	x := batch.Explain([]byte(`{"events":[{"type":"other","id":"x"},` + paid("a", `"ten"`) + "," + paid("b", "2") + `]}`))
	if x.ID != "x" || len(x.More) != 2 || !fprom.IsPermanent(x.Err) || len(x.Events()) != 1 || strings.Count(x.String(), "test ") < 3 {
		t.Errorf("%+v", x)
	}
}

// TestConvertAgain: the second conversion comes also if the first one gives no event, or an event whose id is used with another amount.
func TestConvertAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, first, conflict, want string }{
		{"an event", "a", "", "a a+late"},
		{"no event", "", "", "late"},
		{"a conflict at first", "a", "a", " late"},
		{"a conflict at last", "a", "late", "a a"},
	} {
		conversions := 0
		v := batch
		v.Convert = func(p *billing.Payload) {
			conversions++
			ids := []string{tt.first}
			if p.ConvertAgain() {
				ids = append(ids, "late")
			}
			for _, id := range ids {
				if id != "" {
					d := p.Sale()
					d.ID(billing.Text{S: id})
					d.Email(billing.Text{S: "ada@example.com"})
					d.Minor(billing.Int{N: 100, OK: true}, billing.Text{S: "usd"})
					d.Add()
				}
			}
		}
		queue := &calls{conflict: tt.conflict}
		body := []byte(`{"events":[{}]}`)
		if got := billingtest.Post(billing.Handler(queue, v, secret, billingtest.Quiet()), body, sign(body)); got != 200 || strings.Join(queue.ids, " ") != tt.want || conversions > 3 {
			t.Errorf("%s: status %d, calls %q in %d conversions, want %q", tt.name, got, queue.ids, conversions, tt.want)
		}
	}
}
