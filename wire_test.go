package fprom_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// The bodies as FirstPromoter documents them, byte for byte.
func TestWireForm(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		event     fprom.Event
		key, body string
	}{
		{
			"smallest sale",
			fprom.Sale{EventID: "ch_1", UID: "cus_1", Amount: 1},
			"sale:ch_1", `{"event_id":"ch_1","uid":"cus_1","amount":1}`,
		},
		{
			"whole sale",
			fprom.Sale{
				EventID: "ch_1", Email: "Jane@Example.com", UID: "cus_1", Amount: 1999, Currency: " USD", Quantity: 2, Plan: "pro", MRR: 999,
				PromoCode: "SPRING", TID: "t1", RefID: "r1", SkipEmailNotification: true,
			},
			"sale:ch_1", `{"event_id":"ch_1","email":"Jane@Example.com","uid":"cus_1","amount":1999,"currency":"usd","quantity":2,` +
				`"plan":"pro","mrr":"999","promo_code":"SPRING","tid":"t1","ref_id":"r1","skip_email_notification":true}`,
		},
		{
			"smallest refund",
			fprom.Refund{EventID: "re_1", Email: "a@b.c\t", Amount: 5},
			"refund:re_1", `{"event_id":"re_1","email":"a@b.c","amount":"5"}`,
		},
		{
			"whole refund",
			fprom.Refund{
				EventID: "re_1", Email: "a@b.c", UID: "u", Amount: 500, Currency: "EUR", Quantity: 3, SaleEventID: "ch_1", SkipEmailNotification: true,
			},
			"refund:re_1", `{"event_id":"re_1","email":"a@b.c","uid":"u","amount":"500","currency":"eur","quantity":"3","sale_event_id":"ch_1","skip_email_notification":true}`,
		},
		{
			"smallest sign-up",
			fprom.Signup{UID: "u", RefID: "r"},
			"signup:u", `{"uid":"u","ref_id":"r"}`,
		},
		{
			"whole sign-up",
			fprom.Signup{
				Email: "Jane@Example.com", UID: "u", TID: "t", RefID: "r", IP: "203.0.113.7",
				CreatedAt: time.Date(2026, 2, 3, 4, 5, 6, 7e8, time.FixedZone("", 2*3600)), SkipEmailNotification: true,
			},
			"signup:jane@example.com", `{"email":"Jane@Example.com","uid":"u","tid":"t","ref_id":"r","ip":"203.0.113.7","created_at":"2026-02-03T04:05:06.7+02:00","skip_email_notification":true}`,
		},
		{"cancellation", fprom.Cancellation{Email: " a@b.c", UID: "u"}, "cancellation:a@b.c", `{"email":"a@b.c","uid":"u"}`},
		{
			"blanks around",
			fprom.Sale{EventID: "ch_1", Email: " Jane@Example.com\n", Amount: 1, TID: " t1", RefID: "r1 "},
			"sale:ch_1", `{"event_id":"ch_1","email":"Jane@Example.com","amount":1,"tid":"t1","ref_id":"r1"}`,
		},
		{
			"words for no id",
			fprom.Sale{EventID: "ch_1", UID: "u", Amount: 1, TID: "null", RefID: "Undefined"},
			"sale:ch_1", `{"event_id":"ch_1","uid":"u","amount":1}`,
		},
		{
			"sign-up with a word for no id",
			fprom.Signup{Email: "jane@example.com ", TID: "null", RefID: "r1"},
			"signup:jane@example.com", `{"email":"jane@example.com","ref_id":"r1"}`,
		},
		{
			"characters that JSON or HTML escape",
			fprom.Sale{EventID: `"<a>&\é`, UID: "日本", Amount: 1},
			`sale:"<a>&\é`, `{"event_id":"\"\u003ca\u003e\u0026\\é","uid":"日本","amount":1}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m, err := fprom.NewMessage(test.event)
			kind, _, _ := strings.Cut(test.key, ":")
			if err != nil || string(m.Body) != test.body || m.Key != test.key || m.Kind != kind {
				t.Errorf("%v\n got %s %s\nwant %s %s", err, m.Key, m.Body, test.key, test.body)
			}
		})
	}
}

// checkRoundTrip checks that an event comes back from its stored form.
func checkRoundTrip(t *testing.T, e fprom.Event) {
	t.Helper()
	m, err := fprom.NewMessage(e)
	if err != nil {
		return
	}
	stored, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var loaded fprom.Message
	if err := json.Unmarshal(stored, &loaded); err != nil {
		t.Fatal(err)
	}
	back, err := loaded.Event()
	if err != nil {
		t.Fatalf("%s: %v", stored, err)
	}
	again, err := fprom.NewMessage(back)
	if err != nil || string(again.Body) != string(m.Body) || again.Key != m.Key || again.Customer != m.Customer || again.Digest != m.Digest {
		t.Fatalf("%v\n got %s\nwant %s", err, again.Body, m.Body)
	}
	if got, want := reflect.TypeOf(back), reflect.TypeOf(e); got != want {
		t.Fatalf("a %v came back as %v", want, got)
	}
}

// The headers and the address of a call.
func TestCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(ok())
		tracker := start(t, config(f))
		for _, e := range []fprom.Event{sale("x"), refund("x"), aSignup, aCancel} {
			if _, err := tracker.Track(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		for i, c := range f.seen() {
			if want := "https://firstpromoter.test/api/v2/track/" + []string{"sale", "refund", "signup", "cancellation"}[i]; c.url != want {
				t.Errorf("call of %s, want %s", c.url, want)
			}
			for name, want := range map[string]string{
				"Authorization": "Bearer " + apiKey, "Account-Id": accountID, "Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity",
				"User-Agent":      "fprom-go/" + fprom.Version + " (+https://github.com/fprom-go/fprom)",
				"Idempotency-Key": "", "X-Idempotency-Key": "", "Cookie": "", "Referer": "",
			} {
				if got := c.header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		}
	})
}

// A queue may hold a kind that this version does not know: it is called for all the same, whatever its letters are.
func TestCallOfAnotherKind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(ok())
		q := newRecorder()
		q.onPut = func(ms []fprom.Message, put func() error) error {
			ms[0].Kind = "new kind\x7f"
			return put()
		}
		cfg := config(f)
		cfg.Queue = q
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("x"))
		flush(t, tracker, time.Minute)
		if s := tracker.Stats(); s.Tracked != 1 || s.Panics != 0 || !strings.HasSuffix(f.seen()[0].url, "/track/new%20kind%7F") {
			t.Errorf("called %v, stats %+v", f.seen(), s)
		}
	})
}

// What a success says of the commissions.
func TestCommissions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tracker := start(t, config(always(object(200, `{"id":7,"event_id":"x","commissions":[
			{"id":1,"status":"pending","amount":400,"unit":"cash","tier":1,"promoter_campaign":{"promoter_id":11}},
			{"id":2,"status":"approved","amount":-50,"unit":"points","tier":2,"promoter_campaign":null}, {}]}`))))
		r, err := tracker.Track(t.Context(), sale("x"))
		want := []fprom.Commission{
			{ID: 1, Status: "pending", Amount: 400, Unit: "cash", Tier: 1, PromoterID: 11},
			{ID: 2, Status: "approved", Amount: -50, Unit: "points", Tier: 2},
			{},
		}
		if err != nil || r.ID != 7 || !reflect.DeepEqual(r.Commissions, want) {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// Queues compare the digest with one that an earlier release has stored.
func TestDigestNeverChanges(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		event fprom.Event
		want  uint64
	}{
		{fprom.Sale{EventID: "1", UID: "u", Amount: 1999, Currency: " USD"}, 3451704251122392549},
		{fprom.Sale{EventID: "2", UID: "u", Amount: 1<<53 - 1}, 10126549972049971184},
		{fprom.Refund{EventID: "1", UID: "u", Amount: 1999, Currency: "usd"}, 3451704251122392549},
		{fprom.Cancellation{UID: "u"}, 12161962213042174405},
	} {
		m, err := fprom.NewMessage(test.event)
		if err != nil || m.Digest != test.want {
			t.Errorf("%+v: digest %d (%v), want %d", test.event, m.Digest, err, test.want)
		}
	}
}
