package fpromtest_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
)

func TestJournal(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t)
	s.AddLead("jane@example.com")
	s.AddVisitor("tid_1")
	const full = `{"event_id":"1","email":"Jane@example.com","uid":"u","amount":1999,"currency":"eur","quantity":3,"plan":"pro","mrr":"500",
		"promo_code":"P","tid":"t","ref_id":"r","skip_email_notification":true}`
	start := time.Now()
	post(t, s, "/sale", full)
	post(t, s, "/refund", `{"event_id":"1","email":"jane@example.com","amount":"500","quantity":"2","sale_event_id":"1"}`)
	post(t, s, "/signup", `{"email":"Joe@example.com","tid":"tid_1","ip":"192.0.2.1","created_at":"2026-01-02T03:04:05Z"}`)
	post(t, s, "/sale", full)
	post(t, s, "/nowhere", `{}`)

	rs := s.Requests()
	if len(rs) != 5 || s.Count("", "") != 5 {
		t.Fatalf("%d requests, Count %d, want 5", len(rs), s.Count("", ""))
	}
	for i, r := range rs {
		if r.Time.Before(start) || r.Time.After(time.Now()) || i > 0 && r.Time.Before(rs[i-1].Time) {
			t.Errorf("request %d arrived at %v", i, r.Time)
		}
		if r.Header.Get("Authorization") != "" || r.Header.Get("Account-ID") != s.AccountID || r.Method != http.MethodPost {
			t.Errorf("request %d: %s, header %v", i, r.Method, r.Header)
		}
	}
	if string(rs[0].Raw) != full {
		t.Errorf("raw body %s", rs[0].Raw)
	}
	type seen struct {
		kind, id string
		status   int
		accepted bool
	}
	for i, want := range []seen{
		{"sale", "1", 200, true},
		{"refund", "1", 200, true},
		{"signup", "joe@example.com", 200, true},
		{"sale", "1", 409, false},
		{"", "", 404, false},
	} {
		if got := (seen{rs[i].Kind, rs[i].EventID, rs[i].Status, rs[i].Accepted}); got != want {
			t.Errorf("request %d: %+v, want %+v", i, got, want)
		}
	}
	b := rs[0].Body
	if b.EventID != "1" || b.Email != "Jane@example.com" || b.UID != "u" || b.Amount != 1999 || b.Currency != "eur" || b.Quantity != 3 || b.Plan != "pro" ||
		b.MRR != 500 || b.PromoCode != "P" || b.TID != "t" || b.RefID != "r" || !b.SkipEmailNotification {
		t.Errorf("body of the sale: %+v", b)
	}
	if b := rs[1].Body; b.Amount != 500 || b.Quantity != 2 || b.SaleEventID != "1" {
		t.Errorf("body of the refund: %+v", b)
	}
	if b := rs[2].Body; b.IP != "192.0.2.1" || b.CreatedAt != "2026-01-02T03:04:05Z" || b.TID != "tid_1" {
		t.Errorf("body of the sign-up: %+v", b)
	}
	for key, want := range map[[2]string]int{{"sale", "1"}: 2, {"sale", ""}: 2, {"refund", "1"}: 1, {"signup", "joe@example.com"}: 1, {"sale", "2"}: 0} {
		if got := s.Count(key[0], key[1]); got != want {
			t.Errorf("Count(%q, %q) = %d, want %d", key[0], key[1], got, want)
		}
	}
	if a := s.Accepted(); len(a) != 3 || a[2].Kind != "signup" {
		t.Errorf("accepted: %+v", a)
	}
	cs := s.Commissions()
	if len(cs) != 2 || cs[0].Kind != "sale" || cs[0].SaleAmount != 1999 || cs[0].Customer != "jane@example.com" || cs[0].RefID != fpromtest.DefaultRefID ||
		cs[1].Kind != "refund" || cs[1].SaleAmount != -500 || cs[1].Amount != -100 {
		t.Errorf("commissions: %+v", cs)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fpromtest.NewServer(t, fpromtest.InMemory())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 3 {
				time.Sleep(10 * time.Second)
				post(t, s, "/sale", janeBuys)
			}
		})
		start := time.Now()
		if err := s.Wait(ctx, func(s *fpromtest.Server) bool { return s.Count("sale", "") == 3 }); err != nil || time.Since(start) != 30*time.Second {
			t.Errorf("Wait: %v after %v, want nil after 30s", err, time.Since(start))
		}
		if err := s.Wait(ctx, func(s *fpromtest.Server) bool { return s.Count("sale", "") == 4 }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait in vain: %v", err)
		}
		wg.Wait()
	})
}

func TestManyClients(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t, fpromtest.WithAllLeads(), fpromtest.WithRateLimit(0))
	s.Inject(fpromtest.Status(500).AfterProcessing().Chance(0.3))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 20 {
				req := newRequest(t, s, "/sale", `{"uid":"u","event_id":"`+strings.Repeat("x", i+1)+`","amount":100}`)
				if _, err := do(t, s, req); err != nil {
					t.Error(err)
				}
				_ = s.MaxInWindow(time.Second)
			}
		})
	}
	wg.Wait()
	if n, a, c := s.Count("", ""), len(s.Accepted()), len(s.Commissions()); n != 160 || a != 20 || c != 20 {
		t.Errorf("%d requests, %d accepted, %d commissions; want 160, 20, 20", n, a, c)
	}
}

func TestServers(t *testing.T) {
	t.Parallel()
	s := fpromtest.Start()
	if !strings.HasPrefix(s.URL, "http://127.0.0.1:") || !strings.HasSuffix(s.URL, "/api/v2/track") {
		t.Errorf("URL %s", s.URL)
	}
	s.Close()
	s.Close()
	if _, err := do(t, s, newRequest(t, s, "/sale", janeBuys)); err == nil {
		t.Error("a closed server answers")
	}
	for _, opts := range [][]fpromtest.Option{nil, {fpromtest.InMemory()}} {
		s := fpromtest.NewServer(t, opts...)
		tracker, err := fprom.New(s.Config())
		if err != nil {
			t.Fatal(err)
		}
		s.AddPromoter("ben").AddLead("u_1")
		res, err := tracker.Track(t.Context(), fprom.Sale{EventID: "1", UID: "u_1", Amount: 1000})
		if err != nil || res.Outcome != fprom.Tracked || len(res.Commissions) != 1 || res.Commissions[0].Amount != 200 {
			t.Errorf("Track: %+v, %v", res, err)
		}
		if cs := s.Commissions(); len(cs) != 1 || cs[0].RefID != "ben" || cs[0].ID != res.Commissions[0].ID {
			t.Errorf("commissions %+v", cs)
		}
		if err := tracker.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestPromoters(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t, fpromtest.InMemory())
	ben := s.AddPromoter("ben")
	if s.AddPromoter("ben") != ben || s.AddPromoter(fpromtest.DefaultRefID) != s.Promoter() || ben == s.Promoter() {
		t.Error("promoters are not told by their referral id")
	}
	s.AddLead("jane@example.com")
	s.AddPromoter("ben").AddLead("jane@example.com")
	post(t, s, "/sale", janeBuys)
	if cs := s.Commissions(); len(cs) != 1 || cs[0].RefID != "ben" {
		t.Errorf("commissions of a lead that moved: %+v", cs)
	}
}

// A lead gets the name that it did not have, so both find it.
func TestLeadWithASecondName(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t, fpromtest.InMemory())
	s.AddLead("jane@example.com")
	s.AddLead("jane@example.com", "u_1")
	s.AddLead("u_2")
	s.AddLead("joe@example.com", "u_2")
	post(t, s, "/sale", `{"uid":"u_1","event_id":"1","amount":1000}`)
	post(t, s, "/sale", `{"email":"joe@example.com","event_id":"2","amount":1000}`)
	if n := len(s.Commissions()); n != 2 {
		t.Errorf("%d commissions, want 2", n)
	}
}

// FuzzBody sends foreign bytes: whatever they are, the answer is one that FirstPromoter documents.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{janeBuys, `{"email":"jane@example.com","event_id":"1","amount":"100"}`, `{"amount":1e3,"email":[],"quantity":{}}`, `null`, "", "\xff", `{"amount":`} {
		f.Add("sale", seed)
		f.Add("refund", seed)
	}
	f.Add("signup", `{"email":"jane@example.com","tid":7}`)
	f.Fuzz(func(t *testing.T, kind, body string) {
		s := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithAllLeads())
		req := newRequest(t, s, "/sale", body)
		req.URL.Path = "/api/v2/track/" + kind
		a, err := do(t, s, req)
		if err != nil {
			t.Fatal(err)
		}
		switch a.status {
		case 200, 400:
			parse(t, a.body)
		case 204:
		case 404:
			if s.Requests()[0].Kind != "" {
				parse(t, a.body)
			}
		default:
			t.Errorf("status %d", a.status)
		}
		if r := s.Requests()[0]; r.Accepted != (a.status == 200) || string(r.Raw) != body {
			t.Errorf("%+v", r)
		}
	})
}
