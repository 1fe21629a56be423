package main_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	root "github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
)

type letters struct {
	Dead []struct {
		Key, Reason string
		Status      int
	}
	Redriven, Dropped, Selected int
	DryRun                      bool `json:"dry_run"`
	Waiting                     int
	Events                      []struct{ Key, State, Outcome string }
}

func dead(t *testing.T, e env) (keys []string) {
	t.Helper()
	var l letters
	fprom(t, e, "dead", "list", "-o", "json").want(t, 0).object(t, &l)
	for _, d := range l.Dead {
		keys = append(keys, d.Key)
	}
	return keys
}

func TestDead(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		fake, e := filled(t, p)
		fprom(t, e, "dead", "list").want(t, 0).golden(t, "dead.txt")
		if r := fprom(t, e, "dead", "list", "--all").want(t, 0); !strings.Contains(r.out, "2 dead letters") {
			t.Error(r)
		}
		fprom(t, e, "dead", "list", "--reason", "AMOUNT", "--limit", "1", "-o", "json").want(t, 0).golden(t, "dead.json")
		fprom(t, e, "dead", "redrive", "--all", "--dry-run").want(t, 0).golden(t, "dead_plan.txt")
		for _, verb := range []string{"redrive", "drop"} {
			if r := fprom(t, e, "dead", verb, "--all", "--dry-run", "--personal").want(t, 0); !strings.Contains(r.out, "jane@example.com") {
				t.Errorf("--personal: %s", r)
			}
			if r := fprom(t, e, "dead", verb, "--all").want(t, 2); !strings.Contains(r.err, verb+" 2 dead letters") {
				t.Errorf("the refusal shows no number: %s", r)
			}
			fprom(t, e, "dead", verb, "ch_1", "--yes").want(t, 1) // is none
		}
		if got := dead(t, e); !slices.Equal(got, []string{"sale:bad_1", "sale:bad_2"}) {
			t.Fatalf("after nothing was confirmed: %q", got)
		}
		var l letters
		fprom(t, e, "dead", "drop", "--reason", "no such reason", "--yes", "-o", "json").want(t, 0).object(t, &l)
		if l.Dropped != 0 {
			t.Errorf("%+v", l)
		}
		fprom(t, e, "dead", "drop", "sale:bad_2", "--yes", "-o", "json").want(t, 0).object(t, &l)
		if got := dead(t, e); l.Dropped != 1 || !slices.Equal(got, []string{"sale:bad_1"}) {
			t.Errorf("%+v, left %q", l, got)
		}
		// nobody delivers
		if r := fprom(t, e, "dead", "redrive", "--all", "--yes", "--wait").want(t, 3); !strings.Contains(r.err, "when the service starts") {
			t.Error(r)
		}
		if got := dead(t, e); len(got) != 0 {
			t.Errorf("left %q", got)
		}
		serve(t, p, fake) // FirstPromoter still refuses it
		eventually(t, func() bool { return slices.Equal(dead(t, e), []string{"sale:bad_1"}) })
		if r := fprom(t, e, "dead", "redrive", "--all", "--yes", "--wait").want(t, 3); !strings.Contains(r.out, "1 dead again") {
			t.Error(r)
		}
		fake.Heal()
		l = letters{}
		fprom(t, e, "dead", "redrive", "bad_1", "--yes", "--wait=3m", "-o", "json").want(t, 0).object(t, &l)
		if l.Redriven != 1 || len(l.Events) != 1 || l.Events[0].Outcome != "tracked" {
			t.Errorf("%+v", l)
		}
		if n := len(fake.Commissions()); n != 3 { // ch_1, rf_1, bad_1
			t.Errorf("%d commissions", n)
		}
	})
}

// The list shows 50 dead letters, and says how to see the others; --all shows all.
func TestDeadListShowsAll(t *testing.T) {
	t.Parallel()
	p := inFile(t)
	events := make([]root.Event, 51)
	for i := range events {
		events[i] = sale(fmt.Sprintf("ch_%02d", i), "jane@example.com", 100, "usd")
	}
	givenUp(t, p, events...)
	e := env{"FPROM_OUTBOX": p.where}
	if n := len(dead(t, e)); n != 50 {
		t.Errorf("%d dead letters, want 50", n)
	}
	var l letters
	if fprom(t, e, "dead", "list", "--all", "-o", "json").want(t, 0).object(t, &l); len(l.Dead) != 51 {
		t.Errorf("--all: %d dead letters, want 51", len(l.Dead))
	}
}

// The JSON of redrive has the same fields whether it sends, waits, or finds nothing to send.
func TestRedriveInJSON(t *testing.T) {
	t.Parallel()
	p := inFile(t)
	fake, e := filled(t, p)
	serve(t, p, fake)
	fake.Heal()
	for _, c := range []struct {
		args     string
		selected int
	}{{"--all --dry-run", 2}, {"--reason nonsense", 0}, {"--all", 2}} {
		var v map[string]any
		fprom(t, e, append(strings.Fields("dead redrive --yes --wait=3m -o json"), strings.Fields(c.args)...)...).want(t, 0).object(t, &v)
		for _, field := range []string{"redriven", "selected", "dry_run", "waiting", "dead_again", "events"} {
			if v[field] == nil {
				t.Errorf("%s: no %s in %v", c.args, field, v)
			}
		}
		if v["selected"] != float64(c.selected) {
			t.Errorf("%s: %v", c.args, v)
		}
	}
}

const columns = 60 // of the terminal

// onTerminal runs the program on a terminal of its own, types the answer at its question, and returns what it showed.
func onTerminal(t *testing.T, e env, answer string, args ...string) (string, int) {
	t.Helper()
	return onTerminalAfter(t, e, func() {}, answer, args...)
}

// The question is asked on a terminal, with the number, and no is the answer to everything but yes.
func TestConfirmOnATerminal(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		_, e := filled(t, p)
		for _, c := range []struct {
			answer string
			code   int
			left   int
		}{{"n\n", 1, 2}, {"\n", 1, 2}, {"\x04", 1, 2}, {"yes\n", 0, 0}} {
			out, code := onTerminal(t, e.with(env{"NO_COLOR": "1"}), c.answer, "dead", "drop", "--all")
			if code != c.code || !strings.Contains(out, "drop 2 dead letters? [y/N]") || !strings.Contains(out, "sale:bad_1") {
				t.Errorf("%q: exit %d, %s", c.answer, code, out)
			}
			if strings.Contains(out, "\x1b") {
				t.Errorf("escapes although NO_COLOR is set: %q", out)
			}
			if got := dead(t, e); len(got) != c.left {
				t.Errorf("%q: left %q", c.answer, got)
			}
		}
	})
}

// What is given up while the question stands on the terminal was not asked about.
func TestConfirmedIsWhatWasShown(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		fake, e := filled(t, p)
		tracker, _ := serve(t, p, fake)
		fake.Inject(fpromtest.Status(400).OnEvent("bad_3"))
		out, code := onTerminalAfter(t, e.with(env{"NO_COLOR": "1"}), func() {
			eventually(t, func() bool { return tracker.Enqueue(t.Context(), sale("bad_3", "zoe@example.com", 100, "USD")) == nil })
			eventually(t, func() bool { return len(dead(t, e)) == 3 })
		}, "y\n", "dead", "drop", "--all")
		if got := dead(t, e); code != 0 || !slices.Equal(got, []string{"sale:bad_3"}) {
			t.Errorf("exit %d, left %q: %s", code, got, out)
		}
	})
}

// A service that starts while the question stands on the terminal gets the file, and the answer counts.
func TestAServiceStartsAtTheQuestion(t *testing.T) {
	t.Parallel()
	p := inFile(t)
	_, e := filled(t, p)
	for _, args := range []string{"dead drop sale:bad_1", "forget bob@example.com"} {
		var q *boltqueue.Queue
		out, code := onTerminalAfter(t, e.with(env{"NO_COLOR": "1"}), func() {
			var err error
			if q, err = boltqueue.Open(p.where); err != nil {
				t.Errorf("%s: a service that starts: %v", args, err)
			}
		}, "y\n", strings.Fields(args)...)
		if code != 0 || !strings.Contains(out, "1 dead letter") {
			t.Errorf("%s: exit %d, %s", args, code, out)
		}
		if q != nil {
			_ = q.Close()
		}
	}
}

// between puts itself between the service of p and its clients. It sends the answer that answer returns to the nth request for a path, or
// lets the service answer if that is "". With an answer that is an error, the status is 500.
func between(t *testing.T, p place, answer func(path string, nth int) string) {
	t.Helper()
	socket := p.where + ".sock"
	if err := os.Rename(socket, socket+".service"); err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "outbox"}) },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket+".service")
		}},
	}
	var mu sync.Mutex
	asked := map[string]int{}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.Path]++
		text := answer(r.URL.Path, asked[r.URL.Path])
		mu.Unlock()
		if text == "" {
			proxy.ServeHTTP(w, r)
			return
		}
		if strings.Contains(text, "error") {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, text)
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
}

// givenUp is a service whose FirstPromoter rejected the events, and accepts them now.
func givenUp(t *testing.T, p place, events ...root.Event) (*fpromtest.Server, *root.Tracker) {
	t.Helper()
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
	fake.Inject(fpromtest.Status(400))
	tracker, _ := serve(t, p, fake)
	enqueue(t, tracker, events...)
	flush(t, tracker)
	fake.Heal()
	return fake, tracker
}

// closing is what a service answers during its Close.
var closing = fmt.Sprintf(`{"error":%q}`, root.ErrQueueClosed)

// A service that is closing while it is asked for the outcomes does not end the wait, and one that delivers nothing yet is given some
// seconds.
func TestRedriveFollowsAClosingService(t *testing.T) {
	t.Parallel()
	for path, answer := range map[string]string{"/entries": closing, "/status": "{}"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			p := inFile(t)
			fake, _ := givenUp(t, p, sale("bad_1", "jane@example.com", 1250, "USD"))
			between(t, p, func(asked string, nth int) string { // the first time is for the plan, or for Dial
				return map[bool]string{true: answer}[asked == path && nth == 2]
			})
			r := fprom(t, account(fake).with(env{"FPROM_OUTBOX": p.where}), "dead", "redrive", "bad_1", "--yes", "--wait=3m").want(t, 0)
			if strings.Contains(r.err, "asked again until it answers") != (answer == closing) || !strings.Contains(r.out, "1 dead letter redriven: 1 done") {
				t.Error(r)
			}
		})
	}
}

// resetter resets its connection in place of a statement when cut is set. pgx sends "-- ping" before it uses an old connection.
type resetter struct {
	net.Conn
	cut *atomic.Bool
}

func (r resetter) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	if err == nil && !strings.Contains(string(b[:n]), "-- ping") && r.cut.CompareAndSwap(true, false) {
		return 0, errors.Join(net.ErrClosed, r.Conn.(*net.TCPConn).SetLinger(0), r.Close())
	}
	return n, err
}

// A connection that is reset while the database is asked for the outcomes does not end the wait.
func TestRedriveFollowsAReset(t *testing.T) {
	t.Parallel()
	p := inDatabase(t)
	fake, tracker := givenUp(t, p, sale("bad_1", "jane@example.com", 1250, "USD"))
	fake.Inject(fpromtest.Hang())
	u, err := url.Parse(p.where)
	if err != nil {
		t.Fatal(err)
	}
	server := u.Host
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var cut atomic.Bool
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			db, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server)
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(client, db) }()
			go func() {
				defer func() { _ = db.Close() }()
				_, _ = io.Copy(db, resetter{client, &cut})
			}()
		}
	}()
	u.Host = l.Addr().String()
	var out, errs said
	cmd := command(t, account(fake).with(env{"FPROM_OUTBOX": u.String()}), "dead", "redrive", "bad_1", "--yes", "--wait=3m")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { s := tracker.Stats(); return s.Queue.Dead == 0 && s.Queue.Pending == 1 })
	cut.Store(true)
	eventually(t, func() bool { return !cut.Load() })
	fake.Heal()
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 0 || !strings.Contains(errs.String(), "asked again until it answers") {
		t.Errorf("exit %d: %s%s", code, out.String(), errs.String())
	}
}

// The end of the service in the middle of a redrive: what it had redriven is said.
func TestRedriveThatIsInterrupted(t *testing.T) {
	t.Parallel()
	p := inFile(t)
	fake, _ := givenUp(t, p, sale("bad_1", "jane@example.com", 1250, "USD"), root.Refund{EventID: "bad_2", Email: "jane@example.com", Amount: 100, Currency: "USD"})
	between(t, p, func(path string, nth int) string { // each kind is a request
		return map[bool]string{true: closing}[path == "/redrive" && nth == 2]
	})
	r := fprom(t, account(fake).with(env{"FPROM_OUTBOX": p.where}), "dead", "redrive", "--all", "--yes").want(t, 1)
	if !strings.Contains(r.err, "1 of 2 dead letters are known to be redriven") || !strings.Contains(r.err, "run the command again") {
		t.Error(r)
	}
}

// A service that is restarted while its redriven events are followed ends nothing: they are followed to their outcomes.
func TestRedriveFollowsARestart(t *testing.T) {
	t.Parallel()
	p := inFile(t)
	put(t, p, nil, sale("bad_1", "jane@example.com", 1250, "USD"))
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0))
	fake.Inject(fpromtest.Status(400))
	_, stop := serve(t, p, fake)
	e := account(fake).with(env{"FPROM_OUTBOX": p.where})
	eventually(t, func() bool { return len(dead(t, e)) == 1 })
	stop()
	first := p.open(t)
	running, end := context.WithCancel(t.Context())
	tried, ended := make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		_ = first.Run(running, 1, func(ctx context.Context, _ root.Message) (root.Result, error) {
			close(tried)
			<-ctx.Done()
			return root.Result{}, ctx.Err()
		})
	}()
	eventually(t, func() bool { // it delivers
		stats, err := first.Stats(t.Context())
		return err == nil && stats.Delivering
	})
	var out, errs said
	cmd := command(t, e, "dead", "redrive", "bad_1", "--yes", "--wait=3m")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-tried
	end()
	<-ended
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return strings.Contains(errs.String(), "asked again until it answers") })
	serve(t, p, fake)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 3 || !strings.Contains(errs.String(), "asked again until it answers") || !strings.Contains(out.String(), "1 dead letter redriven: 0 done, 1 dead again") {
		t.Errorf("exit %d: %s%s", code, out.String(), errs.String())
	}
}

// Who gives no file on a terminal is told that it is waited for.
func TestExplainAsksTheTerminal(t *testing.T) {
	t.Parallel()
	if out, code := onTerminal(t, nil, "{}\n\x04", "explain", "stripe"); code != 0 || !strings.Contains(out, "not-money") {
		t.Errorf("exit %d: %q", code, out)
	}
}

// Long work shows a bar on a terminal, and takes it away at its end.
func TestBar(t *testing.T) {
	t.Parallel()
	p := inFile(t)
	put(t, p, nil, sale("ch_1", "jane@example.com", 1999, "USD"))
	out, code := onTerminal(t, env{"FPROM_OUTBOX": p.where, "NO_COLOR": "1"}, "", "backfill", past(t, 40_000), "--amount", "minor") // long enough for the bar to move
	if code != 0 || !strings.Contains(out, "000 queued") || strings.Contains(out, "\x1b[3") || !strings.HasSuffix(out, "takes about 1 h 48 min\r\n") {
		t.Errorf("exit %d: %q", code, out)
	}
	if !strings.Contains(out, "s left") {
		t.Errorf("a narrow bar does not say how long it takes: %q", out)
	}
	for part := range strings.SplitSeq(out, "\r") {
		if strings.HasPrefix(part, "rows") && utf8.RuneCountInString(part) > columns {
			t.Errorf("the bar takes two lines, and its first stays: %q", part)
		}
	}
}

func TestColours(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t)
	for _, c := range []struct {
		env  env
		want bool
	}{{nil, true}, {env{"NO_COLOR": "1"}, false}, {env{"TERM": "dumb"}, false}} {
		out, _ := onTerminal(t, account(fake).with(env{"TERM": "xterm"}).with(c.env), "", "doctor")
		if strings.Contains(out, "\x1b[32m✓") != c.want {
			t.Errorf("%v: %q", c.env, out)
		}
	}
}
