package fprom_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

var unknownYet = object(404, notFound)

// referred is the sale ch_1 with a referral.
func referred() fprom.Sale {
	s := sale("ch_1")
	s.TID = "tid"
	return s
}

// asked is when the event was asked about, since the first call.
func asked(f *fake, id string) (at []time.Duration) {
	calls := f.seen()
	for _, c := range calls {
		if c.has(id) {
			at = append(at, c.at.Sub(calls[0].at))
		}
	}
	return at
}

func checkTimes(t *testing.T, got, want []time.Duration) {
	t.Helper()
	same := len(got) == len(want)
	for i := 0; same && i < len(got); i++ {
		same = near(got[i], want[i])
	}
	if !same {
		t.Errorf("asked at %v, want %v", got, want)
	}
}

// A sale that says who referred it is asked about again: its sign-up may be on the way.
func TestNotFoundIsAskedAgain(t *testing.T) {
	defaults := []time.Duration{0, 30 * time.Second, 5 * time.Minute, time.Hour}
	with := func(change func(*fprom.Sale)) fprom.Sale {
		s := sale("ch_1")
		change(&s)
		return s
	}
	tests := map[string]struct {
		event    fprom.Event
		schedule []time.Duration
		reply    reply
		want     []time.Duration
	}{
		"TID":               {referred(), nil, unknownYet, defaults},
		"RefID":             {with(func(s *fprom.Sale) { s.RefID = "r" }), nil, unknownYet, defaults},
		"PromoCode":         {with(func(s *fprom.Sale) { s.PromoCode = "p" }), nil, unknownYet, defaults},
		"204":               {referred(), nil, reply{status: 204}, defaults},
		"own schedule":      {referred(), []time.Duration{time.Second, 2 * time.Hour}, unknownYet, []time.Duration{0, time.Second, 2 * time.Hour}},
		"over days":         {referred(), []time.Duration{time.Hour, 24 * time.Hour, 72 * time.Hour}, unknownYet, []time.Duration{0, time.Hour, 24 * time.Hour, 72 * time.Hour}},
		"after days":        {referred(), []time.Duration{72 * time.Hour}, unknownYet, []time.Duration{0, 72 * time.Hour}},
		"no schedule":       {referred(), []time.Duration{}, unknownYet, []time.Duration{0}},
		"no referral":       {sale("ch_1"), nil, unknownYet, []time.Duration{0}},
		"refund":            {refund("ch_1"), nil, unknownYet, []time.Duration{0}},
		"sign-up":           {aSignup, nil, object(404, `{"message":"Visitor  invalid"}`), []time.Duration{0}},
		"another 404":       {referred(), nil, object(400, `{"message":"x"}`), []time.Duration{0}},
		"success at once":   {referred(), nil, ok(), []time.Duration{0}},
		"duplicate at once": {referred(), nil, object(409, `{}`), []time.Duration{0}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := always(test.reply)
				cfg := config(f)
				cfg.Retry.NotFound, cfg.Retry.Base = test.schedule, 12*time.Hour // which has nothing to do with it
				var seen steps
				cfg.Observer = seen.observe
				tracker := start(t, cfg)
				enqueue(t, tracker, test.event)
				flush(t, tracker, 100*time.Hour)
				id := "ch_1"
				if name == "sign-up" {
					id = "lead@example.com"
				}
				checkTimes(t, asked(f, id), test.want)
				for _, again := range seen.of(fprom.StageRetry) {
					if again.Err == nil || !strings.Contains(again.Err.Error(), "asked again in") {
						t.Errorf("the step says %v", again.Err)
					}
				}
				if s := tracker.Stats(); s.NotReferral+s.Tracked+s.Duplicate+s.Rejected != 1 {
					t.Errorf("stats %+v", s)
				}
			})
		})
	}
}

// The longest time is centuries, and not at once.
func TestNotFoundWithTheLongestTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(unknownYet)
		cfg := config(f)
		cfg.Retry.NotFound = []time.Duration{time.Minute, math.MaxInt64}
		tracker := start(t, cfg)
		enqueue(t, tracker, referred())
		time.Sleep(time.Hour)
		checkTimes(t, asked(f, "ch_1"), []time.Duration{0, time.Minute})
	})
}

// A backlog that the limit delays by more than the schedule comes to its end all the same: here after two days of a refused key.
func TestNotFoundInALongBacklog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		begin := time.Now()
		f := &fake{answer: func(int, call) reply {
			if time.Since(begin) < 48*time.Hour {
				return reply{status: 401}
			}
			return unknownYet
		}}
		cfg := config(f)
		cfg.RequestsPerMinute, cfg.Burst = 60, 2
		tracker := start(t, cfg)
		const n = 1000
		for i := range n {
			s := sale(strconv.Itoa(i))
			s.TID = "visitor"
			enqueue(t, tracker, s)
		}
		time.Sleep(48 * time.Hour)
		before := len(f.seen())
		flush(t, tracker, 3*time.Hour)
		if calls := len(f.seen()) - before; calls > 4*n {
			t.Errorf("%d calls for %d sales", calls, n)
		}
	})
}

// What the customer did after the sale waits behind it; other customers do not.
func TestOrderBehindAskingAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &fake{}
		f.answer = func(_ int, c call) reply {
			if c.has("ch_1") && f.count("ch_1") < 3 {
				return unknownYet
			}
			return ok()
		}
		cfg := config(f)
		cfg.Workers = 1
		tracker := start(t, cfg)
		back := refund("re_1")
		back.Email = sale("ch_1").Email
		enqueue(t, tracker, referred(), back, sale("ch_2"))
		flush(t, tracker, 3*time.Hour)
		checkTimes(t, asked(f, "ch_1"), []time.Duration{0, 30 * time.Second, 5 * time.Minute})
		checkTimes(t, asked(f, "ch_2"), []time.Duration{0})
		checkTimes(t, asked(f, "re_1"), []time.Duration{5 * time.Minute})
	})
}

// A sign-up that was recorded after its sale goes before the answer to the sale is final, also if an outage was longer than the
// schedule.
func TestSignupBehindItsSale(t *testing.T) {
	for name, outage := range map[string]time.Duration{"at once": 0, "after an outage": 2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				begin := time.Now()
				var registered sync.Map // customers
				f := &fake{}
				f.answer = func(_ int, c call) reply {
					var e fprom.Signup
					if err := json.Unmarshal([]byte(c.body), &e); err != nil {
						t.Error(err)
					}
					if time.Since(begin) < outage {
						return reply{status: 500}
					}
					if c.kind == fprom.KindSignup {
						registered.Store(e.UID, true)
					}
					if _, is := registered.Load(e.UID); is {
						return ok()
					}
					return unknownYet
				}
				tracker := start(t, config(f))
				const customers = 5 // in an outage, one customer an hour is let pass anyway
				for i := range customers {
					s := sale(fmt.Sprint("ch_", i))
					s.Email, s.UID, s.PromoCode = "", strconv.Itoa(i), "SUMMER" // which is no promoter's
					enqueue(t, tracker, s, fprom.Signup{UID: s.UID, TID: "visitor-" + s.UID})
				}
				flush(t, tracker, outage+3*time.Hour)
				if outage == 0 {
					checkTimes(t, asked(f, "visitor-0"), []time.Duration{5 * time.Minute})
				}
				if s := tracker.Stats(); s.Tracked != 2*customers {
					t.Errorf("%d tracked, want %d sign-ups and their sales: %+v", s.Tracked, customers, s)
				}
			})
		})
	}
}

// The queue in memory hands back at Shutdown a sale that is asked about again, and what waits behind it.
func TestShutdownBehindAskingAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tracker, err := fprom.New(config(always(unknownYet)))
		if err != nil {
			t.Fatal(err)
		}
		back := refund("re_1")
		back.Email, back.Currency = referred().Email, "usd"
		enqueue(t, tracker, referred())
		settle()
		enqueue(t, tracker, back)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		var left *fprom.UndeliveredError
		err = tracker.Shutdown(ctx)
		if !errors.As(err, &left) || len(left.Events) != 2 || left.Events[1] != fprom.Event(back) || time.Since(begin) > time.Second {
			t.Errorf("Shutdown: %v after %v, want the sale and the refund at once", err, time.Since(begin))
		}
	})
}

func TestTrackAsksOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(unknownYet)
		tracker := start(t, config(f))
		r, err := tracker.Track(t.Context(), referred())
		if r.Outcome != fprom.NotReferral || err != nil || len(f.seen()) != 1 {
			t.Errorf("Track: %v, %v after %d calls", r.Outcome, err, len(f.seen()))
		}
	})
}

// Asking again is no failed attempt: it makes no later wait longer.
func TestAskingAgainSpendsNoAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := script(unknownYet, unknownYet, unknownYet, reply{status: 500}, ok())
		var seen steps
		cfg := config(f)
		cfg.Observer = seen.observe
		tracker := start(t, cfg)
		enqueue(t, tracker, referred())
		flush(t, tracker, 3*time.Hour)
		if done := seen.of(fprom.StageDelivered); len(done) != 1 || done[0].Message.Attempt != 2 {
			t.Errorf("delivered: %+v", done)
		}
	})
}

// Track's NotReferral may have come too early. It is the outcome of this attempt, and registers nothing: another attempt is
// made when it is asked for, and when the queue has the event, too.
func TestNotReferralOfTrack(t *testing.T) {
	for name, next := range map[string]func(*testing.T, *fprom.Tracker){
		"Track": func(t *testing.T, tracker *fprom.Tracker) {
			t.Helper()
			if r, err := tracker.Track(t.Context(), referred()); r.Outcome != fprom.Tracked {
				t.Errorf("Track: %v, %v", r.Outcome, err)
			}
		},
		"Enqueue": func(t *testing.T, tracker *fprom.Tracker) {
			t.Helper()
			enqueue(t, tracker, referred())
			flush(t, tracker, time.Minute)
		},
		"queued before": func(t *testing.T, tracker *fprom.Tracker) {
			t.Helper()
			flush(t, tracker, time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				replies := []reply{unknownYet, ok()}
				if name == "queued before" {
					replies = []reply{unknownYet, unknownYet, ok()}
				}
				tracker := start(t, config(script(replies...)))
				if name == "queued before" {
					enqueue(t, tracker, referred())
					settle()
				}
				if r, err := tracker.Track(t.Context(), referred()); r.Outcome != fprom.NotReferral || err != nil {
					t.Errorf("Track: %v, %v", r.Outcome, err)
				}
				next(t, tracker)
				if s := tracker.Stats(); s.Tracked != 1 || s.Duplicate != 0 {
					t.Errorf("%d tracked, %d duplicates; want 1 and 0", s.Tracked, s.Duplicate)
				}
			})
		})
	}
}
