package fprom_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/fpromtest/queuetest"
)

// poisons are answers that some events get each time, while all others are tracked after 100 ms.
var poisons = map[string]reply{
	"403":              {status: 403, body: `{"message":"You don't have enough rights to perform this action","code":"forbidden"}`, after: 100 * time.Millisecond},
	"404 page":         {status: 404, body: htmlPage, after: 100 * time.Millisecond},
	"302":              {status: 302, header: header("Location", "/login"), after: 100 * time.Millisecond},
	"401":              {status: 401, after: 100 * time.Millisecond},
	"503 and later":    {status: 503, header: header("Retry-After", "60"), after: 100 * time.Millisecond},
	"500":              {status: 500, after: 100 * time.Millisecond},
	"409 without JSON": {status: 409, body: htmlPage, after: 100 * time.Millisecond},
	"hang":             {hang: true},
}

// poisoned is a FirstPromoter that answers bad events so, and tracks all others.
func poisoned(bad reply) *fake {
	return &fake{answer: func(_ int, c call) reply {
		if strings.Contains(c.body, `"event_id":"bad`) {
			return bad
		}
		return reply{status: 200, body: okBody, after: 100 * time.Millisecond}
	}}
}

// TestBadEventsDoNotStopOthers: events that alone get a bad answer each time are put first.
func TestBadEventsDoNotStopOthers(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 5, 20, 200} {
		queuetest.TestBadEvents(t, func(*testing.T) fprom.Queue { return fprom.NewMemoryQueue(0) }, n, slices.Collect(maps.Keys(queuetest.BadAnswers))...)
	}
}

// TestUnauthorizedEvents: a 401 pauses the account at once; but not again and again for an event that alone gets it.
func TestUnauthorizedEvents(t *testing.T) {
	for _, n := range []int{1, 20} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cfg := config(poisoned(poisons["401"]))
				cfg.RequestsPerMinute, cfg.Burst = 400, 0
				var paused atomic.Int32
				cfg.Observer = func(_ context.Context, s fprom.Step) {
					if s.Stage == fprom.StagePaused {
						paused.Add(1)
					}
				}
				tracker := start(t, cfg)
				for i := range n {
					enqueue(t, tracker, sale(fmt.Sprint("bad", i)))
				}
				for i := range 4000 {
					enqueue(t, tracker, sale(fmt.Sprint("ok", i)))
				}
				time.Sleep(5 * time.Minute)
				before := tracker.Stats().Tracked
				time.Sleep(5 * time.Minute)
				if rate := (tracker.Stats().Tracked - before) / 5; rate < 296 {
					t.Errorf("%d sales a minute, want 80 %% of 370", rate)
				}
				if paused := int(paused.Load()); paused > 2*n {
					t.Errorf("%d pauses for %d events", paused, n)
				}
			})
		})
	}
}

// TestBadEventsInAQuietShop: a sale every 30 seconds is delivered within 5 seconds at the median.
func TestBadEventsInAQuietShop(t *testing.T) {
	for name, bad := range poisons {
		for _, n := range []int{1, 20} {
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					f := poisoned(bad)
					tracker := start(t, config(f))
					for i := range n {
						enqueue(t, tracker, sale(fmt.Sprint("bad", i)))
					}
					slow := 0
					const sales = 60
					for i := range sales {
						time.Sleep(30 * time.Second)
						id := fmt.Sprint("ok", i)
						enqueue(t, tracker, sale(id))
						time.Sleep(5 * time.Second)
						if f.count(id) == 0 {
							slow++
						}
					}
					if slow > sales/2 {
						t.Errorf("%d of %d sales waited longer than 5 s", slow, sales)
					}
				})
			})
		}
	}
}

// TestAnEventThatAlwaysFails: its customer's later sales go after an hour, its attempts back off to one an hour, and
// after a day it is a dead letter.
func TestAnEventThatAlwaysFails(t *testing.T) {
	for name, answer := range poisons {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := poisoned(answer)
				var seen steps
				cfg := config(f)
				cfg.Observer = seen.observe
				tracker := start(t, cfg)
				var bad fprom.Sale
				for _, customer := range []string{"ann", "bob"} { // an hour's trial is for one of them only
					bad = sale("bad-" + customer)
					bad.Email = customer + "@example.com"
					enqueue(t, tracker, bad)
					for i := range 12 {
						later := sale(fmt.Sprint(customer, i))
						later.Email = bad.Email
						enqueue(t, tracker, later)
					}
				}
				begin := time.Now()
				for i, went := 0, 0; time.Since(begin) < 40*time.Hour; i++ { // other customers
					enqueue(t, tracker, sale(fmt.Sprint("other", i)))
					time.Sleep(time.Minute)
					if went == 2 {
						continue
					}
					if went = f.count("ann11") + f.count("bob11"); went < 2 && time.Since(begin) > 2*time.Hour {
						t.Fatalf("after 2 hours the later sales of %d of 2 customers have gone", went)
					} else if went > 0 && time.Since(begin) < time.Hour {
						t.Fatalf("a customer's later sales went after %v", time.Since(begin))
					}
				}
				if n := f.count("bad-bob"); n > 60 {
					t.Errorf("%d attempts", n)
				}
				if s := tracker.Stats(); s.Rejected != 2 || s.Queue.Pending != 0 {
					t.Fatalf("%d dead letters, %d pending, want 2 and 0", s.Rejected, s.Queue.Pending)
				}
				dead := seen.of(fprom.StageDead)[0]
				var api *fprom.APIError
				if dead.Result.Outcome != fprom.Undelivered || answer.status != 0 && !errors.As(dead.Err, &api) {
					t.Errorf("the dead letter hides the answer: %+v", dead)
				}
				enqueue(t, tracker, bad) // a redelivered webhook must not be told that it will be delivered
				settle()
				if n := tracker.Stats().Queue.Pending; n != 1 {
					t.Errorf("%d wait after it was put again, want 1", n)
				}
			})
		})
	}
}

// TestAnOnlyCustomer: without other customers an event that always fails cannot be told from an outage; but after an hour
// the next one is tried.
func TestAnOnlyCustomer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := poisoned(reply{status: 500})
		tracker := start(t, config(f))
		for _, id := range []string{"bad", "later1", "later2"} {
			s := sale(id)
			s.Email = "ann@example.com"
			enqueue(t, tracker, s)
		}
		time.Sleep(59 * time.Minute)
		if n := f.count("later1"); n != 0 {
			t.Error("the customer's order was given up within the hour")
		}
		time.Sleep(time.Hour)
		if f.count("later1") != 1 || f.count("later2") != 1 {
			t.Errorf("%d and %d calls for the later sales, want 1 and 1", f.count("later1"), f.count("later2"))
		}
	})
}

// TestOneTrialAnHour: in an outage the later events of one customer may pass each hour; those of all others keep their order.
func TestOneTrialAnHour(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(reply{status: 500})
		tracker := start(t, config(f))
		for i := range 10 {
			first, later := sale(fmt.Sprint("first", i)), sale(fmt.Sprint("later", i))
			later.Email = first.Email
			enqueue(t, tracker, first, later)
		}
		time.Sleep(119 * time.Minute)
		went := 0
		for i := range 10 {
			went += min(f.count(fmt.Sprint("later", i)), 1)
		}
		if went != 1 {
			t.Errorf("the later sales of %d customers went, want 1", went)
		}
	})
}

// TestSalesNeverPassTheirSignup: a sale that passes its customer's sign-up is no referral's, and earns nothing for ever. So it waits,
// however long FirstPromoter fails, or only its sign-ups do.
func TestSalesNeverPassTheirSignup(t *testing.T) {
	for name, outage := range map[string]fpromtest.Fault{
		"an outage": fpromtest.Status(500), "an outage of sign-ups": fpromtest.Status(500).OnKind(fprom.KindSignup),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				server := fpromtest.NewServer(t, fpromtest.InMemory())
				server.Inject(outage.For(24 * time.Hour))
				cfg := server.Config()
				cfg.Logger, cfg.Breaker.OpenFor = slog.New(slog.DiscardHandler), time.Minute
				tracker := start(t, cfg)
				for i := range 20 {
					s := sale(fmt.Sprint("first", i))
					enqueue(t, tracker, fprom.Signup{Email: s.Email, RefID: fpromtest.DefaultRefID}, s)
				}
				for i := range 26 * 6 {
					enqueue(t, tracker, sale(fmt.Sprint("other", i)))
					time.Sleep(10 * time.Minute)
				}
				if n := len(server.Commissions()); n != 20 {
					t.Errorf("%d of 20 first sales earned a commission", n)
				}
			})
		})
	}
}

// TestNothingIsGivenUpInAnOutage: where nothing gets a good answer it is not the events' fault, however long it lasts.
func TestNothingIsGivenUpInAnOutage(t *testing.T) {
	for name, bad := range poisons {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				begin := time.Now()
				f := &fake{answer: func(int, call) reply {
					if time.Since(begin) < 26*time.Hour {
						return bad
					}
					return ok()
				}}
				var seen steps
				cfg := config(f)
				cfg.Observer, cfg.Breaker.OpenFor = seen.observe, time.Minute
				tracker := start(t, cfg)
				for i := range 20 {
					enqueue(t, tracker, sale(fmt.Sprint("s", i)))
				}
				time.Sleep(26 * time.Hour)
				if n := len(f.seen()); n > 26*60*60 {
					t.Errorf("%d calls in 26 hours of outage", n)
				}
				flush(t, tracker, 2*time.Hour)
				if s := tracker.Stats(); s.Tracked != 20 || s.Rejected != 0 {
					t.Errorf("%d tracked, %d given up, want 20 and 0", s.Tracked, s.Rejected)
				}
				if got := seen.of(fprom.StageDead); len(got) != 0 {
					t.Errorf("dead letters: %v", got)
				}
			})
		})
	}
}

// TestNothingIsGivenUpByChance: where hardly an attempt succeeds it is not the fault of the events that fail, however long it
// lasts.
func TestNothingIsGivenUpByChance(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const outage, events = 48 * time.Hour, 100
		begin := time.Now()
		f := &fake{answer: func(n int, _ call) reply {
			if time.Since(begin) < outage && n%50 != 0 {
				return reply{status: 500}
			}
			return ok()
		}}
		cfg := config(f)
		cfg.RequestsPerMinute, cfg.Burst = 2, 1
		tracker := start(t, cfg)
		for i := range events {
			enqueue(t, tracker, sale(fmt.Sprint("s", i)))
		}
		time.Sleep(outage)
		if s := tracker.Stats(); s.Tracked == 0 || s.Queue.Pending == 0 {
			t.Fatalf("%d tracked and %d waiting at the end of the outage, want some of both", s.Tracked, s.Queue.Pending)
		}
		flush(t, tracker, 2*time.Hour)
		if s := tracker.Stats(); s.Tracked != events || s.Rejected != 0 {
			t.Errorf("%d tracked, %d given up, want %d and 0", s.Tracked, s.Rejected, events)
		}
	})
}

// TestFailuresByChance: where many attempts fail, whatever the event, none is taken for one that fails alone, also where
// retries are quick.
func TestFailuresByChance(t *testing.T) {
	for name, test := range map[string]struct {
		retry  fprom.RetryConfig
		oneIn  int // so many attempts fails
		events int
	}{"usual": {fprom.RetryConfig{}, 2, 300}, "quick": {fprom.RetryConfig{Base: 5 * time.Millisecond, Max: 50 * time.Millisecond}, 5, 15_000}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var mu sync.Mutex
				rng := rand.New(rand.NewPCG(1, 1))
				f := &fake{answer: func(int, call) reply {
					mu.Lock()
					defer mu.Unlock()
					if rng.IntN(test.oneIn) == 0 {
						return reply{status: 500, after: time.Millisecond}
					}
					return reply{status: 200, body: okBody, after: time.Millisecond}
				}}
				cfg := config(f)
				cfg.Retry, cfg.Breaker.OpenFor = test.retry, 20*time.Millisecond
				tracker := start(t, cfg)
				for i := range test.events {
					enqueue(t, tracker, sale(fmt.Sprint("s", i)))
				}
				flush(t, tracker, 7*time.Minute) // an event that fails alone waits longer
			})
		})
	}
}

// TestBreakerOverlooksWhatFailsAlone: an event that fails while others succeed does not open the breaker again.
func TestBreakerOverlooksWhatFailsAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := poisoned(reply{status: 500})
		cfg := config(f)
		cfg.Breaker.Failures = 1
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("bad"))
		for i := range 1200 {
			time.Sleep(500 * time.Millisecond)
			if b := tracker.Stats().Breaker; b != "closed" && i > 60 {
				t.Fatalf("the breaker is %s", b)
			}
			enqueue(t, tracker, sale(fmt.Sprint("good", i)))
		}
		if n := f.count("bad"); n < 3 {
			t.Errorf("%d attempts, want some after the breaker closed", n)
		}
	})
}

// TestBadBulkEvents: live events do not wait behind bulk ones that get a bad answer each time.
func TestBadBulkEvents(t *testing.T) {
	for name, most := range map[string]time.Duration{"403": 5 * time.Second, "500": 5 * time.Second, "503 and later": time.Minute} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				q, f := fprom.NewMemoryQueue(0), poisoned(poisons[name])
				for i := range 200 {
					m, err := fprom.NewMessage(sale(fmt.Sprint("bad", i)))
					if m.Bulk = true; errors.Join(err, q.Put(t.Context(), m)) != nil {
						t.Fatal(err)
					}
				}
				cfg := config(f)
				cfg.Queue, cfg.RequestsPerMinute, cfg.Burst = q, 400, 0
				tracker := start(t, cfg)
				for i := range 30 {
					time.Sleep(10 * time.Second)
					id := fmt.Sprint("ok", i)
					enqueue(t, tracker, sale(id))
					begin := time.Now()
					for f.count(id) == 0 && time.Since(begin) <= most {
						time.Sleep(100 * time.Millisecond)
					}
					if f.count(id) == 0 {
						t.Fatalf("sale %d waits longer than %v", i, most)
					}
				}
			})
		})
	}
}

// TestGivenUpBeginsAnew: an event that was given up and is enqueued again gets another day.
func TestGivenUpBeginsAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tracker := start(t, config(poisoned(reply{status: 500})))
		others := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Minute) {
				enqueue(t, tracker, sale(fmt.Sprint("other", time.Now().Unix())))
			}
		}
		for range 2 {
			enqueue(t, tracker, sale("bad"))
			before := tracker.Stats().Rejected
			others(20 * time.Hour)
			if s := tracker.Stats(); s.Rejected != before {
				t.Errorf("given up before a day has passed: %+v", s)
			}
			others(10 * time.Hour)
			if s := tracker.Stats(); s.Rejected != before+1 {
				t.Errorf("not given up after a day: %+v", s)
			}
		}
	})
}

// TestAloneThroughALongPause: an event that failed alone for most of a day is not taken for a new one after a pause of hours.
func TestAloneThroughALongPause(t *testing.T) {
	for name, events := range map[string]int{"waits at the gate": 1, "waits in the queue": 5} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				begin := time.Now()
				bad := poisoned(reply{status: 500})
				f := &fake{answer: func(n int, c call) reply {
					if at := time.Since(begin); at > 20*time.Hour && at < 24*time.Hour {
						return reply{status: 401}
					}
					return bad.answer(n, c)
				}}
				cfg := config(f)
				cfg.Workers = 4
				tracker := start(t, cfg)
				for i := range events {
					enqueue(t, tracker, sale(fmt.Sprint("bad", i)))
				}
				for i := 0; time.Since(begin) < 32*time.Hour; i++ {
					enqueue(t, tracker, sale(fmt.Sprint("other", i)))
					time.Sleep(time.Minute)
				}
				if s := tracker.Stats(); s.Rejected != uint64(events) {
					t.Errorf("%d of %d events that failed for a day are given up: %+v", s.Rejected, events, s)
				}
			})
		})
	}
}

// TestAPauseIsNoDayOfFailures: an event that failed alone for some minutes before a pause of 22 hours gets another day.
func TestAPauseIsNoDayOfFailures(t *testing.T) {
	bubble(t, func(t *testing.T) {
		begin := time.Now()
		bad := poisoned(reply{status: 500})
		f := &fake{answer: func(n int, c call) reply {
			switch at := time.Since(begin); {
			case at < 20*time.Minute, at > 22*time.Hour && at < 28*time.Hour:
				return bad.answer(n, c)
			case at < 22*time.Hour:
				return reply{status: 401}
			}
			return ok()
		}}
		tracker := start(t, config(f))
		enqueue(t, tracker, sale("bad"))
		for i := 0; time.Since(begin) < 30*time.Hour; i++ {
			enqueue(t, tracker, sale(fmt.Sprint("other", i)))
			time.Sleep(time.Minute)
		}
		if s := tracker.Stats(); s.Rejected != 0 || s.Queue.Pending != 0 {
			t.Errorf("given up after it failed alone for six hours: %+v", s)
		}
	})
}

// TestNeverGivenUp: neither a 429 nor a failure of Track counts for giving up an event, although others succeed for more than a day.
func TestNeverGivenUp(t *testing.T) {
	for name, test := range map[string]struct {
		bad    reply
		queued bool
	}{
		"throttled": {reply{status: 429, header: header("Retry-After", "60")}, true},
		"Track":     {reply{status: 500}, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := poisoned(test.bad)
				tracker := start(t, config(f))
				if test.queued {
					enqueue(t, tracker, sale("bad"))
				}
				for i := range 30 * 12 {
					enqueue(t, tracker, sale(fmt.Sprint("other", i)))
					time.Sleep(5 * time.Minute)
					if !test.queued {
						_, _ = tracker.Track(t.Context(), sale("bad"))
					}
				}
				if s := tracker.Stats(); s.Rejected != 0 || f.count("bad") < 30*12 {
					t.Errorf("%d attempts: %+v", f.count("bad"), s)
				}
			})
		})
	}
}

// TestRefundsNeverPassTheirSale: a refund that passes its sale takes nothing back, and the commission stays. So it waits, also
// where the later events of the customer may go, or where it names the customer in another way. If the sale is given up, it goes.
func TestRefundsNeverPassTheirSale(t *testing.T) {
	for name, outage := range map[string]time.Duration{"a sale that fails for three hours": 3 * time.Hour, "a sale that is given up": 100 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				server := fpromtest.NewServer(t, fpromtest.InMemory())
				server.Inject(fpromtest.Status(500).OnEvent("first").OnKind(fprom.KindSale).For(outage))
				var log bytes.Buffer
				cfg := server.Config()
				cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				tracker := start(t, cfg)
				first := fprom.Sale{EventID: "first", Email: "ann@example.com", UID: "ann", Amount: 1000, RefID: fpromtest.DefaultRefID}
				second := first
				second.EventID = "second"
				enqueue(t, tracker, first, second, fprom.Refund{EventID: "r1", Email: "ann@example.com", Amount: 400, SaleEventID: "first"},
					fprom.Refund{EventID: "r2", UID: "ann", Amount: 600, SaleEventID: "first"})
				for i := range 40 * 6 {
					enqueue(t, tracker, sale(fmt.Sprint("other", i)))
					time.Sleep(10 * time.Minute)
				}
				settle()
				for line := range strings.Lines(log.String()) {
					if strings.Contains(line, "is sent after its sale") && (strings.Contains(line, "sent again") || !strings.Contains(line, "DEBUG")) {
						t.Fatalf("nothing was sent, and FirstPromoter did not answer: %s", line)
					}
				}
				var left int64
				for _, c := range server.Commissions() {
					left += c.SaleAmount
				}
				if left != second.Amount {
					t.Errorf("commissions for %d, want only that for the second sale", left)
				}
				if s := tracker.Stats(); s.Queue.Pending != 0 || s.Rejected > 1 {
					t.Errorf("stats %+v", s)
				}
			})
		})
	}
}

// TestRefundAfterALongPause: a sale that waits is not forgotten, however long the account is paused and the other events go first, as
// probes. So its refund, which names the customer in another way, comes after it.
func TestRefundAfterALongPause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const paused = 30 * time.Minute
		begin := time.Now()
		f := &fake{answer: func(int, call) reply {
			if time.Since(begin) < paused {
				return reply{status: 401}
			}
			return ok()
		}}
		cfg := config(f)
		cfg.Dedupe.TTL = paused / 3
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("refused"))
		settle()
		enqueue(t, tracker, sale("first"))
		for i := range 50 {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
		}
		time.Sleep(paused)
		back := refund("back")
		back.SaleEventID = "first"
		enqueue(t, tracker, back)
		flush(t, tracker, time.Hour)
		var order []string
		for _, c := range f.seen() {
			if c.has("first") && c.at.Sub(begin) >= paused {
				order = append(order, c.kind)
			}
		}
		if !slices.Equal(order, []string{fprom.KindSale, fprom.KindRefund}) {
			t.Errorf("sent %v, want the sale and then its refund", order)
		}
	})
}

// TestTrackOfARefund: Track makes its attempt, although the sale has no outcome yet.
func TestTrackOfARefund(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tracker := start(t, config(script(reply{status: 500}, reply{status: 200, body: okBody})))
		enqueue(t, tracker, sale("ch_1"))
		settle()
		taken := refund("re_1")
		taken.SaleEventID = "ch_1"
		if r, err := tracker.Track(t.Context(), taken); r.Outcome != fprom.Tracked {
			t.Errorf("Track: %v, %v", r.Outcome, err)
		}
	})
}

// lateQueue returns from each Put a minute after it has stored the events.
type lateQueue struct{ fprom.Queue }

func (q lateQueue) Put(ctx context.Context, m ...fprom.Message) error {
	defer time.Sleep(time.Minute)
	return q.Queue.Put(ctx, m...)
}

// TestRefundOfARejectedSale: the sale is rejected before the Put that stored it returns, and it is put again while the queue still has
// it, since the Observer is slow. It waits no more, so its refund is sent, and a corrected sale is no conflict.
func TestRefundOfARejectedSale(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &fake{answer: func(_ int, c call) reply {
			if c.has("bad") && c.kind == fprom.KindSale {
				return reply{status: 400, body: `{"message":"wrong"}`}
			}
			return ok()
		}}
		cfg := config(f)
		cfg.Queue = lateQueue{fprom.NewMemoryQueue(0)}
		cfg.Observer = func(_ context.Context, s fprom.Step) {
			if s.Stage == fprom.StageDead {
				time.Sleep(3 * time.Minute)
			}
		}
		tracker := start(t, cfg)
		time.Sleep(time.Minute) // there are tokens for all
		enqueue(t, tracker, sale("other"), sale("bad"))
		enqueue(t, tracker, sale("bad"))
		back := refund("back")
		back.SaleEventID = "bad"
		enqueue(t, tracker, back)
		flush(t, tracker, time.Minute)
		if s := tracker.Stats(); s.Rejected != 1 || s.Tracked != 2 {
			t.Errorf("stats %+v", s)
		}
		corrected := sale("bad")
		corrected.Amount++
		if _, err := tracker.Track(t.Context(), corrected); errors.Is(err, fprom.ErrConflict) {
			t.Errorf("Track of the corrected sale: %v", err)
		}
	})
}

// TestRefundOfASaleThatIsPutAgain: a failed Put of an event that waits already does not end its waiting. What waits only in a
// failed Put does not wait.
func TestRefundOfASaleThatIsPutAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &fake{answer: func(n int, _ call) reply {
			if n == 1 {
				return reply{status: 500}
			}
			return ok()
		}}
		cfg := config(f)
		cfg.Queue, cfg.Workers = fprom.NewMemoryQueue(2), 1
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("first"))
		settle()
		if err := tracker.Enqueue(t.Context(), sale("first"), sale("more"), sale("excess")); !errors.Is(err, fprom.ErrQueueFull) {
			t.Fatalf("Enqueue: %v, want a full queue", err)
		}
		back := refund("back")
		back.Email, back.UID, back.SaleEventID = "other@example.com", "", "first" // another customer, so only SaleEventID keeps the order
		enqueue(t, tracker, back)
		settle()
		if n := f.count("back"); n != 0 {
			t.Errorf("the refund was sent %d times before its sale", n)
		}
		more := sale("more")
		more.Amount++
		if _, err := tracker.Track(t.Context(), more); err != nil {
			t.Errorf("Track of a sale that was not stored before, now with another amount: %v", err)
		}
		flush(t, tracker, time.Hour)
		if n := f.count("back"); n != 1 {
			t.Errorf("the refund was sent %d times after its sale", n)
		}
	})
}
