package shopify_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/shopify"
)

var suite = billingtest.Suite{Provider: shopify.Provider, For: func(fixture string) (billing.Provider, []billing.Option) {
	if strings.Contains(fixture, "lookup") {
		return shopify.Provider, []billing.Option{billing.WithCustomer(func(_ context.Context, shop string) (billing.Customer, error) {
			return billing.Customer{Email: "owner@" + shop, TID: "tid-ada"}, nil
		})}
	}
	return shopify.Provider, nil
}}

func TestGolden(t *testing.T) { t.Parallel(); suite.Golden(t) }
func FuzzEvents(f *testing.F) { suite.FuzzEvents(f) }

// partners is Shopify's Partner API.
type partners struct {
	t        *testing.T
	url, app string // what is asked for; empty: the default

	mu           sync.Mutex
	since        time.Time     // of the last call
	transactions []transaction // the newest first, as the API gives them
	err          error         // of the network
	status       int           // instead of an answer
	answer       string        // instead of an answer
	calls        int
}

type transaction struct {
	id, amount string
	at         time.Time
}

const perPage = 2

func (p *partners) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	want := cmp.Or(p.url, "https://partners.shopify.com/123/api/2026-01/graphql.json")
	if got := r.URL.String(); got != want || r.Header.Get("X-Shopify-Access-Token") != "token" || r.Header.Get("Content-Type") != "application/json" {
		p.t.Errorf("asked %s with %v", got, r.Header)
	}
	var in struct {
		Query     string
		Variables struct {
			Since time.Time
			After *string
			App   *string
			First int
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Variables.First != 100 || (in.Variables.App == nil) != (p.app == "") || p.app != "" && *in.Variables.App != p.app || in.Variables.After != nil && *in.Variables.After == "" || !strings.Contains(in.Query, "transactions(") {
		p.t.Errorf("asked for %+v, %v", in, err)
	}
	if p.err != nil {
		return nil, p.err
	}
	p.since = in.Variables.Since
	status, body := http.StatusOK, p.answer
	if p.status != 0 {
		status = p.status
	} else if body == "" {
		body = p.list(in.Variables.Since, in.Variables.After)
	}
	return &http.Response{StatusCode: status, Status: strconv.Itoa(status), Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}, nil
}

func (p *partners) list(since time.Time, cursor *string) string {
	var edges []string
	more, after := false, ""
	if cursor != nil {
		after = *cursor
	}
	for _, x := range p.transactions {
		switch {
		case x.at.Before(since):
			continue
		case after != "":
			if x.id == after {
				after = ""
			}
			continue
		case len(edges) == perPage:
			more = true
			continue
		}
		edges = append(edges, `{"cursor":"`+x.id+`","node":{"__typename":"AppSubscriptionSale","id":"`+x.id+`","createdAt":"`+x.at.Format(time.RFC3339)+`",
			"grossAmount":{"amount":"`+x.amount+`","currencyCode":"USD"},"shop":{"myshopifyDomain":"ada.myshopify.com"}}}`)
	}
	return `{"data":{"transactions":{"edges":[` + strings.Join(edges, ",") + `],"pageInfo":{"hasNextPage":` + strconv.FormatBool(more) + `}}}}`
}

func ids(events []fprom.Event) string {
	var out []string
	for _, e := range events {
		out = append(out, e.(fprom.Sale).EventID)
	}
	return strings.Join(out, " ")
}

func poller(t *testing.T, sink fprom.Enqueuer, api *partners, log io.Writer, outbox ...billing.Ledger) *shopify.Poller {
	t.Helper()
	var known billing.Ledger
	if len(outbox) > 0 {
		known = outbox[0]
	}
	p, err := shopify.New(sink, shopify.Config{
		Outbox: known, Organization: "123", AccessToken: "token", Client: &http.Client{Transport: api}, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// All pages are read, and the oldest transaction is reported first; one poll after the other reports each once.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		api := &partners{t: t}
		for i, hours := range []time.Duration{1, 2, 30, 71, 100} {
			n := strconv.Itoa(5 - i)
			api.transactions = append(api.transactions, transaction{"t" + n, n, now.Add(-hours * time.Hour)})
		}
		sink := &billingtest.Sink{}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		var log bytes.Buffer
		go func() { defer close(ended); poller(t, sink, api, &log).Run(ctx) }()
		time.Sleep(time.Minute)
		if got := ids(sink.Events()); got != "t2 t3 t4 t5" {
			t.Errorf("reported %s, want those of 72 hours, the oldest first", got)
		}
		api.mu.Lock()
		api.transactions = append([]transaction{{"t6", "6", time.Now()}}, api.transactions...)
		api.status = http.StatusBadGateway
		api.mu.Unlock()
		time.Sleep(100 * time.Hour)
		api.mu.Lock()
		api.status = 0
		api.mu.Unlock()
		time.Sleep(time.Hour)
		if got := ids(sink.Events()); got != "t2 t3 t4 t5 t6" {
			t.Errorf("reported %s after an outage of Shopify", got)
		}
		stop()
		<-ended
		if back := time.Since(api.since); back > 73*time.Hour {
			t.Errorf("goes %v back after a good poll", back)
		}
		if !strings.Contains(log.String(), "could not be reported") || strings.Contains(log.String(), "outbox") {
			t.Errorf("logged %s", &log)
		}
		for i := range api.transactions { // they are three pages
			api.transactions[i].at = time.Now()
		}
		api.calls = 0
		log.Reset()
		if poller(t, sink, api, &log).Run(ctx); api.calls > 1 || log.Len() > 0 {
			t.Errorf("after its end it read %d pages, and logged %s", api.calls, &log)
		}
	})
}

// The settings are those of the Config.
func TestConfig(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &partners{t: t, url: "https://shop.example/7/api/2025-10/graphql.json", app: "gid://partners/App/1"}
		api.transactions = []transaction{{"t2", "2", time.Now().Add(-time.Minute)}, {"t1", "1", time.Now().Add(-2 * time.Hour)}}
		sink := &billingtest.Sink{}
		p, err := shopify.New(sink, shopify.Config{
			Organization: "7", AccessToken: "token", AppID: api.app, BaseURL: "https://shop.example", Version: "2025-10",
			Window: time.Hour, Interval: time.Minute, Client: &http.Client{Transport: api},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
		defer cancel()
		if p.Run(ctx); api.calls != 3 || ids(sink.Events()) != "t2" {
			t.Errorf("%d calls, reported %s", api.calls, ids(sink.Events()))
		}
	})
}

// What is missed in a longer absence is read by a Poll from an earlier moment.
func TestPollSince(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &partners{t: t, transactions: []transaction{{"t1", "1", time.Now().Add(-1000 * time.Hour)}}}
		sink := &billingtest.Sink{}
		if err := poller(t, sink, api, io.Discard).Poll(t.Context(), time.Now().Add(-2000*time.Hour)); err != nil || ids(sink.Events()) != "t1" {
			t.Errorf("%v, reported %v", err, sink.Events())
		}
		api = &partners{t: t, answer: `{"data":{"transactions":{"edges":[],"pageInfo":{"hasNextPage":true}}}}`}
		if err := poller(t, sink, api, io.Discard).Poll(t.Context(), time.Now()); err != nil || api.calls != 1 {
			t.Errorf("a page without transactions: %v after %d calls", err, api.calls)
		}
	})
}

// One transaction that is wrong, or that says too little, keeps no other, and is said once.
func TestOneWrong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		api := &partners{t: t, transactions: []transaction{{"t5", "", now}, {"t3", "x", now}, {"t4", "4", now}, {"t2", "2", now.Add(-2)}, {"t1", "1", now.Add(-3)}, {"t0", "", now.Add(-3 * time.Second)}}}
		sink := &billingtest.Sink{}
		if err := sink.Enqueue(t.Context(), fprom.Sale{EventID: "t2", UID: "ada", Amount: 1, Currency: "usd"}); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		p := poller(t, sink, api, &log)
		for range 3 {
			if err := p.Poll(t.Context(), now.Add(-time.Hour)); err != nil {
				t.Error(err)
			}
		}
		if got := ids(sink.Events()); got != "t2 t1 t4" {
			t.Errorf("reported %s", got)
		}
		if strings.Count(log.String(), "cannot be read") != 1 || strings.Count(log.String(), "may be lost") != 2 || strings.Count(log.String(), "used before") != 1 {
			t.Errorf("logged %s", log.String())
		}
	})
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status       int
		answer, want string
		queue        error
		network      error
	}{
		{status: 401, want: "check Config.Organization and Config.AccessToken"},
		{status: 403, want: "may view financials"},
		{status: 404, want: "may view financials"},
		{status: 429, want: "429"},
		{answer: "{}" + strings.Repeat(" ", 4<<20), want: "too large"},
		{answer: "<html>", want: "cannot be read"},
		{answer: `{"errors":[{"message":"Field 'x' doesn't exist"}]}`, want: "doesn't exist"},
		{queue: fprom.ErrQueueFull, want: "the queue is full"},
		{network: errors.New("no route to host"), want: "no route to host"},
	} {
		api := &partners{t: t, err: tt.network, status: tt.status, answer: tt.answer, transactions: []transaction{{"t1", "1", time.Now()}}}
		err := poller(t, &billingtest.Sink{Err: tt.queue}, api, io.Discard).Poll(t.Context(), time.Now().Add(-time.Hour))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "token") && tt.status == 0 {
			t.Errorf("%+v: %v", tt, err)
		}
	}
	foreign := &partners{t: t, answer: `{"errors":[{"message":"the token\n\u001b[2J of ann@example.com"}]}`}
	p := poller(t, nil, foreign, io.Discard)
	if err := p.Poll(t.Context(), time.Now()); err == nil || !strings.HasSuffix(err.Error(), "answers: the [API key] [2J of [address]") {
		t.Errorf("Poll: %q", err)
	}
	if s := fmt.Sprintf("%v %+v %#v %+v", p, p, p, shopify.Config{AppID: "app-1", AccessToken: "token"}); strings.Contains(s, "token") ||
		strings.Count(s, "/123/api/") != 3 || !strings.Contains(s, "app-1") || !strings.Contains(s, "[redacted]") {
		t.Errorf("a printed Poller or Config shows the token, or says too little: %s", s)
	}
	if s := fmt.Sprint(shopify.Config{}); strings.Contains(s, "[redacted]") {
		t.Errorf("a Config seems to have a token: %s", s)
	}
	if b, err := json.Marshal([]any{shopify.Config{AccessToken: "token"}}); err != nil || strings.Contains(string(b), "token") {
		t.Errorf("a Config as JSON shows the token: %s %v", b, err)
	}
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("starts", "config", shopify.Config{AccessToken: "token"}, "poller", p)
	if strings.Contains(logged.String(), "token") {
		t.Errorf("a logged Poller or Config shows the token: %s", &logged)
	}
	var wrong *fprom.ValidationError
	if _, err := shopify.New(nil, shopify.Config{AccessToken: "token"}); !errors.As(err, &wrong) || wrong.Field != "Organization" {
		t.Error(err)
	}
	if _, err := shopify.New(nil, shopify.Config{Organization: "1"}); !errors.As(err, &wrong) || wrong.Field != "AccessToken" {
		t.Error(err)
	}
}

// TestRedirect: the token goes to no other host, whatever the client does with redirects.
func TestRedirect(t *testing.T) {
	t.Parallel()
	for name, client := range map[string]*http.Client{"default": nil, "own": {}} {
		followed := false
		other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
		defer other.Close()
		api := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
		defer api.Close()
		p, err := shopify.New(nil, shopify.Config{Organization: "123", AccessToken: "token", BaseURL: api.URL, Client: client})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Poll(t.Context(), time.Now()); followed || err == nil || !strings.Contains(err.Error(), "307") {
			t.Errorf("%s client: followed %v, Poll: %v", name, followed, err)
		}
	}
}

// ledger is an outbox that knows these events.
type ledger []fprom.Entry

func (l ledger) Entries(context.Context, fprom.Filter) iter.Seq2[fprom.Entry, error] {
	return func(yield func(fprom.Entry, error) bool) {
		for _, e := range l {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// TestRunAfterALongTime: a service that was down for weeks goes on where the outbox says that it ended, also if it is ended again while it
// catches up.
func TestRunAfterALongTime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		recorded []time.Duration // days ago
		want     string
	}{
		{"down for weeks", []time.Duration{22, 30}, "t2 t3"},
		{"cut off while it caught up", []time.Duration{0, 1, 22, 30}, "t2 t3"},
		{"has caught up days ago", []time.Duration{1, 2, 5, 22, 30}, "t3"},
		{"caught up long ago", []time.Duration{1, 2, 3, 5, 40}, "t3"},
		{"one transaction so far", []time.Duration{20}, "t2 t3"},
		{"from the future", []time.Duration{-2, 1}, "t3"},
		{"the first time", nil, "t3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				now := time.Now()
				ago := func(d time.Duration) time.Time { return now.Add(-d*24*time.Hour - time.Second) }
				api := &partners{t: t, transactions: []transaction{{"t3", "3", ago(2)}, {"t2", "2", ago(20)}, {"t1", "1", ago(50)}}}
				var outbox ledger
				for d := range time.Duration(40) { // other sales went on
					outbox = append(outbox, fprom.Entry{Key: fmt.Sprintf("sale:ch_%d", d), RecordedAt: ago(d)})
				}
				for i, d := range tt.recorded {
					outbox = append(outbox, fprom.Entry{Key: fmt.Sprintf("sale:gid://partners/AppSubscriptionSale/%d", i), RecordedAt: ago(d)})
				}
				sink := &billingtest.Sink{}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var log bytes.Buffer
				poller(t, sink, api, &log, outbox).Run(ctx)
				if got := ids(sink.Events()); got != tt.want || log.Len() > 0 {
					t.Errorf("reported %q, logged %s", got, &log)
				}
			})
		})
	}
}

// Without a tracker nothing is reported, and nothing panics.
func TestNoTracker(t *testing.T) {
	t.Parallel()
	for _, tracker := range []fprom.Enqueuer{nil, (*fprom.Tracker)(nil)} {
		api := &partners{t: t, transactions: []transaction{{"t1", "1", time.Now()}}}
		if err := poller(t, tracker, api, io.Discard).Poll(t.Context(), time.Now().Add(-time.Hour)); err != nil || api.calls != 1 {
			t.Errorf("%T: %v after %d calls", tracker, err, api.calls)
		}
	}
}

// brokenLedger is an outbox that cannot be read. Without an error it panics.
type brokenLedger struct{ err error }

func (l brokenLedger) Entries(context.Context, fprom.Filter) iter.Seq2[fprom.Entry, error] {
	if l.err == nil {
		panic("no entries")
	}
	return func(yield func(fprom.Entry, error) bool) { yield(fprom.Entry{}, l.err) }
}

// A panic of the application's lookup, or of its outbox, ends neither the process nor the polls. Nor does an error of the outbox.
func TestPanic(t *testing.T) {
	t.Parallel()
	for _, broken := range []error{nil, errors.New("no entries")} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			customer := billing.WithCustomer(func(_ context.Context, shop string) (billing.Customer, error) {
				if calls++; calls == 1 {
					panic("no connection for ada@example.com")
				}
				return billing.Customer{UID: shop}, nil
			})
			api := &partners{t: t, transactions: []transaction{{"t1", "1", time.Now()}}}
			sink, log := &billingtest.Sink{}, &bytes.Buffer{}
			p, err := shopify.New(sink, shopify.Config{
				Outbox: brokenLedger{broken}, Organization: "123", AccessToken: "token", Client: &http.Client{Transport: api}, Logger: slog.New(slog.NewTextHandler(log, nil)),
			}, customer)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
			defer cancel()
			p.Run(ctx)
			if got := ids(sink.Events()); got != "t1" || !strings.Contains(log.String(), "panic") || !strings.Contains(log.String(), "no entries") || strings.Contains(log.String(), "ada@") {
				t.Errorf("reported %q, logged %s", got, log)
			}
		})
	}
}
