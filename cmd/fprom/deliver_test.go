package main_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom/fpromtest"
)

// A run that was killed while it delivered is run again at once: then it delivers what is left, and does not wait for itself.
// What the killed one had in hand comes when riverqueue's Config.Rescue is over.
func TestBackfillKilledWhileItDelivers(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		put(t, p, nil, sale("ch_1", "jane@example.com", 1999, "USD"))
		fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
		e := account(fake).with(env{"FPROM_OUTBOX": p.where})
		file := past(t, 300)
		cmd := command(t, e, "backfill", file, "--amount", "minor", "--deliver", "--rate", "600")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool { return fake.Count("sale", "") > 3 })
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		cmd = command(t, e, "backfill", file, "--amount", "minor", "--deliver", "--rate", "30000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
		for end := time.Now().Add(2 * time.Minute); len(fake.Commissions()) < 200; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d commissions of 301", len(fake.Commissions()))
			}
		}
	})
}

// Refused credentials end a run that delivers itself: nobody else would tell.
func TestBackfillWithRefusedCredentials(t *testing.T) {
	t.Parallel()
	p := inFile(t)
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
	e := account(fake).with(env{"FPROM_OUTBOX": p.where, "FIRSTPROMOTER_API_KEY": "wrong-key-000"})
	fprom(t, e, "backfill", past(t, 3), "--amount", "minor", "--deliver", "--wait=3m", "-o", "json").want(t, 4)
}

// Where another process has the file open and does not deliver it, nothing would ever be sent: then --deliver says so.
func TestBackfillBesideOneThatOnlyLooks(t *testing.T) {
	t.Parallel()
	p := inFile(t)
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
	e := account(fake).with(env{"FPROM_OUTBOX": p.where})
	looks := p.open(t)
	defer func() { _ = looks.Close() }()
	if r := fprom(t, e, "backfill", past(t, 3), "--amount", "minor", "--deliver", "--wait=3m").want(t, 1); !strings.Contains(r.err, "does not deliver it") {
		t.Error(r)
	}
}

// A service that starts or ends delivers nothing for a moment: backfill leaves the rows to it, and waits for their outcomes.
func TestBackfillBesideAServiceThatStarts(t *testing.T) {
	t.Parallel()
	for flag, nth := range map[string]int{"--deliver": 2, "--wait=3m": 3} { // before that Dial asks, and at its end the run that queues
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			p := inFile(t)
			fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
			serve(t, p, fake)
			between(t, p, func(path string, n int) string {
				return map[bool]string{true: `{"bulk":3}`}[path == "/status" && n == nth]
			})
			r := fprom(t, account(fake).with(env{"FPROM_OUTBOX": p.where}), "backfill", past(t, 3), "--amount", "minor", flag).want(t, 0)
			if !strings.Contains(r.out, "3 tracked") {
				t.Error(r)
			}
		})
	}
}

// One connection to the database is enough for every command, also for one that delivers.
func TestOneConnection(t *testing.T) {
	t.Parallel()
	p := inDatabase(t)
	put(t, p, nil, sale("ch_1", "jane@example.com", 1999, "USD"))
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
	e := account(fake).with(env{"FPROM_OUTBOX": p.where + "&pool_max_conns=1"})
	for _, args := range [][]string{{"status"}, {"events"}, {"backfill", past(t, 20), "--amount", "minor", "--deliver", "--wait=3m", "--rate", "30000"}, {"dead", "list"}} {
		fprom(t, e, args...).want(t, 0)
	}
	if n := len(fake.Commissions()); n != 21 {
		t.Errorf("%d commissions", n)
	}
}

// A database that refuses the user while --wait waits is no restart: nothing would mend it, so the run ends at once.
func TestWaitEndsWhenTheDatabaseRefuses(t *testing.T) {
	t.Parallel()
	p := inDatabase(t)
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0))
	fake.Inject(fpromtest.Hang())
	serve(t, p, fake)
	operator, exec := newRole(t, "SUPERUSER")
	where := asRole(t, p, operator)
	cmd := command(t, env{"FPROM_OUTBOX": where}, "backfill", past(t, 3), "--amount", "minor", "--wait=3m")
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		return strings.Contains(fprom(t, env{"FPROM_OUTBOX": p.where}, "status", "-o", "json").out, `"bulk": 3`)
	})
	exec("ALTER ROLE " + operator + " NOLOGIN")
	exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '" + operator + "'")
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 4 || !strings.Contains(errs.String(), "PostgreSQL refuses the user or the password; check user and password in the address") {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}
