package backfill_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/backfill"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/outboxtest"
)

func message(t *testing.T, e fprom.Event) fprom.Message {
	t.Helper()
	m, err := fprom.NewMessage(e)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sales is a CSV file of n sales, one customer and minute each.
func sales(n int) string {
	var b strings.Builder
	b.WriteString("event_id,email,amount,currency,created_at\n")
	at := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for i := range n {
		fmt.Fprintf(&b, "ch_%d,c%d@example.com,%d,USD,%s\n", i, i, 500+i, at.Add(time.Duration(i)*time.Minute).Format(time.RFC3339))
	}
	return b.String()
}

// write makes a file and opens it.
func write(t *testing.T, text string) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sales")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// outbox is a new outbox. In a bubble its file has no socket.
func outbox(t *testing.T) *boltqueue.Queue {
	t.Helper()
	box, err := boltqueue.Open(filepath.Join(t.TempDir(), "fprom.db"), boltqueue.WithoutSocket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	return box
}

// settle gives all that waits in an outbox one outcome.
func settle(t *testing.T, box fprom.Outbox, res fprom.Result, err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = box.Run(ctx, 1, func(context.Context, fprom.Message) (fprom.Result, error) { return res, err })
	})
	if err := box.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	wg.Wait()
}

// full is an outbox without room.
type full struct{ fprom.Outbox }

func (full) Put(context.Context, ...fprom.Message) error { return fprom.ErrQueueFull }

// Every row is counted once, under its right name; a second run stores nothing.
func TestCounts(t *testing.T) {
	t.Parallel()
	box := outbox(t)
	if err := box.Put(t.Context(), message(t, fprom.Sale{EventID: "ch_2", Email: "x@example.com", Amount: 7})); err != nil {
		t.Fatal(err)
	}
	settle(t, box, fprom.Result{Outcome: fprom.Rejected}, &fprom.APIError{StatusCode: 400})
	for _, id := range []string{"ch_0", "ch_1"} { // ch_1 in another currency
		sale := fprom.Sale{EventID: id, Email: "x@example.com", Amount: 500, Currency: map[string]string{"ch_0": "USD", "ch_1": "EUR"}[id]}
		if err := box.Put(t.Context(), message(t, sale)); err != nil {
			t.Fatal(err)
		}
	}
	text := sales(2500) +
		"ch_2400,c2400@example.com,2900,USD,2026-03-12T04:00:00Z\n" + // again, the same
		"ch_2401,c@example.com,1,USD,\n" + // again, another amount
		"ch_1,c1@example.com,501,USD,2026-03-10T12:01:00Z\n" + // again, and the outbox has another amount
		"bad,,1,USD,\n" +
		"trial,,0,USD,\n" // needs nobody
	for _, dry := range []bool{true, false} {
		rejects := filepath.Join(t.TempDir(), "rejects.csv")
		var last backfill.Progress
		got, err := backfill.Run(t.Context(), strings.NewReader(text), backfill.Options{
			Format: minor, Outbox: box, DryRun: dry, RejectsPath: rejects, Progress: func(p backfill.Progress) { last = p },
		})
		want := backfill.Result{Rows: 2505, Queued: 2498, Known: 2, Repeated: 1, Conflicts: 3, Invalid: 1, Zero: 1, RejectsFile: rejects, Since: got.Since, Sums: map[string]int64{"USD": 4_372_749}}
		if err != nil || !reflect.DeepEqual(got, want) || last.Rows != 2505 || last.Queued != 2498 {
			t.Errorf("dry %v: %+v %v", dry, got, err)
		}
		if b, _ := os.ReadFile(rejects); !strings.Contains(string(b), "ch_2400,c2400@example.com,2900,USD,2026-03-12T04:00:00Z,2502,\"the row has the event id and amount of an earlier row") {
			t.Errorf("dry %v: the repeated row is not among the rejects:\n%s", dry, b)
		}
		if left := last.Left; left < 405*time.Second || left > 420*time.Second {
			t.Errorf("%v left for 2500 at 400 a minute", left)
		}
	}
	if s, _ := box.Stats(t.Context()); s.Bulk != 2498 || s.Pending != 2 {
		t.Errorf("%+v", s)
	}
	again, err := backfill.Run(t.Context(), strings.NewReader(text), backfill.Options{Format: minor, Outbox: box})
	if err != nil || again.Queued != 0 || again.Known != 2500 || again.Repeated != 1 || again.Conflicts != 3 || again.Invalid != 1 {
		t.Errorf("again: %+v %v", again, err)
	}
}

// What another process puts between the look and the Put is refused then: it is counted as a conflict, and not as queued.
func TestConflictWithAnotherProcess(t *testing.T) {
	t.Parallel()
	box := outbox(t)
	if err := box.Put(t.Context(), message(t, fprom.Sale{EventID: "ch_1", Email: "x@example.com", Amount: 7})); err != nil {
		t.Fatal(err)
	}
	got, err := backfill.Run(t.Context(), strings.NewReader(sales(3)), backfill.Options{Format: minor, Outbox: unseen{box}})
	if err != nil || got.Queued != 2 || got.Conflicts != 1 {
		t.Errorf("%+v %v", got, err)
	}
}

// What the outbox has is known, also what the service sells while the file is read. What it gave up or cannot read is brought in again. An
// outbox that cannot be read ends the run: it is not an empty one.
func TestWhatTheOutboxHas(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		has  fprom.Entry
		want backfill.Result
	}{
		"done":                       {fprom.Entry{State: fprom.StateDone}, backfill.Result{Known: 1}},
		"given up":                   {fprom.Entry{State: fprom.StateDead}, backfill.Result{Queued: 1}},
		"damaged":                    {fprom.Entry{State: fprom.StateDone, Damaged: true}, backfill.Result{Queued: 1}},
		"another amount":             {fprom.Entry{State: fprom.StateDone, Amount: 7}, backfill.Result{Conflicts: 1}},
		"live, a moment ago":         {fprom.Entry{State: fprom.StateWaiting, RecordedAt: now.Add(time.Hour)}, backfill.Result{Known: 1}},
		"in bulk, by another run":    {fprom.Entry{State: fprom.StateWaiting, RecordedAt: now.Add(time.Hour), Bulk: true}, backfill.Result{Known: 1, Repeated: 1}},
		"live, and waits since long": {fprom.Entry{State: fprom.StateWaiting, RecordedAt: now.Add(-time.Hour)}, backfill.Result{Known: 1}},
	} {
		c.has.Key, c.has.Kind, c.has.Currency = "sale:ch_0", fprom.KindSale, "usd"
		c.has.Amount = cmp.Or(c.has.Amount, 500)
		got, err := backfill.Run(t.Context(), strings.NewReader(sales(1)), backfill.Options{Format: minor, Outbox: &outboxtest.Outbox{Events: []fprom.Entry{c.has}}, DryRun: true})
		if err != nil || got.Known != c.want.Known || got.Queued != c.want.Queued || got.Conflicts != c.want.Conflicts || got.Repeated != c.want.Repeated || got.Since.Before(now) {
			t.Errorf("%s: %+v %v, want %+v", name, got, err, c.want)
		}
	}
	fails := errors.New("it fails")
	if got, err := backfill.Run(t.Context(), strings.NewReader(sales(1)), backfill.Options{Format: minor, Outbox: &outboxtest.Outbox{Err: fails}, DryRun: true}); !errors.Is(err, fails) || got.Queued != 0 {
		t.Errorf("%+v %v", got, err)
	}
}

// unseen is an outbox whose events come after it was looked into.
type unseen struct{ fprom.Outbox }

func (unseen) Entries(context.Context, fprom.Filter) iter.Seq2[fprom.Entry, error] {
	return func(func(fprom.Entry, error) bool) {}
}

// A rejects file that cannot be written ends the run, in each form: its rows would be nowhere.
func TestRejectsOnAFullDisk(t *testing.T) {
	t.Parallel()
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skip("no " + full)
	}
	for name, text := range map[string]string{"CSV": "event_id,email,amount\n,ann@example.com,1\n", "JSONL": `{"email":"ann@example.com","amount":1}`} {
		got, err := backfill.Run(t.Context(), strings.NewReader(text), backfill.Options{Format: minor, RejectsPath: full, DryRun: true})
		if !errors.Is(err, syscall.ENOSPC) || got.Invalid != 1 {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
}

// The rejects file has the original columns, line and reason; mended it can be run again, and its own rejects too.
func TestRejectsCanBeMended(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, mend, with string }{
		{"CSV", "event_id;note;email;amount\nch_1;\"a;b\";;100\nch_2;;ann@example.com;5\nch_3;;;7\n", `"a;b";;100`, `"a;b";bob@example.com;100`},
		{"JSONL", `{"event_id":"ch_1","note":{"a":[1]},"email":"","amount":100}` + "\n" + `{"event_id":"ch_2","email":"ann@example.com","amount":5}` + "\nno json\n" + `{"event_id":"ch_3","amount":7}` + "\n", `"email":""`, `"email":"bob@example.com"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			box := outbox(t)
			one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
			got, err := backfill.Run(t.Context(), strings.NewReader(c.text), backfill.Options{Format: minor, Outbox: box, RejectsPath: one})
			if err != nil || got.Queued != 1 || got.Invalid < 2 || got.RejectsFile != one {
				t.Fatalf("%+v %v", got, err)
			}
			b, _ := os.ReadFile(one)
			if !strings.Contains(string(b), "reason") || !strings.Contains(string(b), "line") || !strings.Contains(string(b), "Email") {
				t.Errorf("%s", b)
			}
			mended := strings.Replace(string(b), c.mend, c.with, 1)
			if mended == string(b) {
				t.Fatalf("%s", b)
			}
			if err := os.WriteFile(two, []byte("of last week"), 0o644); err != nil { // others may read it
				t.Fatal(err)
			}
			got, err = backfill.Run(t.Context(), write(t, mended), backfill.Options{Format: minor, Outbox: box, RejectsPath: two})
			if err != nil || got.Queued != 1 || got.Invalid < 1 {
				t.Errorf("%+v %v", got, err)
			}
			if info, err := os.Stat(two); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
				t.Errorf("%v %v", info, err)
			}
			b, _ = os.ReadFile(two)
			if strings.Contains(string(b), "reason,reason") || strings.Contains(string(b), "reason;reason") || strings.Contains(string(b), `"reason":"x"`) {
				t.Errorf("%s", b)
			}
			if first, _, _ := strings.Cut(string(b), "\n"); c.name == "CSV" && (strings.Count(first, "line") != 1 || strings.Count(first, "reason") != 1) {
				t.Errorf("%s", b)
			}
			for e := range box.Entries(t.Context(), fprom.Filter{Keys: []string{"ch_1"}, Personal: true}) {
				if e.Customer != "bob@example.com" || !e.Bulk || e.Amount != 100 {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// Nothing of a row that cannot be taken apart is missing in the rejects file.
func TestRejectsLoseNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, row, want string }{
		{"a bare quote", `ch_1,5" disk,ann@example.com,100`, `ch_1,"5"" disk",ann@example.com,100,3,`},
		{"a quote that goes on", `ch_1,"5" disk,ann@example.com,100`, `ch_1,"5"" disk,ann@example.com,100`},
		{"too many fields", `ch_1,,ann@example.com,1,000,USD`, `,000,USD`},
		{"semicolons", `ch_1;5" disk;ann@example.com;100`, `ch_1;"5"" disk";ann@example.com;100;3;`},
	} {
		box, path := outbox(t), filepath.Join(t.TempDir(), "rejects")
		text := "event_id,note,email,amount\nch_0,,ann@example.com,5\nROW\nch_2,,ann@example.com,5\n"
		if strings.Contains(c.row, ";") {
			text = strings.ReplaceAll(text, ",", ";")
		}
		text = strings.Replace(text, "ROW", c.row, 1)
		for range 2 { // also of its own rejects
			if got, err := backfill.Run(t.Context(), strings.NewReader(text), backfill.Options{Format: minor, Outbox: box, RejectsPath: path}); err != nil || got.Invalid != 1 && got.Rows != 1 {
				t.Fatalf("%s: %+v %v", c.name, got, err)
			}
			b, _ := os.ReadFile(path)
			if text = string(b); !strings.Contains(text, c.want) {
				t.Errorf("%s: no %q in %q", c.name, c.want, text)
			}
		}
	}
}

// The columns that the rejects file adds must not take the place of a mapped one: mended, its lines would be event ids.
func TestRejectsDoNotReplaceAField(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"Line,email,amount,reason\n7,a@example.com,0,\n", `{"line":7,"email":"a@example.com","amount":0}`} {
		f := backfill.Format{Amount: backfill.Minor, Map: map[string]string{" LINE": "event_id", "reason": "-"}}
		path := filepath.Join(t.TempDir(), "rejects")
		if _, err := backfill.Run(t.Context(), strings.NewReader(text), backfill.Options{Format: f, Outbox: outbox(t), RejectsPath: path}); err == nil || !strings.Contains(err.Error(), `rename the file's column " LINE"`) {
			t.Errorf("%v", err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("a rejects file is made")
		}
	}
}

func TestRejectsFileIsMadeOnlyIfNeeded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rejects.csv")
	got, err := backfill.Run(t.Context(), strings.NewReader(sales(3)), backfill.Options{Format: minor, Outbox: outbox(t), RejectsPath: path})
	if _, serr := os.Stat(path); err != nil || got.RejectsFile != "" || !errors.Is(serr, os.ErrNotExist) {
		t.Errorf("%+v %v %v", got, err, serr)
	}
	f := write(t, sales(1))
	if _, err := backfill.Run(t.Context(), f, backfill.Options{Format: minor, Outbox: outbox(t), RejectsPath: f.Name()}); err == nil {
		t.Error("the input was to be written over")
	}
	if b, _ := os.ReadFile(f.Name()); string(b) != sales(1) {
		t.Error("the input was written over")
	}
	box := outbox(t)
	if got, err := backfill.Run(t.Context(), strings.NewReader(sales(3)), backfill.Options{Format: minor, Outbox: box, RejectsPath: filepath.Join(path, "none", "rejects.csv")}); err == nil || got.Rows > 0 {
		t.Errorf("a rejects file in no directory: %+v %v", got, err)
	}
	if got, err := backfill.Run(t.Context(), strings.NewReader(sales(3)), backfill.Options{Format: minor, Outbox: box, RejectsPath: filepath.Dir(path)}); err == nil || got.Rows > 0 {
		t.Errorf("a rejects file that is a directory: %+v %v", got, err)
	}
}

// However often it is interrupted, run to the end it has stored each row once, and counted it once per run.
func TestInterruptedAndRunAgain(t *testing.T) {
	t.Parallel()
	box := outbox(t)
	text := sales(5000)
	queued := 0
	for cut := 1; cut <= 4; cut++ {
		ctx, cancel := context.WithCancel(t.Context())
		batches := 0
		got, err := backfill.Run(ctx, strings.NewReader(text), backfill.Options{Format: minor, Outbox: box, Progress: func(backfill.Progress) {
			if batches++; batches == cut {
				cancel()
			}
		}})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("%+v %v", got, err)
		}
		queued += got.Queued
	}
	if got, err := backfill.Run(t.Context(), strings.NewReader(text), backfill.Options{Format: minor, Outbox: full{box}}); !errors.Is(err, fprom.ErrQueueFull) || got.Queued != 0 {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := backfill.Run(t.Context(), brokenAfter(text, 100_000), backfill.Options{Format: minor, Outbox: box}); !errors.Is(err, errBroken) || got.Rows == 0 {
		t.Errorf("%+v %v", got, err)
	}
	got, err := backfill.Run(t.Context(), strings.NewReader(text), backfill.Options{Format: minor, Outbox: box})
	if s, _ := box.Stats(t.Context()); err != nil || got.Queued+got.Known != 5000 || s.Bulk != 5000 || queued != 4000 {
		t.Errorf("%+v %v, %d before, %+v", got, err, queued, s)
	}
}

var errBroken = errors.New("broken")

func brokenAfter(text string, n int) io.Reader {
	return io.MultiReader(strings.NewReader(text[:n]), failing{})
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errBroken }

// Two rows that look like one payment are named, and both taken.
func TestTwinsAreNamed(t *testing.T) {
	t.Parallel()
	text := "event_id,email,amount,currency,created_at\n" +
		"ch_1,ann@example.com,1999,USD,2026-03-10T12:30:05Z\n" +
		"in_1,Ann@Example.com,1999,usd,2026-03-10T12:30:40Z\n" + // the same payment?
		"ch_1,ann@example.com,1999,USD,2026-03-10T12:30:05Z\n" + // the same id
		"ch_2,ann@example.com,1999,USD,2026-03-10T12:31:05Z\n" + // another minute
		"ch_3,bob@example.com,1999,USD,2026-03-10T12:30:05Z\n" + // another customer
		"ch_4,ann@example.com,1998,USD,2026-03-10T12:30:05Z\n" + // another amount
		"ch_5,ann@example.com,1999,EUR,2026-03-10T12:30:05Z\n" + // another currency
		"ch_6,ann@example.com,700,USD,\nch_7,ann@example.com,700,USD,\n" // no time
	var warned []string
	got, err := backfill.Run(t.Context(), strings.NewReader(text), backfill.Options{
		Format: minor, Outbox: outbox(t), Warn: func(w backfill.Warning) { warned = append(warned, fmt.Sprint(w)) },
	})
	if err != nil || got.Queued != 8 || got.Known != 1 || got.Warnings != len(warned) || len(warned) != 2 || !strings.HasPrefix(warned[0], "lines 2 and 3 ") {
		t.Errorf("%+v %v %q", got, err, warned)
	}
}

// A subscription's id is the id of many payments. In a large file these are too far apart to be compared: they are counted, in
// a dry run too, and only by the run that found them.
func TestRepeatedFarApart(t *testing.T) {
	t.Parallel()
	const customers = 33_000 // more than are compared
	var b strings.Builder
	b.WriteString("event_id,email,amount,created_at\n")
	for month := range 2 {
		for i := range customers {
			fmt.Fprintf(&b, "sub_%d,c%d@example.com,1900,2026-0%d-10\n", i, i, month+1)
		}
	}
	box := outbox(t)
	for _, c := range []struct {
		dry  bool
		want backfill.Result
	}{
		{true, backfill.Result{Queued: customers, Known: customers, Repeated: customers}},
		{false, backfill.Result{Queued: customers, Known: customers, Repeated: customers}},
		{false, backfill.Result{Known: 2 * customers}},
	} {
		got, err := backfill.Run(t.Context(), strings.NewReader(b.String()), backfill.Options{Format: minor, Outbox: box, DryRun: c.dry})
		c.want.Sums = map[string]int64{}
		if c.want.Queued > 0 {
			c.want.Sums[""] = customers * 1900
		}
		if c.want.Rows, c.want.Since = 2*customers, got.Since; err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("dry %v: %+v, want %+v, %v", c.dry, got, c.want, err)
		}
	}
	refunds := "event_id,email,amount\nre_1,ann@example.com,5\nre_1,ann@example.com,5\n"
	got, err := backfill.Run(t.Context(), strings.NewReader(refunds), backfill.Options{Format: backfill.Format{Kind: fprom.KindRefund, Amount: backfill.Minor}, Outbox: box})
	if want := (backfill.Result{Rows: 2, Queued: 1, Known: 1, Repeated: 1, Since: got.Since, Sums: map[string]int64{"": 5}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("refunds: %+v %v", got, err)
	}
}

// The result as the command line prints it.
func TestResultAsJSON(t *testing.T) {
	t.Parallel()
	r := backfill.Result{Rows: 5, Queued: 2, Known: 1, Conflicts: 1, Invalid: 1, RejectsFile: "r.csv", Sums: map[string]int64{"USD": 3999}}
	b, _ := json.Marshal(r)
	if want := `{"rows":5,"queued":2,"known":1,"repeated":0,"conflicts":1,"invalid":1,"zero":0,"unpaid":0,"rejects_file":"r.csv","warnings":0,"sums":{"USD":3999}}`; string(b) != want {
		t.Errorf("%s", b)
	}
	r.Outcomes = &backfill.Outcomes{Tracked: 2}
	b, _ = json.Marshal(r)
	if want := `"sums":{"USD":3999},"tracked":2,"not_referral":0,"duplicate":0,"dead":0}`; !strings.HasSuffix(string(b), want) {
		t.Errorf("%s", b)
	}
}

// A backfill of sales and refunds to its end: what FirstPromoter has is what the file has.
func TestDeliveredToTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithAllLeads())
		box := outbox(t)
		text := sales(500) + "never,no@example.com,100,USD,\n"
		fake.Inject(fpromtest.Status(400).OnEvent("never"))
		cfg := fake.Config()
		cfg.Queue = box
		tracker, err := fprom.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		got, err := backfill.Run(t.Context(), strings.NewReader(text), backfill.Options{Format: minor, Outbox: box})
		if err != nil || got.Queued != 501 {
			t.Fatalf("%+v %v", got, err)
		}
		var waiting []int
		begin := time.Now()
		o, err := backfill.Wait(t.Context(), box, got.Since, func(n int) { waiting = append(waiting, n) })
		if want := (backfill.Outcomes{Tracked: 500, Dead: 1}); err != nil || o != want || len(waiting) < 60 || waiting[0] != 501 {
			t.Errorf("%+v %v after %d looks", o, err, len(waiting))
		}
		if took, said := time.Since(begin), backfill.TimeLeft(501, 400); (took - said).Abs() > 5*time.Second {
			t.Errorf("the delivery took %v, and was said to take %v", took, said)
		}
		again, err := backfill.Run(t.Context(), strings.NewReader(text), backfill.Options{Format: minor, Outbox: box})
		if err != nil {
			t.Fatal(err)
		}
		if o, err := backfill.Wait(t.Context(), box, again.Since, nil); err != nil || o != (backfill.Outcomes{Dead: 1}) || again.Known != 500 {
			t.Errorf("a second run counts the outcomes of the first: %+v %+v %v", again, o, err)
		}
		var sum int64
		for _, c := range fake.Commissions() {
			sum += c.SaleAmount
		}
		if want := int64(500*500 + 499*500/2); sum != want {
			t.Errorf("FirstPromoter has %d, the file %d", sum, want)
		}
		for _, r := range fake.Accepted() {
			if !r.Body.SkipEmailNotification {
				t.Error("promoters get mails about past sales")
				break
			}
		}
		if err := tracker.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// The time left is right at small and large limits, too.
func TestTimeLeft(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ perMinute, rows int }{{2, 20}, {10, 30}, {1000, 1000}} {
		t.Run(strconv.Itoa(c.perMinute), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fake := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithAllLeads(), fpromtest.WithRateLimit(0))
				cfg := fake.Config()
				cfg.Queue, cfg.RequestsPerMinute, cfg.Burst = outbox(t), c.perMinute, 0
				tracker, err := fprom.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := backfill.Run(t.Context(), strings.NewReader(sales(c.rows)), backfill.Options{Format: minor, Outbox: cfg.Queue.(fprom.Outbox)}); err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				if err := tracker.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				if took, said := time.Since(begin).Seconds(), backfill.TimeLeft(c.rows, c.perMinute).Seconds(); took < 0.98*said || took > 1.02*said {
					t.Errorf("the delivery took %.0f s, and was said to take %.0f s", took, said)
				}
				if err := tracker.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
