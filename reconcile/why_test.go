package reconcile_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/outboxtest"
	"github.com/fprom-go/fprom/reconcile"
)

func TestWhy(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t, fpromtest.InMemory())
	for _, name := range []string{"expired", "denied", "moved"} {
		s.AddLead(name+"@example.com", "uid-"+name)
		s.SetLeadState(name+"@example.com", name)
	}
	s.AddLead("good@example.com")
	for name, change := range map[string]func(*fpromtest.Promoter){"blocked": (*fpromtest.Promoter).Ban, "archived": (*fpromtest.Promoter).Archive} {
		p := s.AddPromoter(name)
		p.AddLead(name + "@example.com")
		change(p)
	}
	once := s.AddPromoter("once")
	once.AddLead("once@example.com")
	once.MaxRewards(1)
	for i := range 25 {
		s.AddPastSale(fpromtest.PastSale{EventID: "ch_many_" + string(rune('a'+i)), Email: "many@example.com", Amount: 100, At: time.Now().Add(time.Duration(i-30) * time.Hour)})
	}
	s.AddPastSale(fpromtest.PastSale{EventID: "ch_back", Email: "back@example.com", Amount: 100, At: time.Now().Add(-time.Hour)})
	s.AddPastSale(fpromtest.PastSale{EventID: "re_back", Email: "back@example.com", Amount: 100, RefundOf: "ch_back"})
	s.AddPastSale(fpromtest.PastSale{EventID: "ch_denied", Email: "d@example.com", Amount: 100})
	s.Deny("ch_denied")
	s.AddPastSale(fpromtest.PastSale{EventID: "ch_first", Email: "once@example.com", Amount: 100})
	s.Lose("ch_first") // so that the customer has bought, and has no commission

	newest := int64(0)
	for _, c := range s.Commissions() {
		if strings.HasPrefix(c.EventID, "ch_many_") {
			newest = max(newest, c.ID)
		}
	}

	box := &outboxtest.Outbox{}
	for _, e := range []fprom.Entry{
		{Key: "sale:ch_waits", State: fprom.StateWaiting, Attempts: 3, Reason: "no answer within 10s"},
		{Key: "sale:ch_dead", State: fprom.StateDead, Outcome: fprom.Rejected, Reason: "400: Error. Amount blank or invalid."},
		{Key: "sale:ch_none", State: fprom.StateDone, Outcome: fprom.Tracked},
		{Key: "sale:ch_gone", State: fprom.StateDone, Outcome: fprom.Tracked, Commissions: 1, CommissionIDs: []int64{999}},
		{Key: "sale:ch_deleted", State: fprom.StateDone, Outcome: fprom.Tracked, Commissions: 2, CommissionIDs: []int64{998, 997}},
		{Key: "sale:ch_half", State: fprom.StateDone, Outcome: fprom.Tracked, Commissions: 2, CommissionIDs: []int64{998, 996}},
		{Key: "sale:ch_404", State: fprom.StateDone, Outcome: fprom.NotReferral},
		{Key: "sale:ch_denied", State: fprom.StateDone, Outcome: fprom.Tracked, Commissions: 1},
		{Key: "sale:ch_many_a", State: fprom.StateDone, Outcome: fprom.Duplicate},
	} {
		e.Kind, e.RecordedAt = fprom.KindSale, time.Now()
		box.Add(e)
	}
	decided := func(id int64) string {
		return map[int64]string{998: firstpromoter.StatusDeleted, 997: firstpromoter.StatusDeleted, 996: firstpromoter.StatusDenied}[id]
	}
	for _, c := range []struct {
		what, verdict string
		calls         int
	}{
		{"nobody@example.com", reconcile.BecauseNoLead, 1},
		{"nobody", reconcile.BecauseNoLead, 2},
		{"expired@example.com", reconcile.BecauseLeadExpired, 1},
		{"uid-denied", reconcile.BecauseLeadDenied, 1},
		{"uid-moved", reconcile.BecauseLeadMoved, 1},
		{"blocked@example.com", "promoter blocked", 2},
		{"archived@example.com", "promoter archived", 2},
		{"good@example.com", reconcile.BecauseNoSale, 3},
		{"once@example.com", reconcile.BecauseNoCommission, 3},
		{"many@example.com", reconcile.BecauseEarned, 3},
		{"d@example.com", reconcile.BecauseDenied, 3},
		{"back@example.com", reconcile.BecauseEarned, 3},
		{"ch_many_b", reconcile.BecauseEarned, 2},
		{"sale:ch_many_b", reconcile.BecauseEarned, 2},
		{"ch_waits", reconcile.BecauseWaiting, 0},
		{"ch_dead", reconcile.BecauseDead, 0},
		{"ch_none", reconcile.BecauseNoCommission, 1},
		{"ch_gone", reconcile.BecauseMissing, 1},
		{"ch_deleted", reconcile.BecauseDeleted, 1},
		{"ch_half", reconcile.BecauseMissing, 1},
		{"ch_404", reconcile.BecauseNotReferral, 0},
		{"ch_denied", reconcile.BecauseDenied, 1},
		{"ch_many_a", reconcile.BecauseEarned, 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			client, err := firstpromoter.New(firstpromoter.Config{BaseURL: s.URL, APIKey: s.APIKey, AccountID: s.AccountID, HTTPClient: s.Config().HTTPClient, Rate: 6000})
			if err != nil {
				t.Fatal(err)
			}
			r, err := reconcile.Why(t.Context(), client, box, c.what, decided)
			if err != nil || r.Verdict != c.verdict || r.Calls != c.calls || r.Detail == "" || strings.Contains(r.Detail, "@") {
				t.Errorf("%+v %v, want %q in %d calls", r, err, c.verdict, c.calls)
			}
			if c.what == "many@example.com" && !strings.Contains(r.Detail, strconv.FormatInt(newest, 10)) {
				t.Errorf("%q does not name the newest commission, %d", r.Detail, newest)
			}
			if says := map[string]string{
				"nobody@example.com": "no lead by this e-mail address", "nobody": "The outbox has no such event id. FirstPromoter has no commission by it, and no lead by this uid",
			}[c.what]; !strings.Contains(r.Detail, says) {
				t.Errorf("no %q in %q", says, r.Detail)
			}
			if back := strings.Contains(r.Detail, "takes money back for a refund"); back != (c.what == "back@example.com") {
				t.Errorf("%q", r.Detail)
			}
			if b, _ := json.Marshal(r); !strings.HasPrefix(string(b), `{"verdict":"`) {
				t.Errorf("%s", b)
			}
		})
	}
}

// A search may find what is of others, or of other event ids. A promoter is judged by the campaign of the lead, if it names one.
func TestWhyLooksAtItsOwn(t *testing.T) {
	t.Parallel()
	const mine, denied = `{"id":7,"event_id":"in_9","status":"pending","referral":{"id":1}}`, `{"id":8,"event_id":"in_9","status":"denied","referral":{"id":1}}`
	const other = `{"id":9,"event_id":"in_99","status":"pending","referral":{"id":2}}`
	for name, c := range map[string]struct{ what, campaign, memberships, rows, want string }{
		"a sale of somebody else":      {"ann@example.com", "5", `{"id":5,"state":"accepted"}`, other, reconcile.BecauseNoSale},
		"one of two is denied":         {"ann@example.com", "5", `{"id":5,"state":"accepted"}`, denied + "," + mine, reconcile.BecauseEarned},
		"all are denied":               {"ann@example.com", "5", `{"id":5,"state":"accepted"}`, denied, reconcile.BecauseDenied},
		"blocked in another campaign":  {"ann@example.com", "5", `{"id":4,"state":"blocked"},{"id":5,"state":"accepted"}`, mine, reconcile.BecauseEarned},
		"blocked in this campaign":     {"ann@example.com", "5", `{"id":4,"state":"accepted"},{"id":5,"state":"blocked"}`, mine, reconcile.BecausePromoter + "blocked"},
		"blocked, and no campaign":     {"ann@example.com", "0", `{"id":4,"state":"blocked"},{"id":6,"state":"accepted"}`, mine, reconcile.BecausePromoter + "blocked"},
		"blocked in its one campaign":  {"ann@example.com", "5", `{"id":4,"state":"blocked"}`, mine, reconcile.BecausePromoter + "blocked"},
		"an event id in another case":  {" IN_9 ", "", "", mine, reconcile.BecauseEarned},
		"the beginning of an event id": {" in_9 ", "", "", other, reconcile.BecauseNoLead},
		"nothing":                      {" ", "", "", strings.Replace(mine, `"in_9"`, "null", 1), reconcile.BecauseNoLead},
		"its promoter is gone":         {"ann@example.com", "5", "", mine, reconcile.BecauseEarned},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/commissions"):
					_, _ = fmt.Fprintf(w, "[%s]", c.rows)
				case strings.Contains(r.URL.Path, "/promoters/") && c.memberships != "":
					_, _ = fmt.Fprintf(w, `{"id":3,"promoter_campaigns":[%s]}`, c.memberships)
				case c.campaign == "", strings.Contains(r.URL.Path, "/promoters/"):
					w.WriteHeader(http.StatusNotFound)
					_, _ = fmt.Fprint(w, `{"message":"not found"}`)
				default:
					_, _ = fmt.Fprintf(w, `{"id":1,"state":"active","created_at":"2026-01-01T00:00:00Z","promoter_campaign":{"id":%s,"promoter_id":3}}`, c.campaign)
				}
			}))
			t.Cleanup(api.Close)
			client, err := firstpromoter.New(firstpromoter.Config{APIKey: "key", AccountID: "account", BaseURL: api.URL + "/company"})
			if err != nil {
				t.Fatal(err)
			}
			if r, err := reconcile.Why(t.Context(), client, nil, c.what); err != nil || r.Verdict != c.want {
				t.Errorf("%+v %v, want %q", r, err, c.want)
			}
		})
	}
}

// The commissions of an event are those that the answer named, whatever event id they have; or else those with its event id.
func TestWhyOfAnEventLooksAtItsOwn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ids       []int64
		byID, byQ string // the event ids of what the searches find
		want      string
	}{
		"named, without an event id":   {[]int64{7}, `null`, `"in_99"`, reconcile.BecauseEarned},
		"named, with another event id": {[]int64{7}, `"re_9"`, `"in_99"`, reconcile.BecauseEarned},
		"not named, in another case":   {nil, `null`, `"IN_9"`, reconcile.BecauseEarned},
		"not named, of another event":  {nil, `null`, `"in_99"`, reconcile.BecauseMissing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = fmt.Fprintf(w, `[{"id":7,"status":"pending","event_id":%s}]`, map[bool]string{true: c.byID, false: c.byQ}[r.URL.Query().Has("ids[]")])
			}))
			t.Cleanup(api.Close)
			client, err := firstpromoter.New(firstpromoter.Config{APIKey: "key", AccountID: "account", BaseURL: api.URL + "/company"})
			if err != nil {
				t.Fatal(err)
			}
			box := &outboxtest.Outbox{}
			box.Add(fprom.Entry{Key: "sale:in_9", Kind: fprom.KindSale, State: fprom.StateDone, Outcome: fprom.Tracked, Commissions: 1, CommissionIDs: c.ids, RecordedAt: noon})
			if r, err := reconcile.Why(t.Context(), client, box, "in_9"); err != nil || r.Verdict != c.want {
				t.Errorf("%+v %v, want %q", r, err, c.want)
			}
		})
	}
}
