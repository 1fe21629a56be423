package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	root "github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/explain"
	"github.com/fprom-go/fprom/fpromtest"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	body, err := fpromtest.WebhookBody("stripe", "invoice.paid", fpromtest.WebhookConfig{ID: "7", TID: "b1a2"})
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/invoice.json"
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	fprom(t, nil, "explain", "stripe", path).want(t, 0).golden(t, "explain.txt")
	fprom(t, nil, "explain", "stripe", path, "-o", "json").want(t, 0).golden(t, "explain.json")
	if r := fprom(t, nil, "explain", "stripe", path, "-o", "jsonl").want(t, 0); strings.Count(r.out, `"type":`) != 1 || !strings.HasPrefix(r.out, `{"type":"result",`) {
		t.Errorf("a line has its type once: %s", r)
	}
	for _, c := range []struct {
		name, body string
		code       int
		says       string
	}{
		{"stdin", string(body), 0, "in_7"},
		{"not money", `{"id":"evt_1","object":"event","type":"customer.created","livemode":true,"data":{"object":{}}}`, 0, "not-money"},
		{"no customer", strings.ReplaceAll(strings.ReplaceAll(string(body), `"customer_email":"jane@example.com"`, `"customer_email":null`), "jane@example.com", ""), 3, "no-customer"},
		{"no JSON", "<html>", 1, "stripe"},
		{"escapes", `{"id":"evt_\u001b[31m1","object":"event","type":"customer.created","livemode":true,"data":{"object":{}}}`, 0, `evt_·[31m1`},
		{"json", `{"id":"evt_\u009b31m\u202e\u007f1","object":"event","type":"customer.created","livemode":true,"data":{"object":{}}}`, 0, `evt_\u009b31m\u202e\u007f1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t, nil, "explain", "stripe", "-o", map[bool]string{true: "json", false: "text"}[c.name == "json"])
			cmd.Stdin = strings.NewReader(c.body)
			out, err := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(out), c.says) || bytes.ContainsAny(out, "\x1b\x7f\u009b\u202e") {
				t.Errorf("exit %d, %v, want %d and %q: %s", code, err, c.code, c.says, out)
			}
		})
	}
}

// Each sample is what the provider's handler takes, with the signature that it wants.
func TestTriggerEverySample(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
	const secret = fpromtest.TestWebhookSecret
	mux := http.NewServeMux()
	for _, name := range explain.Providers() {
		provider, _ := explain.Provider(name)
		tracker := fpromtest.NewTracker(t, fake, func(c *root.Config) { c.APIKey, c.AccountID = fake.APIKey, fake.AccountID })
		mux.Handle("/"+name, billing.Handler(tracker, provider, secret, billing.WithLogger(slog.New(slog.DiscardHandler))))
	}
	shop := httptest.NewServer(mux)
	t.Cleanup(shop.Close)
	tracked := 0
	for _, s := range fpromtest.Webhooks() {
		if s.Provider == "paypal" { // no other process can sign as this one
			continue
		}
		args := strings.Fields(s.String())
		r := fprom(t, env{"FPROM_WEBHOOK_SECRET": secret}, "trigger", args[0], args[1], "--to", shop.URL+"/"+s.Provider, "--uid", "u1", "-o", "json").want(t, 0)
		var v struct {
			Status  int
			Becomes struct{ Tracked []struct{ Kind string } }
		}
		r.object(t, &v)
		if v.Status != 200 {
			t.Errorf("%s: %s", s, r)
		}
		tracked += len(v.Becomes.Tracked)
	}
	if tracked < 10 {
		t.Errorf("only %d events", tracked)
	}
}

// patient gives a webhook to h until it is stored, as a provider does: a Tracker waits for a slow machine's disk or database for a
// second only, and then h answers 503.
func patient(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for r.Context().Err() == nil {
			r.Body = io.NopCloser(bytes.NewReader(body))
			answer := httptest.NewRecorder()
			if h.ServeHTTP(answer, r); answer.Code != http.StatusServiceUnavailable {
				w.WriteHeader(answer.Code)
				return
			}
		}
	})
}

// With an outbox it shows what the service made of the webhook.
func TestTriggerLooksIntoTheOutbox(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
		tracker, _ := serve(t, p, fake)
		provider, _ := explain.Provider("polar")
		shop := httptest.NewServer(patient(billing.Handler(tracker, provider, fpromtest.TestWebhookSecret, billing.WithLogger(slog.New(slog.DiscardHandler)))))
		t.Cleanup(shop.Close)
		e := env{"FPROM_OUTBOX": p.where, "FPROM_WEBHOOK_SECRET": fpromtest.TestWebhookSecret}
		var v struct {
			Tracked []struct{ Key, Customer string }
		}
		fprom(t, e, "trigger", "polar", "order.paid", "--to", shop.URL, "-o", "json").want(t, 0).object(t, &v)
		if len(v.Tracked) != 1 || !strings.HasPrefix(v.Tracked[0].Key, "sale:") || strings.Contains(v.Tracked[0].Customer, "jane@") {
			t.Errorf("%+v", v)
		}
		// the same payment again, then another amount under its id, which is taken and not tracked
		for amount, want := range map[string]int{"4100": 0, "4200": 3} {
			fprom(t, e, "trigger", "polar", "order.paid", "--id", "again", "--to", shop.URL, "--amount", "4100").want(t, 0)
			r := fprom(t, e, "trigger", "polar", "order.paid", "--id", "again", "--to", shop.URL, "--amount", amount).want(t, want)
			if strings.Contains(r.out, "not tracked: the outbox has sale:ord_again already, with another amount: 41.00 USD") != (want == 3) {
				t.Error(r)
			}
		}
		// a service that takes the webhook and stores nothing
		idle := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		t.Cleanup(idle.Close)
		if r := fprom(t, e, "trigger", "polar", "order.paid", "--to", idle.URL).want(t, 3); !strings.Contains(r.out, "the outbox has none of it") {
			t.Error(r)
		}
		// a cancellation, whose key is the customer's: an earlier one is not this one
		for range 2 {
			fprom(t, e, "trigger", "polar", "subscription.revoked", "--to", shop.URL, "-o", "json").want(t, 0).object(t, &v)
			if len(v.Tracked) != 1 {
				t.Errorf("%+v", v)
			}
			if err := tracker.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		fprom(t, e, "trigger", "polar", "subscription.revoked", "--to", idle.URL).want(t, 3)
	})
}

// Of a webhook with two events, of which the outbox has one, that one is shown.
func TestTriggerShowsAPart(t *testing.T) {
	t.Parallel()
	var events []json.RawMessage
	for _, id := range []string{"7", "8"} {
		b, err := fpromtest.WebhookBody("fastspring", "order.completed", fpromtest.WebhookConfig{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		var body struct{ Events []json.RawMessage }
		if err := json.Unmarshal(b, &body); err != nil {
			t.Fatal(err)
		}
		events = append(events, body.Events...)
	}
	both, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	p := inFile(t)
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
	tracker, _ := serve(t, p, fake)
	provider, _ := explain.Provider("fastspring")
	first, err := fpromtest.WebhookBody("fastspring", "order.completed", fpromtest.WebhookConfig{ID: "7"})
	if err != nil {
		t.Fatal(err)
	}
	enqueue(t, tracker, explain.Explain(provider.Name, first).Events()...)
	idle := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(idle.Close)
	var v struct{ Tracked []struct{ Key string } }
	fprom(t, env{"FPROM_OUTBOX": p.where}, "trigger", "fastspring", "order.completed", "--to", idle.URL, "--secret", "x", "--override", "events="+string(both), "-o", "json").want(t, 3).object(t, &v)
	if len(v.Tracked) != 1 {
		t.Errorf("%+v", v)
	}
}

func TestTriggerShowsTheAnswer(t *testing.T) {
	t.Parallel()
	got := make(chan map[string]any, 2)
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		got <- body
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte("the signature \x1b[31mis wrong"))
	}))
	t.Cleanup(shop.Close)
	r := fprom(t, nil, "trigger", "stripe", "invoice.paid", "--to", shop.URL, "--secret", "whsec_other", "--id", "7",
		"--override", "data.object.amount_paid=500", "--override", "data.object.lines.data.0.quantity=3", "--override", "data.object.note=a text",
		"--override", "data.object.discount=null", "--override", "data.object.discount.coupon=SPRING", "--override", "data.object.metadata.gift?=yes").want(t, 1)
	r.golden(t, "trigger.txt")
	object, _ := (<-got)["data"].(map[string]any)["object"].(map[string]any)
	if object["amount_paid"] != 500.0 || object["note"] != "a text" ||
		!reflect.DeepEqual(object["discount"], map[string]any{"coupon": "SPRING"}) || !reflect.DeepEqual(object["metadata"], map[string]any{"gift?": "yes"}) {
		t.Errorf("%v", object)
	}
	var v struct{ Becomes struct{ Error string } }
	fprom(t, nil, "trigger", "stripe", "invoice.paid", "--to", shop.URL, "--secret", "x", "-o", "json", "--override", "data.object.amount_paid=oops").want(t, 1).object(t, &v)
	if !strings.Contains(v.Becomes.Error, "data.object.amount_paid: is not an integer") {
		t.Errorf("%+v", v)
	}
	login := httptest.NewServer(http.RedirectHandler("/login", http.StatusFound)) // whoever follows it loses the body
	t.Cleanup(login.Close)
	if r := fprom(t, nil, "trigger", "stripe", "invoice.paid", "--to", login.URL, "--secret", "x").want(t, 1); !strings.Contains(r.err, "did not take the webhook (302)") {
		t.Error(r)
	}
	if r := fprom(t, nil, "trigger", "stripe", "invoice.paid", "--to", "http://"+closedPort, "--secret", "x").want(t, 1); !strings.Contains(r.err, "running") {
		t.Error(r)
	}
}

// The fake says what to set, answers as FirstPromoter does, and shows what arrived.
func TestFake(t *testing.T) {
	t.Parallel()
	cmd := command(t, nil, "fake", "--addr", "127.0.0.1:0", "--lead", "jane@example.com", "--visitor", "visitor-1", "--fault", "status=500,times=1,kind=company", "-o", "jsonl")
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e := env{}
	for lines := bufio.NewScanner(errs); len(e) < 3 && lines.Scan(); {
		if m := regexp.MustCompile(`export (\w+)=([^\s"]+)`).FindStringSubmatch(lines.Text()); m != nil {
			e[m[1]] = m[2]
		}
		if !json.Valid(lines.Bytes()) {
			t.Errorf("no JSON: %s", lines.Text())
		}
	}
	fprom(t, e, "doctor").want(t, 5)
	fprom(t, e, "doctor").want(t, 0)
	tracker, err := root.New(root.Config{
		APIKey: e["FIRSTPROMOTER_API_KEY"], AccountID: e["FIRSTPROMOTER_ACCOUNT_ID"], BaseURL: e["FIRSTPROMOTER_API_URL"],
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tracker.Shutdown(t.Context()) }()
	for email, tid := range map[string]string{"jane@example.com": "", "eve@example.com": "visitor-1", "bob@example.com": ""} {
		if _, err := tracker.Track(t.Context(), root.Sale{EventID: "ch_" + email[:3], Email: email, TID: tid, Amount: 1999, Currency: "USD"}); err != nil {
			t.Fatal(err)
		}
	}
	var seen []string
	for lines := bufio.NewScanner(out); len(seen) < 5 && lines.Scan(); {
		var v struct {
			Type, Kind, Fault, Customer string
			EventID                     string `json:"event_id"`
			Status                      int
			Amount                      int64
		}
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil || v.Type != "result" {
			t.Fatalf("%v in %s", err, lines.Text())
		}
		seen = append(seen, strings.TrimSpace(strings.Join([]string{v.Kind, v.EventID, v.Customer, http.StatusText(v.Status)}, " ")))
	}
	slices.Sort(seen)
	want := "company campaigns  Internal Server Error|company campaigns  OK|sale ch_bob b***@e*** Not Found|sale ch_eve e***@e*** OK|sale ch_jan j***@e*** OK"
	if got := strings.Join(seen, "|"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	// What was answered just before the end is shown, too.
	fprom(t, e, "why", "jane@example.com").want(t, 0)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(out); err != nil || strings.Count(string(rest), `"status":200`) != 3 {
		t.Errorf("%v, after Ctrl-C: %s", err, rest)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
}
