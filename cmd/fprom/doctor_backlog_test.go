package main_test

import (
	"context"
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
		fprom(t, e, "doctor", "-o", "json").want(t, 3).names(t, "delivery", `nobody delivers.*7 h.*start the service`)
		_, e = filled(t, p)
		put(t, p, nil, sale("ch_1", "jane@example.com", 5, "USD"))
		r := fprom(t, e, "doctor", "-o", "json").want(t, 3)
		r.names(t, "dead_letters", `2 dead letters.*fprom dead list`)
		r.names(t, "conflicts", `1 event id used with two amounts.*invoice's`)
	})
}

func TestDoctorNamesAPause(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
		fake.Inject(fpromtest.Status(429).RetryAfter("300").OnKind("sale"))
		tracker, _ := serve(t, p, fake)
		if err := tracker.Enqueue(context.Background(), sale("ch_1", "jane@example.com", 1999, "USD")); err != nil {
			t.Fatal(err)
		}
		e := account(fake).with(env{"FPROM_OUTBOX": p.where})
		eventually(t, func() bool {
			var s struct {
				PausedUntil *time.Time `json:"paused_until"`
			}
			fprom(t, e, "status", "-o", "json").want(t, 0).object(t, &s)
			return s.PausedUntil != nil
		})
		fprom(t, e, "doctor", "-o", "json").want(t, 3).names(t, "delivery", `paused until .*429`)
	})
}
