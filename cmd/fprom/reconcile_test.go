package main_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	root "github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
)

type verdicts struct {
	Matched      int
	NoCommission int                        `json:"no_commission"`
	Missing      []struct{ EventID string } `json:"missing"`
	Foreign      []struct {
		EventID string `json:"event_id"`
	}
	AmountDiffers []struct{ EventID string } `json:"amount_differs"`
	Doubled       []struct{ EventID string }
	Redriven      *struct{ Tracked, Duplicate int }
}

func today(n int) string { return time.Now().UTC().AddDate(0, 0, n).Format(time.DateOnly) }

func TestReconcileAnOutbox(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		var events []root.Event
		for i := range 12 {
			events = append(events, sale(fmt.Sprintf("ch_%d", i), fmt.Sprintf("c%d@example.com", i), 1000, "USD"))
		}
		fake, e, _ := sold(t, p, events...)
		args := []string{"reconcile", "--from", today(-1), "--to", today(1), "--rate", "6000"} // it may be midnight
		var v verdicts
		fprom(t, e, append(args, "--full", "-o", "json")...).want(t, 0).object(t, &v)
		if v.Matched != 12 {
			t.Errorf("clean: %+v", v)
		}
		fake.Lose("ch_3")
		fake.Double("ch_5")
		fake.Reprice("ch_7", 7)
		fake.AddPastSale(fpromtest.PastSale{EventID: "in_1Native", Email: "c9@example.com", Amount: 1000, Currency: "USD"})
		calls := fake.Count("sale", "")
		v = verdicts{}
		r := fprom(t, e, append(args, "--full", "-o", "json")...).want(t, 3)
		r.object(t, &v)
		if len(v.Missing) != 1 || len(v.Foreign) != 1 || v.Foreign[0].EventID != "in_1Native" || len(v.AmountDiffers) != 1 || len(v.Doubled) != 1 || v.Matched != 9 {
			t.Errorf("%s", r)
		}
		text := fprom(t, e, append(args, "--full")...).want(t, 3)
		for _, part := range []string{"missing: 1", "ch_3", "foreign: 1", "in_1Native", "amount differs: 1", "0.07", "doubled: 1", "→ "} {
			if !strings.Contains(text.out, part) {
				t.Errorf("no %q in %s", part, text)
			}
		}
		alone := fprom(t, e, append(args, "--full", "--redrive")...).want(t, 3)
		for _, part := range []string{"1 without a customer", "1 not sent again: the outbox erases a customer once an event is done", "Add --sales FILE"} {
			if !strings.Contains(alone.out, part) {
				t.Errorf("no %q in %s", part, alone)
			}
		}
		if n := fake.Count("sale", "") - calls; n != 0 {
			t.Errorf("%d tracking calls", n)
		}
		sales := filepath.Join(t.TempDir(), "sales.csv")
		if err := os.WriteFile(sales, []byte("event_id,email,amount,currency,created_at\nch_3,c3@example.com,1000,USD,"+today(0)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		v = verdicts{}
		r = fprom(t, e, append(args, "--full", "--redrive", "--outbox", p.where, "--sales", sales, "--amount", "minor", "-o", "json")...).want(t, 3)
		r.object(t, &v)
		if d := v.Redriven; d == nil || d.Duplicate != 1 || fake.Count("sale", "ch_3") != 2 || strings.Contains(r.err, "knew this event id") { // the report counts it
			t.Errorf("with the customers: %s", r)
		}
		address, err := url.Parse(fake.URL)
		if err != nil {
			t.Fatal(err)
		}
		pass := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: address.Scheme, Host: address.Host})
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/track/sale") {
				w.WriteHeader(http.StatusConflict)
				_, _ = io.WriteString(w, `{"message":"The 'sale' event with the id 'other' already exists."}`)
				return
			}
			pass.ServeHTTP(w, r)
		}))
		t.Cleanup(proxy.Close)
		e = maps.Clone(e)
		e["FIRSTPROMOTER_API_URL"] = proxy.URL + address.Path
		r = fprom(t, e, append(args, "--full", "--redrive", "--outbox", p.where, "--sales", sales, "--amount", "minor")...).want(t, 3)
		if !strings.Contains(r.err, "names another event id") {
			t.Errorf("the answer names another id: %s", r)
		}
	})
}

// An event id that is an address is shown in clear only if that is asked for, in every form of the output.
func TestReconcileMasksAddresses(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
	p := inFile(t)
	put(t, p, nil, sale("ch_1", "jane@example.com", 1999, "USD"))
	fake.AddPastSale(fpromtest.PastSale{EventID: "kim@example.com", Email: "kim@example.com", Amount: 1000, Currency: "USD"})
	e := account(fake).with(env{"FPROM_OUTBOX": p.where})
	for _, form := range []string{"text", "json", "jsonl"} {
		args := []string{"reconcile", "--from", today(-1), "--to", today(0), "--rate", "6000", "--full", "-o", form}
		if r := fprom(t, e, args...).want(t, 3); strings.Contains(r.out, "kim@") || !strings.Contains(r.out, "sha256-") {
			t.Errorf("%s", r)
		}
		if r := fprom(t, e, append(args, "--personal")...).want(t, 3); !strings.Contains(r.out, "kim@example.com") {
			t.Errorf("%s", r)
		}
	}
	old := time.Now().UTC().AddDate(0, 0, -9)
	var lines strings.Builder
	lines.WriteString("event_id,email,amount,created_at\n")
	for _, id := range []string{"lost@shop.test", "dear@shop.test", "twice@shop.test", "denied@shop.test"} {
		lines.WriteString(id + ",ann@shop.test,1000," + old.Format(time.RFC3339) + "\n")
		fake.AddPastSale(fpromtest.PastSale{EventID: id, Email: "ann@shop.test", Amount: 1000, At: old})
	}
	fake.Lose("lost@shop.test")
	fake.Reprice("dear@shop.test", 99)
	fake.Double("twice@shop.test")
	fake.Deny("denied@shop.test")
	path := filepath.Join(t.TempDir(), "sales.csv")
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	e = account(fake).with(env{"FPROM_OUTBOX": "/none.db"}) // --sales alone means the file alone
	args := []string{"reconcile", "--sales", path, "--amount", "minor", "--from", today(-10), "--to", today(-8), "--rate", "6000", "--full", "-o", "json"}
	var v map[string]any
	fprom(t, e, append(args, "--personal")...).want(t, 3).object(t, &v)
	for _, kind := range []string{"missing", "amount_differs", "doubled", "denied"} {
		if entries, _ := v[kind].([]any); len(entries) != 1 {
			t.Errorf("%s: %v", kind, v[kind])
		}
	}
	if r := fprom(t, e, args...).want(t, 3); strings.Contains(r.out, "@shop.test") || strings.Count(r.out, "sha256-") != 4 {
		t.Error(r)
	}
}

// The days may be named without their beginning, also where the last one is the first by default.
func TestReconcileUntilADay(t *testing.T) {
	t.Parallel()
	e := account(fpromtest.NewServer(t)).with(env{"FPROM_OUTBOX": emptyOutbox(t)})
	day := today(-7)
	r := fprom(t, e, "reconcile", "--to", day, "-o", "json")
	if day != today(-7) { // midnight was meanwhile
		day = today(-7)
		r = fprom(t, e, "reconcile", "--to", day, "-o", "json")
	}
	var v struct{ Days []struct{ Day string } }
	r.want(t, 0).object(t, &v)
	if len(v.Days) != 1 || v.Days[0].Day != day {
		t.Errorf("%+v", v)
	}
	if last := today(-1); day == today(-7) {
		if fprom(t, e, "reconcile", "-o", "json").want(t, 0).object(t, &v); last == today(-1) && (len(v.Days) != 7 || v.Days[6].Day != last) {
			t.Errorf("without --from and --to: %+v", v)
		}
	}
}

// Beside an outbox a list of sales is not what is compared: an outbox without events of these days is no reason for a person to look.
func TestReconcileAnOutboxWithoutEvents(t *testing.T) {
	t.Parallel()
	e := account(fpromtest.NewServer(t))
	sales := filepath.Join(t.TempDir(), "sales.csv")
	if err := os.WriteFile(sales, []byte("event_id,email,amount,currency,created_at\nch_1,a@example.com,1000,USD,"+today(-1)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := fprom(t, e, "reconcile", "--outbox", emptyOutbox(t), "--sales", sales, "--amount", "minor").want(t, 0); strings.Contains(r.err, "nothing was compared") {
		t.Error(r)
	}
}

// A sale that is not delivered is not as it should be, although nothing differs: the last line does not pass over it.
func TestReconcileWhatWaits(t *testing.T) {
	t.Parallel()
	p := inFile(t)
	put(t, p, nil, sale("ch_1", "jane@example.com", 1999, "USD"))
	r := fprom(t, account(fpromtest.NewServer(t)), "reconcile", "--outbox", p.where, "--from", today(-1), "--to", today(0)).want(t, 0)
	if !strings.HasSuffix(r.out, "all is as it should be; 1 event not delivered yet, see fprom status\n") {
		t.Error(r)
	}
}

// Commissions that fit no sale of ours may be a second integration's: the last line does not pass over them.
func TestReconcileUnidentified(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t)
	for _, refundOf := range []string{"", "ch_1"} {
		fake.AddPastSale(fpromtest.PastSale{EventID: "ch_1" + refundOf, Email: "a@example.com", Amount: 1000, Currency: "USD", RefundOf: refundOf, At: time.Now().UTC().Truncate(24 * time.Hour).Add(-12 * time.Hour)})
	}
	sales := filepath.Join(t.TempDir(), "sales.csv")
	if err := os.WriteFile(sales, []byte("event_id,email,amount,currency,created_at\nch_1,a@example.com,1000,USD,"+today(-1)+"T12:00:00Z\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := fprom(t, account(fake), "reconcile", "--sales", sales, "--amount", "minor", "--full").want(t, 0)
	if !strings.Contains(r.out, "1 commission without a sale of ours") || !strings.HasSuffix(r.out, "all is as it should be, but for these commissions\n") {
		t.Error(r)
	}
}

// A row that makes no sale is not compared: that needs a person, however well the others agree. A free trial and a failed payment do not.
func TestReconcileAFileWithABadRow(t *testing.T) {
	t.Parallel()
	e := account(fpromtest.NewServer(t)).with(env{"FPROM_OUTBOX": "such.db"})
	sales := filepath.Join(t.TempDir(), "sales.csv")
	if err := os.WriteFile(sales, []byte("event_id,email,amount,status,created_at\nch_1,a@example.com,1000,,"+today(-1)+"\nch_2,,1000,,"+today(-1)+"\nch_3,c@example.com,0,,"+today(-1)+"\n,,0.00,,"+today(-1)+"\nch_4,d@example.com,1000,Failed,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := fprom(t, e, "reconcile", "--sales", sales, "--amount", "major").want(t, 3)
	if !strings.Contains(r.err, "the outbox of $FPROM_OUTBOX is not read") || !strings.Contains(r.err, "line 3 makes no sale") || !strings.Contains(r.err, "1 row of ") || strings.Contains(r.out, "all is as it should be") || strings.Contains(r.out, "waiting") {
		t.Error(r)
	}
}

// An old integration's sales, from a file, without any outbox; then what is missing is sent.
func TestReconcileAFile(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
	day := time.Now().UTC().AddDate(0, 0, -10).Truncate(24 * time.Hour).Add(12 * time.Hour)
	var b strings.Builder
	b.WriteString("event_id;email;amount;currency;created_at\n")
	for i := range 20 {
		fmt.Fprintf(&b, "old_%d;c%d@example.com;19,99;EUR;%s\n", i, i, day.Format(time.RFC3339))
		if i != 4 {
			fake.AddPastSale(fpromtest.PastSale{EventID: fmt.Sprintf("old_%d", i), Email: fmt.Sprintf("c%d@example.com", i), Amount: 1999, Currency: "EUR", At: day})
		}
	}
	fake.AddPastSale(fpromtest.PastSale{EventID: "older", Email: "c4@example.com", Amount: 1, Currency: "EUR", At: day.AddDate(0, 0, -9)}) // so c4 was a referral already
	b.WriteString("old_99;;1,00;EUR;" + day.Format(time.RFC3339) + "\n")
	path := filepath.Join(t.TempDir(), "old.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	e := account(fake)
	args := []string{"reconcile", "--sales", path, "--amount", "major", "--decimal", ",", "--from", today(-11), "--to", today(-9), "--rate", "6000", "-o", "json"}
	var v verdicts
	r := fprom(t, e, args...).want(t, 3)
	r.object(t, &v)
	if len(v.Missing) != 1 || v.Matched != 19 || len(v.Foreign) != 0 || !strings.Contains(r.err, "line 22 makes no sale") {
		t.Errorf("%s", r)
	}
	v = verdicts{}
	fprom(t, e, append(args, "--redrive")...).want(t, 3).object(t, &v) // for line 22
	if v.Redriven == nil || v.Redriven.Tracked != 1 || fake.Count("sale", "old_4") != 1 {
		t.Errorf("%+v", v)
	}
	fake.AddPastSale(fpromtest.PastSale{EventID: "later", Email: "c4@example.com", Amount: 1, Currency: "EUR", At: day.AddDate(0, 0, 8)})
	v = verdicts{}
	r = fprom(t, e, append(args, "--from", today(-3), "--to", today(-2), "--redrive")...).want(t, 3)
	if r.object(t, &v); !strings.Contains(r.err, "nothing was compared: ") || len(v.Foreign) != 0 || v.Redriven == nil {
		t.Error(r)
	}
	free := past(t, 0)
	if err := os.WriteFile(free, []byte("event_id,email,amount,created_at\nfree_1,c1@example.com,0,"+today(-2)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r = fprom(t, e, "reconcile", "--sales", free, "--amount", "minor").want(t, 3)
	if !strings.Contains(r.err, "nothing was compared: ") || !strings.Contains(r.out, "no sale of ours") {
		t.Error(r)
	}
	for _, c := range []struct {
		change env
		code   int
	}{
		{env{"FIRSTPROMOTER_API_KEY": "wrong-key-000"}, 4},
		{env{"FIRSTPROMOTER_API_KEY": ""}, 2},
		{env{"FIRSTPROMOTER_API_URL": strings.Replace(fake.URL, "/api/v2", "/wrong", 1)}, 5},
	} {
		fprom(t, e.with(c.change), args...).want(t, c.code)
	}
}

func TestWhy(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		fake, e := filled(t, p)
		before := fake.Count("company", "")
		for _, c := range []struct{ what, verdict string }{
			{"jane@example.com", "earned a commission"}, {"bob@example.com", "no lead"}, {"ch_1", "earned a commission"}, {"bad_1", "dead letter"}, {"nobody", "no lead"},
		} {
			var v struct {
				Verdict, Detail string
				Calls           int
			}
			r := fprom(t, e, "why", c.what, "-o", "json").want(t, 0)
			r.object(t, &v)
			if v.Verdict != c.verdict || v.Detail == "" || v.Calls > 3 || strings.Contains(r.out, "@example.com") || strings.Contains(r.out, fpromtest.PromoterSecret) {
				t.Errorf("%s: %s", c.what, r)
			}
		}
		if n := fake.Count("company", "") - before; n > 15 {
			t.Errorf("%d calls", n)
		}
		if r := fprom(t, e.with(env{"FPROM_OUTBOX": "/no/such.db"}), "why", "bob@example.com").want(t, 0); !strings.HasPrefix(r.out, "no lead: ") || !strings.Contains(r.err, "without the outbox") {
			t.Error(r)
		}
		fprom(t, e, "why", " ").want(t, 2)
		fprom(t, e.with(env{"FIRSTPROMOTER_API_KEY": "wrong-key-000"}), "why", "bob@example.com").want(t, 4)
		outage := e.with(env{"FIRSTPROMOTER_API_URL": "http://" + closedPort + "/api/v2/track"})
		for what, says := range map[string]string{
			"kim@example.com": "sale:ch_3 is not delivered yet: FirstPromoter knows no such referral yet", "jane@example.com": "sale:bad_1 was given up: 400 Bad Request: Error. Amount blank or invalid. Mend",
			"ch_1": "sale:ch_1 is done: tracked; commissions in the answer: 1",
		} {
			r := fprom(t, outage, "why", what).want(t, 5)
			if !strings.HasPrefix(r.out, "not asked: FirstPromoter could not be asked, so this is not final") || !strings.Contains(r.out, says) || !strings.Contains(r.err, "not reachable") || strings.Contains(r.out, "@") {
				t.Errorf("no %q in %s", says, r)
			}
		}
	})
}

// Who has to wait for the account's limit is told so, and what to do if it stays.
func TestWaitsForTheLimit(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t)
	limited := fake.Inject(fpromtest.Status(429).RetryAfter("2").Times(1))
	e := account(fake).with(env{"FPROM_OUTBOX": emptyOutbox(t)})
	for _, args := range [][]string{{"why", "jane@example.com"}, {"reconcile"}} {
		if r := fprom(t, e, args...).want(t, 0); !strings.Contains(r.err, "FirstPromoter answers 429 Too Many Requests; the next call is in 2 s") {
			t.Error(r)
		}
		limited.Remove()
		limited = fake.Inject(fpromtest.Status(429).RetryAfter("2").Times(1))
	}
	limited.Remove()
	fake.Inject(fpromtest.Status(500))
	if r := fprom(t, e, "why", "jane@example.com").want(t, 5); !strings.Contains(r.err, "FirstPromoter, or a proxy before it, fails; try again in a minute: 500") {
		t.Error(r)
	}
}

func TestReconcileSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0))
	undated := past(t, 2)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, 2, "or --sales FILE"},
		{[]string{"--sales", undated, "--amount", "minor"}, 1, "no column is created_at"},
		{[]string{"--sales", undated}, 2, "--amount is missing"},
		{[]string{"--outbox", "none.db"}, 1, "there is no such file"},
		{[]string{"--outbox", "none.db", "--from", "yesterday"}, 2, "is not a day"},
		{[]string{"--outbox", "none.db", "--changes", "none.jsonl"}, 1, "check --changes"},
	} {
		if r := fprom(t, account(fake), append([]string{"reconcile"}, c.args...)...).want(t, c.code); !strings.Contains(r.err, c.says) {
			t.Errorf("no %q in %s", c.says, r)
		}
	}
}
