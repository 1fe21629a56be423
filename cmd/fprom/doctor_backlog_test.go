package main_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	root "github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
)

func TestDoctorOnALiveOutbox(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		fake, e, _ := sold(t, p, sale("ch_1", "jane@example.com", 1999, "USD"))
		r := fprom(t, e, "doctor").want(t, 0)
		r.out = outboxName.ReplaceAllString(r.out, "OUTBOX can be opened")
		r.golden(t, "doctor.txt")
		if n := fake.Count("sale", ""); n != 1 {
			t.Errorf("%d tracking calls", n)
		}
		// Stripe is connected inside FirstPromoter as well
		fake.AddPastSale(fpromtest.PastSale{EventID: "in_1Native", Email: "jane@example.com", Amount: 1999, Currency: "USD"})
		fprom(t, e, "doctor", "-o", "json").want(t, 0).names(t, "others", `1 of 2 commissions.*in_1Native.*disconnect`)
	})
}

func TestDoctorNamesWhatWaits(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		put(t, p, func(m *root.Message) { m.RecordedAt = time.Now().Add(-7 * time.Hour) }, sale("ch_old", "liz@example.com", 1, "USD"))
		e := account(fpromtest.NewServer(t)).with(env{"FPROM_OUTBOX": p.where})
		fprom(t, e, "doctor", "-o", "json").want(t, 3).names(t, "delivery", `No process delivers\. 1 event waits.*Start the service`)
		_, e = filled(t, p)
		put(t, p, nil, sale("ch_1", "jane@example.com", 5, "USD"))
		r := fprom(t, e, "doctor", "-o", "json").want(t, 3)
		r.names(t, "dead_letters", `2 dead letters.*fprom dead list`)
		r.names(t, "conflicts", `1 event not tracked.*invoice's`)
	})
}

// What waits is old when the page and the alarms call it old: an unknown visitor's sale is asked about for an hour, and a
// bulk load takes its time.
func TestDoctorOnOldEvents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		ago    time.Duration
		bulk   bool
		status string
	}{
		{"tried again", 90 * time.Minute, false, "ok"},
		{"late", 3 * time.Hour, false, "fail"},
		{"bulk load under way", 7 * time.Hour, true, "ok"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := inFile(t)
			put(t, p, func(m *root.Message) { m.RecordedAt, m.Bulk = time.Now().Add(-c.ago), c.bulk },
				sale("old", "kim@example.com", 700, "USD"))
			fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0))
			fake.Inject(fpromtest.Status(500).OnEvent("old"))
			tracker, _ := serve(t, p, fake)
			enqueue(t, tracker, sale("ch_1", "bob@example.com", 1999, "USD")) // an outcome
			eventually(t, func() bool { return fake.Count("sale", "old") > 0 && tracker.Stats().NotReferral == 1 })
			var v checks
			fprom(t, account(fake).with(env{"FPROM_OUTBOX": p.where}), "doctor", "-o", "json").object(t, &v)
			for _, check := range v.Checks {
				if check.Name == "delivery" && check.Status != c.status {
					t.Errorf("delivery is %s, want %s: %s", check.Status, c.status, check.Detail)
				}
			}
		})
	}
}

// An event that a wrong address refuses, for example, is not said to be on its way.
func TestOneEventKeepsFailing(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		put(t, p, func(m *root.Message) { m.RecordedAt = time.Now().Add(-3 * time.Minute) }, sale("ch_1", "jane@example.com", 1999, "USD"))
		fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0))
		fake.Inject(fpromtest.NotFoundPage().OnKind("sale"))
		serve(t, p, fake)
		e := account(fake).with(env{"FPROM_OUTBOX": p.where})
		eventually(t, func() bool {
			return strings.Contains(fprom(t, e, "status").want(t, 0).out, "An event fails again and again, and no other has arrived meanwhile: 404 Not Found")
		})
		fprom(t, e, "doctor", "-o", "json").want(t, 0).names(t, "delivery", `meanwhile: 404 Not Found.* 1 event waits\..*mend what the reason names`)
	})
}

// A wrong account id refuses every event, and each process pauses for itself: the database does not know of the pause, but why it began.
func TestAllEventsAreRefused(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		events := []root.Event{sale("ch_1", "jane@example.com", 1999, "USD"), sale("ch_2", "ann@example.com", 1999, "USD"), sale("ch_3", "kim@example.com", 1999, "USD")}
		put(t, p, func(m *root.Message) { m.RecordedAt = time.Now().Add(-3 * time.Minute) }, events...)
		fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0))
		fake.Inject(fpromtest.Status(403).OnKind("sale"))
		tracker, _ := serve(t, p, fake)
		eventually(t, func() bool { return !tracker.Stats().PausedUntil.IsZero() })
		r := fprom(t, account(fake).with(env{"FPROM_OUTBOX": p.where}), "status", "-o", "json").want(t, 0)
		if strings.Contains(r.out, `"verdict": "ok"`) || !strings.Contains(r.out, "403 Forbidden") {
			t.Error(r)
		}
	})
}

func TestDoctorNamesAPause(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
		fake.Inject(fpromtest.Status(429).RetryAfter("300").OnKind("sale"))
		tracker, _ := serve(t, p, fake)
		enqueue(t, tracker, sale("ch_1", "jane@example.com", 1999, "USD"))
		e := account(fake).with(env{"FPROM_OUTBOX": p.where})
		eventually(t, func() bool {
			var s struct {
				PausedUntil *time.Time `json:"paused_until"`
			}
			fprom(t, e, "status", "-o", "json").want(t, 0).object(t, &s)
			return s.PausedUntil != nil
		})
		fprom(t, e, "doctor", "-o", "json").want(t, 0).names(t, "delivery", `Delivery is paused, for another [^:]*: sale:ch_1: 429.* 1 event waits\..*Nothing, unless it stays`)
	})
}

// A second integration that began just now is seen, however many commissions there were before.
func TestDoctorOfABusyAccount(t *testing.T) {
	t.Parallel()
	var events []root.Event
	for i := range 120 {
		events = append(events, sale(fmt.Sprintf("ch_%d", i), fmt.Sprintf("c%d@example.com", i), 1000, "USD"))
	}
	fake, e, _ := sold(t, inFile(t), events...)
	if r := fprom(t, e, "doctor").want(t, 0); !strings.Contains(r.out, "the newest 100 commissions since this outbox's first event, all of sales in it") {
		t.Error(r)
	}
	fake.AddPastSale(fpromtest.PastSale{EventID: "in_1Native", Email: "c9@example.com", Amount: 1000, Currency: "USD", At: time.Now().Add(2 * time.Second)})
	fprom(t, e, "doctor", "-o", "json").want(t, 0).names(t, "others", `1 of the newest 100 commissions.*in_1Native`)
}

// Where every customer is nobody's, and where handlers record nothing, all else looks well.
func TestDoctorMissesReferrals(t *testing.T) {
	t.Parallel()
	p := inFile(t)
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0))
	tracker, _ := serve(t, p, fake)
	e := account(fake).with(env{"FPROM_OUTBOX": p.where})
	if r := fprom(t, e, "doctor").want(t, 0); !strings.Contains(r.out, "no event arrived in the last 30 days") || !strings.Contains(r.out, "fprom.Record") {
		t.Error(r)
	}
	for i := range 20 {
		enqueue(t, tracker, sale(fmt.Sprintf("ch_%d", i), "jane@example.com", 1000, "USD"))
	}
	flush(t, tracker)
	r := fprom(t, e, "doctor").want(t, 0)
	if !strings.Contains(r.out, "! referrals     20 events arrived in the last 30 days, 0 of a referral") || !strings.Contains(r.out, "fprom.Signup") {
		t.Error(r)
	}
}

// A shop whose handlers recorded events once, and do not any more.
func TestDoctorMissesEvents(t *testing.T) {
	t.Parallel()
	p := inDatabase(t)
	_, e, _ := sold(t, p, sale("ch_1", "jane@example.com", 1999, "USD"))
	execIn(t, p, `UPDATE $s.fprom_ledger SET settled_at = now() - interval '40 days'`)
	fprom(t, e, "doctor", "-o", "json").want(t, 0).names(t, "referrals", `no event arrived in the last 30 days, but.*refused webhooks.*fprom\.Record`)
}

// What was sent before the outbox was made, from the queue in memory, is of no other integration.
func TestDoctorAfterAMoveToAnOutbox(t *testing.T) {
	t.Parallel()
	fake, e, _ := sold(t, inFile(t), sale("ch_1", "jane@example.com", 1999, "USD"))
	fake.AddPastSale(fpromtest.PastSale{EventID: "ch_0", Email: "jane@example.com", Amount: 1999, Currency: "USD", At: time.Now().Add(-time.Hour)})
	r := fprom(t, e, "doctor").want(t, 0)
	if !strings.Contains(r.out, "1 commission since this outbox's first event, all of sales in it") {
		t.Error(r)
	}
}

// A young outbox beside an account with many older commissions of today: one page is enough.
func TestDoctorReadsNothingOlderThanTheOutbox(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
	for i := range 1000 {
		fake.AddPastSale(fpromtest.PastSale{EventID: fmt.Sprintf("old_%d", i), Email: "jane@example.com", Amount: 1999, Currency: "USD", At: time.Now().Add(-time.Duration(i+60) * time.Second)})
	}
	p := inFile(t)
	put(t, p, nil, sale("ch_1", "jane@example.com", 1999, "USD"))
	fprom(t, account(fake).with(env{"FPROM_OUTBOX": p.where}), "doctor", "-o", "json").object(t, &checks{})
	pages := 0
	for _, r := range fake.Requests() {
		if strings.Contains(r.Path, "commissions") {
			pages++
		}
	}
	if pages != 1 {
		t.Errorf("%d pages of commissions were read", pages)
	}
}
