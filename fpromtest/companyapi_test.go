package fpromtest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom/fpromtest"
)

// company asks the Company API.
func company(t *testing.T, s *fpromtest.Server, path string, change ...func(*http.Request)) answer {
	t.Helper()
	u, _ := url.Parse(strings.TrimSuffix(s.URL, "/track") + "/company/" + path)
	u.RawQuery = u.Query().Encode()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.APIKey)
	req.Header.Set("Account-ID", s.AccountID)
	for _, c := range change {
		c(req)
	}
	a, err := do(t, s, req)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// rows decodes a list.
func rows(t *testing.T, a answer) []map[string]any {
	t.Helper()
	var list []map[string]any
	if err := json.Unmarshal([]byte(a.body), &list); a.status != 200 || err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return list
}

func eventIDs(list []map[string]any) (ids []string) {
	for _, r := range list {
		id, _ := r["event_id"].(string)
		ids = append(ids, id)
	}
	return ids
}

func TestCompanyAnswers(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithRateLimit(0))
	s.AddLead("ann@example.com", "user-1")
	for _, c := range []struct {
		name, path string
		change     func(*http.Request)
		status     int
		body       string
	}{
		{"no key", "campaigns", func(r *http.Request) { r.Header.Del("Authorization") }, 401, ""},
		{"another account", "campaigns", func(r *http.Request) { r.Header.Set("Account-ID", "other") }, 403, `"code":"forbidden"`},
		{"campaigns", "campaigns", nil, 200, `"ref_token_param":"?fpr"`},
		{"one commission", "commissions/1", nil, 404, "<!DOCTYPE"},
		{"a day that is none", "commissions?filters[created_at][from]=monday", nil, 422, "filters[created_at][from]"},
		{"a filter that the fake does not know", "commissions?filters[paid]=yes", nil, 422, "filters[paid]"},
		{"a filter of another list", "referrals?filters[status]=approved", nil, 422, "filters[status]"},
		{"page 0", "commissions?page=0", nil, 422, "page"},
		{"lead by address", "referrals/ann%40example.com?find_by=email", nil, 200, `"uid":"user-1"`},
		{"lead by uid", "referrals/user-1?find_by=uid", nil, 200, `"email":"ann@example.com"`},
		{"no lead", "referrals/bob%40example.com?find_by=email", nil, 404, `"code":"not_found"`},
		{"promoter", "promoters/" + fpromtest.DefaultRefID + "?find_by=ref_token", nil, 200, fpromtest.PromoterSecret},
		{"promoter by a field that the fake does not know", "promoters/4711?find_by=cust_id", nil, 422, "find_by"},
		{"lead by a field that the fake does not know", "referrals/ann?find_by=username", nil, 422, "find_by"},
		{"an endpoint that the fake does not have", "batch_processes", nil, 404, "fpromtest: the fake has no such endpoint"},
		{"no columns", "reports/overview?start_date=2026-01-01&end_date=2026-01-02", nil, 422, "columns"},
		{"another method", "campaigns", func(r *http.Request) { r.Method = http.MethodPost }, 404, "<!DOCTYPE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			change := c.change
			if change == nil {
				change = func(*http.Request) {}
			}
			if a := company(t, s, c.path, change); a.status != c.status || !strings.Contains(a.body, c.body) || c.status == 401 && a.body != "" {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
}

// A find_by that the fake does not know does not look like a lead that is not there.
func TestCompanyWithoutLeads(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t, fpromtest.InMemory())
	for find, status := range map[string]int{"uid": 404, "username": 422} {
		if a := company(t, s, "referrals/ann?find_by="+find, func(*http.Request) {}); a.status != status {
			t.Errorf("find_by=%s: %d %s", find, a.status, a.body)
		}
	}
}

func TestCompanyShowsWhatWasTracked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, companyShowsWhatWasTracked) // all on one day, which begins with the bubble
}

func companyShowsWhatWasTracked(t *testing.T) {
	t.Helper()
	s := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithCompany(fpromtest.Company{Rates: map[string]int64{"EUR": 110}}))
	down, once := s.AddPromoter("down"), s.AddPromoter("once")
	down.RecruitedBy(s.AddPromoter("up"))
	once.MaxRewards(1)
	down.AddLead("tier@example.com")
	once.AddLead("once@example.com")
	two := post(t, s, "/sale", `{"event_id":"tiers","email":"tier@example.com","amount":1000,"currency":"EUR"}`)
	if !contains(parse(t, two.body), parse(t, `{"commissions":[{"tier":1,"amount":220,"sale_amount":1100},{"tier":2,"amount":55,
		"promoter_campaign":{"promoter":{"name":"Promoter up"}}}]}`)) {
		t.Errorf("the answer to a sale with two tiers: %s", two.body)
	}
	post(t, s, "/sale", `{"event_id":"first","email":"once@example.com","amount":1000}`)
	if a := post(t, s, "/sale", `{"event_id":"second","email":"once@example.com","amount":1000}`); !strings.Contains(a.body, `"commissions":[]`) {
		t.Errorf("a used-up reward makes no commission: %s", a.body)
	}
	post(t, s, "/refund", `{"event_id":"back","email":"tier@example.com","amount":"500","currency":"EUR","sale_event_id":"tiers"}`)

	list := rows(t, company(t, s, "commissions?sorting[created_at]=asc"))
	if got := strings.Join(eventIDs(list), " "); got != "tiers tiers first back" {
		t.Fatal(got)
	}
	if r := list[0]; r["sale_amount"] != 1100.0 || r["original_sale_amount"] != 1000.0 || r["original_sale_currency"] != "EUR" || r["amount"] != 220.0 {
		t.Errorf("%v", r)
	}
	if list[1]["tier"] != 2.0 || list[1]["amount"] != 55.0 {
		t.Errorf("the second tier: %v", list[1])
	}
	day := time.Now().UTC().Format(time.DateOnly)
	totals := rows(t, company(t, s, "reports/overview?columns[]=sales_count&columns[]=refunds_count&columns[]=revenue_amount&group_by=day&start_date="+day+"&end_date="+day))
	if d := totals[0]["data"].(map[string]any); d["sales_count"] != 3.0 || d["refunds_count"] != 1.0 || d["revenue_amount"] != 1100.0+2000-550 {
		t.Errorf("%v", d)
	}

	s.Lose("first")
	s.Double("back")
	s.Reprice("tiers", 9)
	list = rows(t, company(t, s, "commissions?sorting[created_at]=asc"))
	if got := strings.Join(eventIDs(list), " "); got != "tiers tiers back back" || list[0]["original_sale_amount"] != 9.0 {
		t.Error(got, list[0])
	}
	if a := company(t, s, "commissions?q=TIERS"); len(rows(t, a)) != 2 {
		t.Error(a.body)
	}
}

func TestCompanySwitches(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 10, 23, 30, 0, 0, time.UTC)
	with := func(c fpromtest.Company) *fpromtest.Server {
		s := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithCompany(c))
		for i := range 250 {
			s.AddPastSale(fpromtest.PastSale{EventID: "s" + strconv.Itoa(i), Email: "ann@example.com", Amount: 100, At: at})
		}
		return s
	}
	count := func(s *fpromtest.Server, path string) int { t.Helper(); return len(rows(t, company(t, s, path))) }
	ask := func(s *fpromtest.Server, from, to string) int {
		return count(s, "commissions?per_page=100&filters[created_at][from]=2026-03-"+from+"&filters[created_at][to]=2026-03-"+to)
	}
	s := with(fpromtest.Company{})
	if n := count(s, "commissions"); n != 20 {
		t.Errorf("default page: %d", n)
	}
	if n := count(s, "commissions?per_page=500"); n != 100 {
		t.Errorf("largest page: %d", n)
	}
	if ask(s, "10", "10") != 100 || ask(s, "11", "11") != 0 {
		t.Error("a day is a day in UTC, and included")
	}
	s = with(fpromtest.Company{DayZone: time.Hour, ToExclusive: true})
	if ask(s, "10", "10") != 0 || ask(s, "11", "11") != 0 || ask(s, "11", "12") != 100 {
		t.Error("a day in another zone, the last one not included")
	}
	s = with(fpromtest.Company{Order: fpromtest.OrderTies, LinkHeader: true, NullEventIDs: true})
	one, two := company(t, s, "commissions?sorting[created_at]=asc"), company(t, s, "commissions?sorting[created_at]=asc")
	if one.body == two.body {
		t.Error("rows of one second keep their places")
	}
	if !strings.Contains(one.header.Get("Link"), `rel="next"`) || eventIDs(rows(t, one))[0] != "" {
		t.Error(one.header)
	}
	s = with(fpromtest.Company{IgnorePage: true, MaxPerPage: 50})
	if a, b := rows(t, company(t, s, "commissions?page=1&per_page=100")), rows(t, company(t, s, "commissions?page=7")); len(a) != 50 || !slices.Equal(eventIDs(a)[:20], eventIDs(b)) {
		t.Error("page is not ignored")
	}
}
