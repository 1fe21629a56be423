package boltqueue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
)

// model is what an outbox should hold, in memory.
type model struct {
	*testing.T

	rnd         *rand.Rand
	held, aside error // of a Tracker
	path        string
	queue       *boltqueue.Queue
	disk        disk // before the pages are written
	unconfirmed disk // after that

	mu        sync.Mutex
	events    []*modelEvent   // in the order of their seqs
	conflicts map[string]bool // refused pairs of key and digest
	under     map[string]bool // customers with a delivery under way
	sent      int
}

type modelEvent struct {
	fprom.Entry

	msg                   fprom.Message
	aside, forget, erased bool
}

// TestModel does random things to an outbox and to a model of it, and compares all entries, figures and the history after each: puts of
// new, known and changed events, deliveries with every kind of answer, redrives, drops, customers that are forgotten, disks that are full
// or do not confirm, restarts, crashes (the file as it is), clocks that step. FPROM_MODEL_SEEDS is the number of runs, and FPROM_MODEL_SEED
// the first.
func TestModel(t *testing.T) {
	t.Parallel()
	first, _ := strconv.Atoi(os.Getenv("FPROM_MODEL_SEED"))
	seeds, err := strconv.Atoi(os.Getenv("FPROM_MODEL_SEEDS"))
	if err != nil {
		seeds = 4
	}
	held, aside := trackerErrors(t)
	for seed := first; seed < first+seeds; seed++ {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			m := &model{rnd: rand.New(rand.NewPCG(uint64(seed), 1)), held: held, aside: aside, conflicts: map[string]bool{}, path: filepath.Join(dir, "0.db")}
			for life := range 4 { // in each the clock begins anew
				synctest.Test(t, func(t *testing.T) {
					m.T = t
					time.Sleep(time.Duration(m.rnd.IntN(48)) * time.Hour)
					m.open()
					for step := range 40 {
						m.step(filepath.Join(dir, fmt.Sprint(life, "-", step, ".db")))
						m.compare()
						if t.Failed() {
							t.Fatalf("after step %d of life %d", step, life)
						}
					}
					m.close()
				})
			}
		})
	}
}

func (m *model) step(copied string) {
	switch m.rnd.IntN(12) {
	case 0, 1, 2:
		m.put()
	case 3, 4, 5, 6:
		m.deliver()
	case 7:
		m.redrive()
	case 8:
		m.drop()
	case 9:
		m.forget()
	case 10:
		m.unconfirmed.fail(syscall.EIO)
		m.put()
		m.close()
		m.unconfirmed.fail(nil)
		m.open()
	case 11:
		if m.rnd.IntN(2) == 0 {
			b, err := os.ReadFile(m.path)
			m.must(errors.Join(err, os.WriteFile(copied, b, 0o600), boltqueue.CheckPages(copied)))
			m.path = copied
		}
		m.close()
		m.open()
	}
}

func (m *model) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *model) open() {
	m.Helper()
	var err error
	m.queue, err = openAt(m.path, discard, boltqueue.WithoutSocket(), boltqueue.WithFailures(m.disk.failure, m.unconfirmed.failure))
	m.must(err)
	q := m.queue
	m.Cleanup(func() { _ = q.Close() }) // if the test fails
}

func (m *model) close() {
	m.Helper()
	m.must(m.queue.Close())
}

func (m *model) message() fprom.Message {
	n := m.rnd.IntN(300)
	customer := fmt.Sprintf("c%d@example.com", n%23)
	var e fprom.Event = fprom.Sale{EventID: strconv.Itoa(n), Email: customer, Amount: 100 + int64(m.rnd.IntN(20)/19), Currency: "usd"}
	switch n % 23 {
	case 7:
		e = fprom.Cancellation{Email: customer}
	case 8:
		e = fprom.Sale{EventID: fmt.Sprintf("order-%d-%s", n, customer), Email: customer, Amount: 5}
	}
	msg, err := fprom.NewMessage(e)
	m.must(err)
	if n%23 == 9 {
		msg.Customer = "" // in no order
	}
	msg.Bulk, msg.RecordedAt = n%5 == 0, time.Unix(0, msg.RecordedAt.UnixNano()).UTC()
	return msg
}

func (m *model) put() {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ms []fprom.Message
	for range 1 + m.rnd.IntN(20) {
		ms = append(ms, m.message())
	}
	err := m.queue.Put(context.Background(), ms...)
	if failure := m.disk.failure(); failure != nil {
		if !errors.Is(err, failure) {
			m.Errorf("Put on a full disk: %v", err)
		}
		return
	}
	before, conflict := len(m.events), false
	for _, msg := range ms {
		conflict = m.accept(msg) || conflict
	}
	switch failure := m.unconfirmed.failure(); {
	case failure != nil && errors.Is(err, failure): // the file has it all the same
	case failure != nil && len(m.events) > before, errors.Is(err, fprom.ErrConflict) != conflict, err != nil && !conflict:
		m.Errorf("Put: %v, want a conflict: %v, and %v", err, conflict, failure)
	}
}

func (m *model) accept(msg fprom.Message) (conflict bool) {
	i := slices.IndexFunc(m.events, func(e *modelEvent) bool {
		return e.msg.Key == msg.Key && (e.State != fprom.StateDone || e.Kind != fprom.KindCancellation)
	})
	if i >= 0 && m.events[i].State != fprom.StateDead {
		if conflict = m.events[i].msg.Digest != msg.Digest; conflict {
			m.conflicts[fmt.Sprint(msg.Key, " ", msg.Digest)] = true
		}
		return conflict
	}
	if i >= 0 {
		m.forgetConflicts(msg.Key)
		m.events = slices.Delete(m.events, i, i+1)
	}
	m.events = append(m.events, &modelEvent{Entry: fprom.NewEntry(msg), msg: msg})
	return false
}

// forgetConflicts forgets those of an id that is free now.
func (m *model) forgetConflicts(key string) {
	maps.DeleteFunc(m.conflicts, func(pair string, _ bool) bool { return strings.HasPrefix(pair, key+" ") })
}

// deliver lets the queue deliver for a while. Perhaps the disk is full all the time, or for a part of it; or something is put meanwhile.
func (m *model) deliver() {
	d := []time.Duration{50 * time.Millisecond, 5 * time.Second, time.Minute, 3 * time.Hour}[m.rnd.IntN(4)]
	m.under, m.sent = map[string]bool{}, 0
	workers := 1 + m.rnd.IntN(6)
	var others sync.WaitGroup
	what := m.rnd.IntN(6)
	switch what {
	case 0:
		d = 5 * time.Second
		m.disk.fail(syscall.ENOSPC)
	case 1:
		d = time.Minute
		m.disk.fail(syscall.ENOSPC)
		others.Go(func() {
			time.Sleep(d / 3)
			m.disk.fail(nil)
		})
	case 2, 3:
		others.Go(func() {
			time.Sleep(d / 3)
			m.put()
		})
	}
	time.Sleep(time.Until(time.Now().Truncate(time.Millisecond).Add(time.Millisecond))) // answers come a number of milliseconds later
	ctx, cancel := context.WithTimeout(m.Context(), d+time.Millisecond/4)               // at no moment at which something is answered
	defer cancel()
	lost := what == 0 // no outcome is written
	err := m.queue.Run(ctx, workers, func(ctx context.Context, msg fprom.Message) (fprom.Result, error) {
		e := m.begin(msg)
		select {
		case <-time.After(time.Duration(1+rand.IntN(30)) * time.Millisecond):
		case <-ctx.Done():
			return fprom.Result{}, ctx.Err()
		}
		return m.answer(msg, e, lost)
	})
	others.Wait()
	m.disk.fail(nil)
	if err != nil || lost && m.sent > workers {
		m.Errorf("Run: %v; sent %d by %d workers, no outcome written: %v", err, m.sent, workers, lost)
	}
}

func (m *model) begin(msg fprom.Message) *modelEvent {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent++
	i := slices.IndexFunc(m.events, func(e *modelEvent) bool { return e.msg.Key == msg.Key && e.State == fprom.StateWaiting })
	if i < 0 {
		m.Errorf("%s was delivered and does not wait", msg.Key)
		return &modelEvent{}
	}
	e := m.events[i]
	if e.msg.Digest != msg.Digest || string(e.msg.Body) != string(msg.Body) || msg.Attempt != e.Attempts+1 {
		m.Errorf("%s was delivered as attempt %d, want %d: %s", msg.Key, msg.Attempt, e.Attempts+1, msg.Body)
	}
	if msg.Customer == "" || e.aside {
		return e
	}
	for _, other := range m.events[:i] {
		if other.State == fprom.StateWaiting && !other.aside && other.msg.Customer == msg.Customer {
			m.Errorf("%s was delivered before %s", msg.Key, other.Key)
		}
	}
	if m.under[msg.Customer] {
		m.Errorf("%s was delivered beside another event of its customer", msg.Key)
	}
	m.under[msg.Customer] = true
	return e
}

func (m *model) answer(msg fprom.Message, e *modelEvent, lost bool) (res fprom.Result, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !e.aside {
		delete(m.under, msg.Customer)
	}
	res = fprom.Result{Outcome: []fprom.Outcome{fprom.Tracked, fprom.NotReferral, fprom.Duplicate}[m.rnd.IntN(3)], StatusCode: 200, ID: 7}
	verdict := m.rnd.IntN(10)
	switch verdict {
	case 0, 1:
		res, err = fprom.Result{Outcome: fprom.Rejected, StatusCode: 400}, &fprom.APIError{StatusCode: 400, Message: "Error."}
	case 2, 3:
		res, err = fprom.Result{Outcome: fprom.Undelivered}, errors.New("later")
	case 4:
		res, err = fprom.Result{Outcome: fprom.Undelivered}, m.held
	case 5:
		res, err = fprom.Result{Outcome: fprom.Undelivered}, m.aside
	}
	if lost {
		return res, err
	}
	e.StatusCode, e.ID, e.Outcome = res.StatusCode, res.ID, res.Outcome
	if verdict != 4 {
		e.Attempts++
	}
	switch {
	case verdict > 5:
		e.State = fprom.StateDone
	case verdict < 2:
		e.State = fprom.StateDead
	case verdict == 5:
		e.aside = true
	}
	if e.State == fprom.StateDone || e.State == fprom.StateDead && e.forget {
		e.Customer, e.erased = "", true
	}
	return res, err
}

// dead returns a filter, and the dead letters that it selects.
func (m *model) dead(usable func(*modelEvent) bool) (f fprom.Filter, es []*modelEvent) {
	f.Limit = m.rnd.IntN(4)
	if customer := m.rnd.IntN(40); customer < 23 {
		f.Customer = fmt.Sprintf("C%d@example.com", customer)
	}
	for _, e := range m.events {
		if e.State == fprom.StateDead && usable(e) && f.Match(e.Entry) && (f.Limit == 0 || len(es) < f.Limit) {
			es = append(es, e)
		}
	}
	return f, es
}

func (m *model) remove(es []*modelEvent) {
	m.events = slices.DeleteFunc(m.events, func(e *modelEvent) bool { return slices.Contains(es, e) })
}

func (m *model) redrive() {
	f, es := m.dead(func(e *modelEvent) bool { return !e.erased })
	if n, err := m.queue.Redrive(m.Context(), f); n != len(es) || err != nil {
		m.Errorf("Redrive: %d, %v, want %d", n, err, len(es))
	}
	m.remove(es)
	for _, e := range es {
		m.events = append(m.events, &modelEvent{Entry: fprom.NewEntry(e.msg), msg: e.msg})
	}
}

func (m *model) drop() {
	f, es := m.dead(func(*modelEvent) bool { return true })
	if n, err := m.queue.Drop(m.Context(), f); n != len(es) || err != nil {
		m.Errorf("Drop: %d, %v, want %d", n, err, len(es))
	}
	for _, e := range es {
		m.forgetConflicts(e.msg.Key)
	}
	m.remove(es)
}

func (m *model) forget() {
	for range 6 {
		customer, want := fmt.Sprintf("c%d@example.com", m.rnd.IntN(23)), 0
		for _, e := range m.events {
			if e.Customer != customer {
				continue
			}
			if e.forget = true; e.State == fprom.StateDead {
				e.Customer, e.erased = "", true
				want++
			}
		}
		if n, err := m.queue.Forget(m.Context(), customer); n != want || err != nil {
			m.Errorf("Forget: %d, %v, want %d", n, err, want)
		}
	}
}

func (m *model) compare() {
	want := fprom.QueueStats{Conflicts: len(m.conflicts)}
	var sum fprom.Bucket
	got := entries(m.T, m.queue, fprom.Filter{Personal: true})
	for i, e := range m.events {
		switch {
		case e.State == fprom.StateDead:
			want.Dead++
		case e.State == fprom.StateDone && e.Kind != fprom.KindCancellation:
			want.Ledger++
		case e.State == fprom.StateWaiting && e.Bulk:
			want.Bulk++
		case e.State == fprom.StateWaiting:
			want.Pending++
		}
		if e.State == fprom.StateWaiting && want.Oldest.IsZero() {
			want.Oldest = e.RecordedAt
		}
		if e.State != fprom.StateWaiting {
			sum.Add(e.State, e.Outcome)
		}
		if i >= len(got) {
			break
		}
		e.SettledAt, e.NextAttempt, e.Reason, e.Cursor = got[i].SettledAt, got[i].NextAttempt, got[i].Reason, got[i].Cursor
		if settled := e.State != fprom.StateWaiting; !reflect.DeepEqual(got[i], e.Entry) || settled == e.SettledAt.IsZero() {
			m.Errorf("entry %d is %+v, want %+v", i, got[i], e.Entry)
			return
		}
	}
	s := stats(m.T, m.queue)
	s.LastSuccess = time.Time{}
	if len(got) != len(m.events) || s != want {
		m.Errorf("%d entries, %+v; want %d, %+v", len(got), s, len(m.events), want)
	}
	bs, err := m.queue.History(m.Context(), time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC), 5*time.Hour)
	m.must(err)
	for _, b := range bs {
		sum.Tracked, sum.NotReferral, sum.Duplicate, sum.Dead = sum.Tracked-b.Tracked, sum.NotReferral-b.NotReferral, sum.Duplicate-b.Duplicate, sum.Dead-b.Dead
	}
	if sum != (fprom.Bucket{}) {
		m.Errorf("the history differs from the entries by %+v", sum)
	}
	m.compareFilter(got)
}

// compareFilter compares what a filter finds with what it matches.
func (m *model) compareFilter(all []fprom.Entry) {
	f := fprom.Filter{Personal: true, Limit: m.rnd.IntN(30)}
	if m.rnd.IntN(2) == 0 {
		f.State = []fprom.State{fprom.StateWaiting, fprom.StateDead, fprom.StateDone}[m.rnd.IntN(3)]
	}
	if m.rnd.IntN(2) == 0 {
		f.Kind = []string{fprom.KindSale, fprom.KindCancellation}[m.rnd.IntN(2)]
	}
	if m.rnd.IntN(2) == 0 {
		f.Since = time.Now().Add(-time.Duration(m.rnd.IntN(48)) * time.Hour)
	}
	from := 0
	if len(all) > 0 && m.rnd.IntN(2) == 0 {
		i := m.rnd.IntN(len(all))
		from, f.After = i+1, all[i].Cursor
	}
	for range m.rnd.IntN(3) * 20 {
		f.Keys = append(f.Keys, m.message().Key)
	}
	var want []fprom.Entry
	for _, e := range all[from:] {
		if f.Match(e) && (f.Limit == 0 || len(want) < f.Limit) {
			want = append(want, e)
		}
	}
	if got := entries(m.T, m.queue, f); !reflect.DeepEqual(got, want) {
		m.Errorf("%+v finds %+v, want %+v", f, got, want)
	}
}

// deliverable is a queue that gives its deliver function away, and delivers nothing.
type deliverable struct {
	fprom.Queue

	deliver chan func(context.Context, fprom.Message) (fprom.Result, error)
}

func (q deliverable) Run(ctx context.Context, _ int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	q.deliver <- deliver
	<-ctx.Done()
	return nil
}

// trackerErrors returns the errors of an event that a Tracker holds, and of one that it sets aside.
func trackerErrors(t *testing.T) (held, aside error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fake := fpromtest.NewServer(t, fpromtest.InMemory())
		fake.AddLead("other@example.com")
		fake.Inject(fpromtest.Status(500).OnEvent("bad"))
		cfg := fake.Config()
		q := deliverable{fprom.NewMemoryQueue(0), make(chan func(context.Context, fprom.Message) (fprom.Result, error), 1)}
		cfg.Queue, cfg.Logger = q, slog.New(slog.DiscardHandler)
		tracker, err := fprom.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tracker.Shutdown(context.Background()) }()
		deliver := <-q.deliver
		try := func(id, email string, n int) error {
			msg := message(t, fprom.Sale{EventID: id, Email: email, Amount: 100, RefID: "nobody"})
			msg.Attempt = n
			_, err := deliver(t.Context(), msg)
			return err
		}
		held = try("unknown", "unknown@example.com", 1)
		for n := 1; !fprom.IsSetAside(aside) && n < 200; n++ {
			aside = try("bad", "bad@example.com", n)
			time.Sleep(time.Minute)
			_ = try(fmt.Sprint("other", n), "other@example.com", 1)
		}
	})
	if !fprom.IsHeld(held) || fprom.IsSetAside(held) || !fprom.IsSetAside(aside) || fprom.IsHeld(aside) {
		t.Fatalf("a Tracker's errors: %v, %v", held, aside)
	}
	return held, aside
}
