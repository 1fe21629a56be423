package boltqueue_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/reconcile"
)

const day, retention = 24 * time.Hour, 150 * day

var outages = []fpromtest.Fault{
	fpromtest.Status(500).For(time.Hour), fpromtest.Status(401).For(3 * time.Hour), fpromtest.Status(429).RetryAfter("300").For(time.Hour),
	fpromtest.Status(503).RetryAfter("600").For(2 * time.Hour), fpromtest.Hang().For(time.Hour), fpromtest.Reset().AfterProcessing().For(time.Hour),
	fpromtest.Garbage().For(time.Hour), fpromtest.Status(500).OnKind(fprom.KindSignup).For(40 * time.Hour),
}

// TestYear: a year of a shop, with deploys, outages, a backfill, erased persons and dead letters. In the end FirstPromoter has each
// event once, in the order of each customer; every month the figures are those of what happened; the log tells of the outages only.
func TestYear(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		y := &year{T: t, Handler: slog.NewTextHandler(t.Output(), nil), dir: t.TempDir(), events: map[string]*fate{}}
		y.rng, y.fake = rand.New(rand.NewPCG(1, 2)), fpromtest.NewServer(t, fpromtest.InMemory())
		y.fake.AddPromoter("eve").AddPromoCode("EVE20")
		y.open()
		for n := range 80 {
			y.in(y.random(360*day), func() { y.customer(n) })
		}
		for at := 3 * day; at < 360*day; at += 4*day + y.random(8*day) {
			y.in(at, func() { y.shutdown(); y.open() })
		}
		y.in(50*day, y.backfill)
		for month := range 12 {
			begin := time.Duration(month) * 30 * day
			y.in(begin+10*day, func() { y.inject(outages[month%len(outages)], 62*time.Hour); y.customer(300 + 3*month) })
			y.in(begin+15*day, func() { y.deadLetter(fmt.Sprint("bad_", month)) })
			y.in(begin+29*day, y.check)
		}
		for y.plan[0].at.Year() == 2000 { // bubbles begin with it
			next := y.plan[0]
			y.plan = y.plan[1:]
			time.Sleep(time.Until(next.at))
			next.do()
		}
		y.check()
		y.shutdown()
		y.compare()
	})
}

type appointment struct {
	at time.Time
	do func()
}

type year struct {
	*testing.T
	slog.Handler

	rng     *rand.Rand
	fake    *fpromtest.Server
	plan    []appointment // by time
	dir     string
	queue   *boltqueue.Queue
	tracker *fprom.Tracker
	nightly func() // ends it

	mu        sync.Mutex
	events    map[string]*fate // by key
	loudUntil time.Time        // trouble is logged until then
	outage    bool             // its begin is in the log of this process, its end is not
}

// fate is what happens to an event. One with a promoter earns a commission.
type fate struct {
	promoter string
	amount   int64
	number   int // in the order of their acceptance
	settled  time.Time
	dead     bool
	earned   int // commissions
}

func (y *year) random(d time.Duration) time.Duration { return time.Duration(y.rng.Int64N(int64(d))) }

func (y *year) in(d time.Duration, do func()) {
	at := time.Now().Add(d)
	i, _ := slices.BinarySearchFunc(y.plan, at.Add(1), func(a appointment, at time.Time) int { return a.at.Compare(at) })
	y.plan = slices.Insert(y.plan, i, appointment{at, do})
}

func (y *year) open() {
	y.queue = open(y.T, y.dir, boltqueue.WithRetention(retention), boltqueue.WithLogger(slog.New(y)))
	cfg := y.fake.Config()
	cfg.Queue, cfg.Logger, y.outage = y.queue, slog.New(y), false
	cfg.Observer = func(_ context.Context, s fprom.Step) {
		y.mu.Lock()
		defer y.mu.Unlock()
		if s.Stage == fprom.StageDelivered {
			y.events[s.Message.Key].settled = time.Now()
		}
		y.events[s.Message.Key].dead = s.Stage == fprom.StageDead
	}
	var err error
	y.tracker, err = fprom.New(cfg)
	client, err2 := firstpromoter.New(firstpromoter.Config{BaseURL: y.fake.URL, APIKey: y.fake.APIKey, AccountID: y.fake.AccountID, HTTPClient: cfg.HTTPClient})
	if err != nil || err2 != nil {
		y.Fatal(err, err2)
	}
	n := &reconcile.Nightly{Client: client, Outbox: y.queue, Logger: slog.New(slog.DiscardHandler), Done: func(r reconcile.Report, err error) {
		if r.Dead = 0; err == nil && !r.Clean() {
			y.Errorf("%v: %+v", time.Now(), r)
		}
	}}
	ctx, cancel := context.WithCancel(y.Context())
	var nightly sync.WaitGroup
	nightly.Go(func() { _ = n.Run(ctx) })
	y.nightly = func() { cancel(); nightly.Wait() }
}

// Handle wants that each outage in a process has one begin and one end, and that other lines come only in trouble.
func (y *year) Handle(_ context.Context, r slog.Record) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	begins, ends := false, strings.Contains(r.Message, "works again")
	r.Attrs(func(a slog.Attr) bool {
		begins = begins || a.Key == "since" && a.Value.Duration() == 0
		return true
	})
	if (begins || ends) && ends != y.outage || r.Level >= slog.LevelWarn && time.Now().After(y.loudUntil) {
		y.Errorf("%v: %s (in an outage: %v)", time.Now(), r.Message, y.outage)
	}
	y.outage = (y.outage || begins) && !ends
	return nil
}

func (y *year) shutdown() {
	y.nightly()
	ctx, cancel := context.WithTimeout(y.Context(), 10*time.Second)
	defer cancel()
	if err := y.tracker.Shutdown(ctx); err != nil {
		y.Errorf("%v: Shutdown: %v", time.Now(), err)
	}
}

// note keeps that an event was accepted. With a promoter it earns a commission.
func (y *year) note(m fprom.Message, promoter string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.events[m.Key] == nil {
		amount, _ := m.Money()
		y.events[m.Key] = &fate{promoter: promoter, amount: amount, number: len(y.events)}
	}
}

func (y *year) report(e fprom.Event, promoter string) {
	y.note(message(y, e), promoter)
	if err := y.tracker.Enqueue(y.Context(), e); err != nil {
		y.Errorf("%v: %v", time.Now(), err)
	}
}

// customer signs up with a referral, or pays with a promo code, or is nobody's referral; and pays monthly until they leave.
func (y *year) customer(n int) {
	email := fmt.Sprintf("c%d@example.com", n)
	sale := []fprom.Sale{{UID: fmt.Sprint("u", n)}, {Email: email, PromoCode: "eve20"}, {Email: email}}[n%3]
	promoter := []string{fpromtest.DefaultRefID, "eve", ""}[n%3]
	if n%3 == 0 {
		y.report(fprom.Signup{UID: sale.UID, RefID: promoter}, "")
	}
	var pay func(month int)
	pay = func(month int) {
		paid := sale
		sale.PromoCode = ""
		paid.EventID, paid.Amount = fmt.Sprintf("in_%d_%d", n, month), 900+y.rng.Int64N(5000)
		y.report(paid, promoter)
		switch dice := y.rng.IntN(10); {
		case dice < 3:
			y.in(y.random(5*day), func() { y.report(paid, promoter) })
		case dice < 4:
			refund := fprom.Refund{EventID: paid.EventID, Email: paid.Email, UID: paid.UID, Amount: 100, SaleEventID: paid.EventID}
			y.in(y.random(20*day), func() { y.report(refund, promoter) })
		case dice < 5 && month > 0:
			y.report(fprom.Cancellation{Email: paid.Email, UID: paid.UID}, "")
			if _, err := y.queue.Forget(y.Context(), cmp.Or(paid.Email, paid.UID)); err != nil {
				y.Error(err)
			}
			return
		}
		y.in(30*day, func() { pay(month + 1) })
	}
	y.in(y.random(time.Hour), func() { pay(0) })
}

// inject lets calls fail. For d the log may tell of it.
func (y *year) inject(f fpromtest.Fault, d time.Duration) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.loudUntil = time.Now().Add(d)
	in := y.fake.Inject(f)
	y.in(5*day, func() {
		if in.Hits() == 0 {
			y.Error("an outage in which nothing was sent")
		}
	})
}

func (y *year) backfill() {
	var ms []fprom.Message
	for i := range 400 {
		promoter := map[int]string{0: "eve"}[i%10]
		m := message(y, fprom.Sale{EventID: fmt.Sprint("old_", i), Email: fmt.Sprintf("old%d@example.com", i), Amount: 100, RefID: promoter})
		m.Bulk = true
		y.note(m, promoter)
		ms = append(ms, m)
	}
	put(y, y.queue, ms...)
}

// deadLetter is redriven after a week.
func (y *year) deadLetter(id string) {
	y.inject(fpromtest.Status(422).OnEvent(id).For(7*day), time.Minute)
	y.report(fprom.Sale{EventID: id, Email: "bad@example.com", RefID: "eve", Amount: 77}, "eve")
	y.in(7*day, func() {
		if n, err := y.queue.Redrive(y.Context(), fprom.Filter{Keys: []string{id}}); err != nil || n != 1 {
			y.Errorf("redriven: %d %v", n, err)
		}
	})
}

// check compares the figures with what happened.
func (y *year) check() {
	time.Sleep(time.Hour)
	synctest.Wait()
	y.mu.Lock()
	defer y.mu.Unlock()
	now, s := time.Now(), y.tracker.Stats()
	buckets, err := y.queue.History(y.Context(), now.Add(-retention+day), now, time.Hour)
	info, err2 := os.Stat(filepath.Join(y.dir, "fprom.db"))
	if err != nil || err2 != nil {
		y.Fatal(err, err2)
	}
	got, want, ledger, waiting, dead := 0, 0, 0, 0, 0
	for _, b := range buckets {
		got += b.Tracked + b.NotReferral + b.Duplicate
	}
	for key, f := range y.events {
		switch {
		case f.dead:
			dead++
		case f.settled.IsZero():
			waiting++
		case !f.settled.Before(buckets[0].Start):
			want++
		}
		if now.Sub(f.settled) < retention && !strings.HasPrefix(key, fprom.KindCancellation) {
			ledger++
		}
	}
	q := s.Queue // at each outcome up to 20 old ids leave the ledger, so those of the backfill take a while
	if got != want || q.Pending+q.Bulk != waiting || q.Dead != dead || q.Ledger < ledger || q.Ledger > ledger+400 {
		y.Errorf("%v: %d in History, %+v; want %d, %d waiting, %d dead, %d in the ledger", now, got, q, want, waiting, dead, ledger)
	}
	if s.Breaker != "closed" || s.PauseReason+s.PutError+s.QueueError != "" || y.outage || info.Size() > 1<<20 {
		y.Errorf("%v: %+v, in an outage: %v, %d bytes; want peace and no large file", now, s, y.outage, info.Size())
	}
}

// compare compares what FirstPromoter has with what happened.
func (y *year) compare() {
	for _, c := range y.fake.Commissions() {
		f := y.events[c.Kind+":"+c.EventID]
		if f.earned++; f.promoter != c.RefID || f.amount != max(c.SaleAmount, -c.SaleAmount) {
			y.Errorf("%+v, want %+v", c, *f)
		}
	}
	for key, f := range y.events {
		if want := min(len(f.promoter), 1); f.earned != want {
			y.Errorf("%s: %d commissions, want %d", key, f.earned, want)
		}
	}
	last := map[string]int{} // by customer
	for _, r := range y.fake.Accepted() {
		who, number := cmp.Or(r.Body.Email, r.Body.UID), y.events[r.Kind+":"+r.EventID].number
		if number < last[who] && r.Kind != fprom.KindCancellation { // it may pass a sale that fails for an hour
			y.Errorf("%s:%s overtook an earlier event of its customer", r.Kind, r.EventID)
		}
		last[who] = max(last[who], number)
	}
}
