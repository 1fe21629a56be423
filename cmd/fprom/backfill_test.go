package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	root "github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
)

type filled2 struct {
	Rows, Queued, Known, Conflicts, Invalid int
	RejectsFile                             string `json:"rejects_file"`
	Tracked, Dead                           *int
}

// past writes a file of n sales, and lines behind them.
func past(t *testing.T, n int, lines ...string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("event_id,email,amount,currency\n")
	for i := range n {
		fmt.Fprintf(&b, "past_%d,cust%d@example.com,%d,USD\n", i, i, 500+i)
	}
	for _, l := range lines {
		b.WriteString(l + "\n")
	}
	path := filepath.Join(t.TempDir(), "past.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBackfill(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		fake, e, _ := sold(t, p, sale("past_0", "cust0@example.com", 500, "USD"), sale("past_1", "cust1@example.com", 7, "USD"))
		file := past(t, 20, "bad_1,cust99@example.com,19.99,USD", "bad_2,,100,USD")
		rejects := filepath.Join(t.TempDir(), "rejects.csv")
		fprom(t, e, "backfill", file, "--amount", "minor", "--dry-run").want(t, 3).golden(t, "backfill_dry.txt")
		if n := fake.Count("sale", ""); n != 2 {
			t.Errorf("a dry run made %d calls", n-2)
		}
		var v filled2
		fprom(t, e, "backfill", file, "--amount", "minor", "--rejects", rejects, "--wait=3m", "-o", "json").want(t, 3).object(t, &v)
		if v.Rows != 22 || v.Queued != 18 || v.Known != 1 || v.Conflicts != 1 || v.Invalid != 2 || v.RejectsFile != rejects || v.Tracked == nil || *v.Tracked != 18 {
			t.Errorf("%+v", v)
		}
		if b, err := os.ReadFile(rejects); err != nil || !strings.Contains(string(b), "bad_1") || !strings.Contains(string(b), "line") {
			t.Errorf("%v: %s", err, b)
		}
		v = filled2{}
		again := fprom(t, e, "backfill", file, "--amount", "minor", "--deliver", "-o", "json").want(t, 3)
		if again.object(t, &v); v.Queued != 0 || v.Known != 19 || !strings.Contains(again.err, "a service delivers this outbox") {
			t.Errorf("again: %+v %s", v, again)
		}
		if r := fprom(t, e, "backfill", past(t, 0, "past_1,cust1@example.com,501,USD"), "--amount", "minor").want(t, 3); !strings.Contains(r.out, "1 with another amount, 0 invalid") {
			t.Error(r)
		}
		if n := len(fake.Commissions()); n != 20 {
			t.Errorf("%d commissions", n)
		}
	})
}

// Without a service the program delivers itself; Ctrl-C loses nothing, and the next run goes on.
func TestBackfillDelivers(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		put(t, p, nil, sale("ch_1", "jane@example.com", 1999, "USD"))
		fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
		e := account(fake).with(env{"FPROM_OUTBOX": p.where})
		file := past(t, 60)
		if r := fprom(t, e, "backfill", file, "--amount", "minor", "--wait").want(t, 3); !strings.Contains(r.err, "nobody delivers") {
			t.Error(r)
		}
		if fprom(t, e, "backfill", file, "--amount", "minor", "--deliver", "--dry-run").want(t, 0); fake.Count("", "") != 0 {
			t.Errorf("a dry run made %d calls", fake.Count("", ""))
		}
		cmd := command(t, e, "backfill", file, "--amount", "minor", "--deliver", "--rate", "60") // for a minute
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool { return fake.Count("sale", "") > 3 })
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 130 {
			t.Errorf("after Ctrl-C: exit %d", code)
		}
		var v filled2
		fprom(t, e, "backfill", file, "--amount", "minor", "--deliver", "--rate", "30000", "-o", "json").want(t, 0).object(t, &v)
		fake.Inject(fpromtest.Status(400).OnEvent("never"))
		if r := fprom(t, e, "backfill", past(t, 0, "never,no@example.com,700,USD"), "--amount", "minor", "--deliver").want(t, 3); !strings.Contains(r.out, "1 dead") {
			t.Error(r)
		}
		if v.Rows != 60 || v.Known != 60 {
			t.Errorf("%+v", v)
		}
		eventually(t, func() bool { return len(fake.Commissions()) == 61 })
		for _, r := range fake.Requests() {
			if r.Kind == root.KindSale && fake.Count("sale", r.EventID) > 2 { // one under way at Ctrl-C may come again
				t.Errorf("%s was sent %d times", r.EventID, fake.Count("sale", r.EventID))
			}
		}
	})
}

// A sum that is too large to be counted is not shown as a small or a negative one.
func TestBackfillOfALargeSum(t *testing.T) {
	t.Parallel()
	var lines []string
	for i := range 2051 { // twice the largest sum, and a bit
		lines = append(lines, fmt.Sprintf("past_%d,cust%d@example.com,%d,USD", i, i, int64(1<<53-1)))
	}
	r := fprom(t, env{}, "backfill", past(t, 0, lines...), "--amount", "minor", "--dry-run").want(t, 0)
	if !strings.Contains(r.out, "sum of the amounts: at least 92233720368547758.07 USD\n") {
		t.Error(r)
	}
}

// What a new user does first, and what each mistake is answered with.
func TestBackfillFirstSteps(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
	e, file := account(fake), past(t, 3, "bad_1,cust9@example.com,12x,USD")
	none := filepath.Join(t.TempDir(), "none.db")
	for _, c := range []struct {
		name string
		e    env
		args []string
		code int
		says string
	}{
		{"a dry run needs no outbox and no account", env{}, []string{"--amount", "minor", "--dry-run"}, 3, "there is no outbox: all rows are taken as new"},
		{"it shows the sum", env{}, []string{"--amount", "minor", "--dry-run"}, 3, "sum of the amounts: 15.03 USD"},
		{"the sum where no currency is named", env{}, []string{"--amount", "minor", "--map", "currency=-", "--dry-run"}, 3, "sum of the amounts: 15.03 in the account's currency"},
		{"it says what is wrong with a row", env{}, []string{"--amount", "minor", "--dry-run"}, 3, "line 5: Amount: is not a whole number such as 1999"},
		{"a dry run for an outbox that is to be made", env{}, []string{"--amount", "minor", "--dry-run", "--outbox", none}, 3, "there is no outbox " + none},
		{"an unknown currency", env{}, []string{"--amount", "major", "--currency", "US", "--dry-run"}, 2, "is not an ISO 4217 code"},
		{"no column of a currency", env{}, []string{"--amount", "major", "--map", "currency=-", "--dry-run"}, 3, "add --currency JPY"},
		{"no outbox", e, []string{"--amount", "minor"}, 2, "no outbox is named"},
		{"a wrong path", e, []string{"--amount", "minor", "--outbox", none}, 1, "check the path and $FPROM_OUTBOX. The service makes it when it starts; where no service is to deliver the rows, --deliver makes it"},
		{"another database", e, []string{"--amount", "minor", "--deliver", "--outbox", "mysql://x"}, 2, "begins with postgres://"},
		{"no account", env{}, []string{"--amount", "minor", "--deliver", "--outbox", none}, 2, "$FIRSTPROMOTER_API_KEY"},
		{"a mixed column", env{}, []string{"--amount", "major", "--decimal", ",", "--dry-run", "--map", "amount=email", "--map", "email=amount"}, 3, "0 would be queued"},
	} {
		r := fprom(t, c.e, append([]string{"backfill", file}, c.args...)...).want(t, c.code)
		if !strings.Contains(r.err+r.out, c.says) {
			t.Errorf("%s: no %q in %s", c.name, c.says, r)
		}
	}
	if _, err := os.Stat(none); err == nil {
		t.Error("an outbox was made")
	}
	wrong := e.with(env{"FIRSTPROMOTER_API_KEY": "wrong-key-000"})
	r := fprom(t, wrong, "backfill", file, "--amount", "minor", "--deliver", "--outbox", none).want(t, 4)
	if !strings.Contains(r.err, "run the same command again to go on") || !strings.Contains(r.err, "fprom doctor says which") {
		t.Error(r)
	}
	fprom(t, e, "backfill", file, "--amount", "minor", "--deliver", "--outbox", none, "--rate", "30000").want(t, 3)
	if n := len(fake.Commissions()); n != 3 {
		t.Errorf("%d commissions", n)
	}
}

// Free trials and failed payments are no sales and need nobody. But if all rows are such, another column has the amounts or the status.
func TestBackfillOfTrials(t *testing.T) {
	t.Parallel()
	const sales, trial, failed = "ch_1,a@example.com,19.99,Paid\nch_2,b@example.com,19.99,Paid\n", "ch_3,c@example.com,0.00,\n", "ch_4,,19.99,Failed\n"
	for _, c := range []struct {
		rows string
		code int
		says string
	}{
		{sales + trial, 0, "3 rows: 2 would be queued, 0 known, 0 with another amount, 0 invalid, 1 with the amount zero\n"},
		{trial, 3, "no row has an amount: "},
		{sales + failed + trial, 0, "0 invalid, 1 with the amount zero, 1 not paid\n"},
		{failed + trial, 3, "no row is a paid sale: "},
	} {
		file := past(t, 0)
		if err := os.WriteFile(file, []byte("event_id,email,amount,status\n"+c.rows), 0o600); err != nil {
			t.Fatal(err)
		}
		r := fprom(t, env{}, "backfill", file, "--amount", "major", "--currency", "USD", "--dry-run").want(t, c.code)
		if !strings.Contains(r.out+r.err, c.says) || strings.Contains(r.err, "line 4") || !strings.HasPrefix(r.err, "FirstPromoter will date these sales today") {
			t.Error(r)
		}
	}
}

// The file for rejects must not be the outbox: it would be overwritten, with all that waits in it.
func TestRejectsIntoTheOutbox(t *testing.T) {
	t.Parallel()
	p := inFile(t)
	if err := p.open(t).Close(); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "rejects.csv")
	if err := os.Symlink(p.where, link); err != nil {
		t.Fatal(err)
	}
	file := past(t, 1, "bad_1,,100,USD")
	for _, rejects := range []string{p.where, link} {
		for _, dry := range []string{"--dry-run", "--dry-run=false"} {
			r := fprom(t, nil, "backfill", file, "--amount", "minor", "--outbox", p.where, "--rejects", rejects, dry).want(t, 2)
			if !strings.Contains(r.err, "is the outbox") {
				t.Error(r)
			}
		}
	}
	fprom(t, nil, "status", "--outbox", p.where).want(t, 0)
}

// Whoever waits in vain learns it from the exit status, also in a run that finds the rows in the outbox.
func TestBackfillNotDoneInTime(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
		fake.Inject(fpromtest.Status(500).OnEvent("past_1"))
		serve(t, p, fake)
		e, file := account(fake).with(env{"FPROM_OUTBOX": p.where}), past(t, 3)
		for range 2 {
			if r := fprom(t, e, "backfill", file, "--amount", "minor", "--wait=1500ms").want(t, 3); !strings.Contains(r.err, "not all rows have an outcome") {
				t.Error(r)
			}
		}
	})
}

// A service that restarts while the rows go to it ends nothing. One that stops is named, and what to do: the file is not at fault.
func TestBackfillWhileTheServiceStops(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		restarts bool
		code     int
		says     []string
	}{
		{true, 0, []string{"is asked again until it answers"}},
		{false, 1, []string{"1500 rows read, 1000 queued before the interruption\n", "the service that has it open ended, or does not answer; run the command again\n"}},
	} {
		p := inFile(t)
		fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
		_, stop := serve(t, p, fake)
		cmd := command(t, env{"FPROM_OUTBOX": p.where}, "backfill", "-", "--amount", "minor")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var errs, out said
		cmd.Stderr, cmd.Stdout = &errs, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		rows, err := os.ReadFile(past(t, 1500))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Write(rows); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool { return fake.Count("sale", "") > 0 }) // the first thousand is queued
		stop()
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if c.restarts {
			eventually(t, func() bool { return strings.Contains(errs.String(), c.says[0]) })
			serve(t, p, fake)
		}
		_ = cmd.Wait()
		code := cmd.ProcessState.ExitCode()
		for _, says := range c.says {
			if code != c.code || strings.Contains(errs.String(), "mend the file") || !strings.Contains(errs.String(), says) {
				t.Errorf("exit %d: %s", code, errs.String())
			}
		}
		if c.restarts && !strings.HasPrefix(out.String(), "1500 rows: 1500 queued, 0 known, 0 with another amount, 0 invalid\n") {
			t.Error(out.String())
		}
	}
}

// Who waits no longer gets an answer soon, although the rows are not delivered.
func TestBackfillUnreachable(t *testing.T) {
	t.Parallel()
	e := env{"FIRSTPROMOTER_API_KEY": "key-1234567890", "FIRSTPROMOTER_ACCOUNT_ID": "acct", "FIRSTPROMOTER_API_URL": "http://127.0.0.1:9/api/v2/track"}
	begin := time.Now()
	r := fprom(t, e, "backfill", past(t, 3), "--amount", "minor", "--deliver", "--outbox", filepath.Join(t.TempDir(), "new.db"), "--wait=1s").want(t, 3)
	if d := time.Since(begin); d > 2*time.Minute || !strings.Contains(r.err, "not all rows have an outcome") {
		t.Errorf("after %v: %s", d, r)
	}
}

// A service that restarts does not end the wait for its outcomes.
func TestBackfillWaitsThroughARestart(t *testing.T) {
	t.Parallel()
	p := inFile(t)
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
	fake.Inject(fpromtest.Status(500).OnEvent("past_1"))
	_, stop := serve(t, p, fake)
	var errs said
	cmd := command(t, env{"FPROM_OUTBOX": p.where}, "backfill", past(t, 3), "--amount", "minor", "--wait=3m")
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return fake.Count("sale", "past_1") > 0 })
	stop()
	eventually(t, func() bool { return strings.Contains(errs.String(), "is asked again until it answers") }) // nobody has the outbox open
	fake.Heal()
	serve(t, p, fake)
	if err := cmd.Wait(); err != nil || strings.Count(errs.String(), "is asked again until it answers") != 1 {
		t.Errorf("%v: %s", err, errs.String())
	}
}

// What a file does not have, or has twice, is said.
func TestBackfillOfAnOddFile(t *testing.T) {
	t.Parallel()
	e := env{"FPROM_OUTBOX": emptyOutbox(t)}
	if r := fprom(t, e, "backfill", past(t, 0), "--amount", "minor").want(t, 0); !strings.Contains(r.err, "the file has no rows") {
		t.Error(r)
	}
	if r := fprom(t, e, "backfill", past(t, 2, "past_1,cust1@example.com,501,USD"), "--amount", "minor").want(t, 3); !strings.Contains(r.err, "1 row with the event id and amount of an earlier row") || !strings.Contains(r.err, "leave the earlier rows as they are") {
		t.Error(r)
	}
	for kind, do := range map[string]string{"sale": "refund each of these sales", "refund": "report the rest of each of these refunds"} {
		if r := fprom(t, e, "backfill", past(t, 2, "old_9,cust1@example.com,5.01,USD"), "--amount", "minor", "--kind", kind).want(t, 3); !strings.Contains(r.err, "what is queued stays: "+do) {
			t.Error(r)
		}
	}
	payments := filepath.Join(t.TempDir(), "payments.csv")
	if err := os.WriteFile(payments, []byte("id,Amount,Amount Refunded,Customer Email,Status,Invoice ID\nch_1,20.00,20.00,ann@example.com,Refunded,in_1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := fprom(t, e, "backfill", payments, "--amount", "major").want(t, 0); !strings.Contains(r.err, "column Amount Refunded is left out") || !strings.Contains(r.err, "list of refunds with --kind refund") || !strings.Contains(r.err, "add --map 'Invoice ID=event_id'") {
		t.Error(r)
	}
	if r := fprom(t, e, "backfill", payments, "--amount", "major", "--map", "Invoice ID=event_id").want(t, 0); strings.Contains(r.err, "add --map") {
		t.Error(r)
	}
	if err := os.WriteFile(payments, []byte("Order=No,Amount,Customer Email\nNo 1,20.00,ann@example.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fprom(t, e, "backfill", payments, "--amount", "major", "--map", "Order=No=event_id").want(t, 0)
}

// The reason of a row is whole, with the address that it has as an example, and without the row's. It says what to do.
func TestReasonOfARow(t *testing.T) {
	t.Parallel()
	e := env{"FPROM_OUTBOX": emptyOutbox(t)}
	for row, says := range map[string]string{
		"ch_1,Joe <joe@shop.test>,100,USD": "such as ann@example.com",
		"ch_1,joe@shop.test,19.999,USD":    "three digits behind its mark: is it a thousands separator? Write two, or none",
		"ch_1,joe@shop.test,19.9999,USD":   "round it, or name the right currency",
		"ch_\xe9,joe@shop.test,100.00,USD": "save the file that has it as UTF-8",
	} {
		if r := fprom(t, e, "backfill", past(t, 0, row), "--amount", "major").want(t, 3); !strings.Contains(r.err, says) || strings.Contains(r.err, "joe@") {
			t.Errorf("no %q in %s", says, r)
		}
	}
}

// Malformed credentials are named as the operator has set them.
func TestNamesOfSettings(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{"FIRSTPROMOTER_API_KEY": "a b", "FIRSTPROMOTER_ACCOUNT_ID": "a\nb", "FIRSTPROMOTER_API_URL": "https://api.firstpromoter.com/api/v2"} {
		e := env{"FPROM_OUTBOX": emptyOutbox(t), "FIRSTPROMOTER_API_KEY": "key-1234567890", "FIRSTPROMOTER_ACCOUNT_ID": "acct"}.with(env{name: value})
		if r := fprom(t, e, "reconcile").want(t, 2); !strings.Contains(r.err, "$"+name+":") || strings.Contains(r.err, "Config.") {
			t.Error(r)
		}
	}
}
