package firstpromoter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/fpromtest"
)

func stringBody(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }

// Every list is read wholly and each row once, whatever the pages are like.
func TestListsAreReadWhole(t *testing.T) {
	t.Parallel()
	for name, company := range map[string]fpromtest.Company{
		"plain":                 {},
		"ties":                  {Order: fpromtest.OrderTies},
		"shuffled":              {Order: fpromtest.OrderShuffled},
		"pages of 20":           {MaxPerPage: 20},
		"pages of 25":           {MaxPerPage: 25},
		"pages of 50":           {MaxPerPage: 50},
		"link header, odd size": {LinkHeader: true, MaxPerPage: 33},
		"milliseconds":          {Millis: true},
	} {
		for _, n := range []int{0, 1, 19, 20, 99, 100, 101, 200, 530} {
			t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithCompany(company))
					at := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
					for i := range n {
						s.AddPastSale(fpromtest.PastSale{EventID: fmt.Sprint("s", i), Email: fmt.Sprintf("c%d@example.com", i), Amount: 100, At: at.Add(time.Duration(i/40) * time.Second)})
					}
					client := newClient(t, s)
					seen := map[int64]int{}
					for c, err := range client.Commissions(t.Context(), firstpromoter.CommissionQuery{From: at, To: at}) {
						if err != nil {
							t.Fatal(err)
						}
						seen[c.ID]++
						if c.EventID == "" || c.Email == "" || c.SaleAmount != 100 || c.Created.Before(at) || c.Created.After(at.Add(time.Minute)) || c.PromoterID == 0 {
							t.Fatalf("%+v", c)
						}
					}
					referrals := map[string]int{}
					for r, err := range client.Referrals(t.Context()) {
						if err != nil {
							t.Fatal(err)
						}
						referrals[r.Email]++
					}
					if len(seen) != n || len(referrals) != n {
						t.Errorf("%d commissions, %d referrals, want %d, in %d calls", len(seen), len(referrals), n, client.Calls())
					}
					for id, times := range seen {
						if times != 1 {
							t.Errorf("row %d came %d times", id, times)
						}
					}
				})
			})
		}
	}
}

// A server that knows no pages gives the first one again and again: that is the end, and not an endless list.
func TestPagesThatAreIgnored(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithCompany(fpromtest.Company{IgnorePage: true}))
	for i := range 300 {
		s.AddPastSale(fpromtest.PastSale{EventID: fmt.Sprint("s", i), Email: "ann@example.com", Amount: 100})
	}
	client, n := newClient(t, s), 0
	for _, err := range client.Commissions(t.Context(), firstpromoter.CommissionQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 100 || client.Calls() != 2 {
		t.Errorf("%d rows in %d calls", n, client.Calls())
	}
}

// A caller may stop, the first error ends a list, and so do two passes without a new row: each page costs a call that a sale needs.
func TestEndOfAList(t *testing.T) {
	t.Parallel()
	ids := func(n int64, more ...int64) (all []int64) {
		for i := range n {
			all = append(all, i+1)
		}
		return append(all, more...)
	}
	for name, c := range map[string]struct {
		ids                     []int64 // a page with 0 is refused
		stop, rows, fail, calls int
	}{
		"the caller stops":                {ids(250), 1, 1, 0, 1},
		"a row that always comes twice":   {ids(119, 5), 0, 119, 0, 6}, // the last page has 20 rows, the default of per_page
		"an error after a row came twice": {ids(99, 5, 0), 0, 99, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, fpromtest.NewServer(t, fpromtest.InMemory()), func(cfg *firstpromoter.Config) {
				cfg.Rate = 1 << 20
				cfg.HTTPClient = &http.Client{Transport: answering(func(r *http.Request) (int, string) {
					page, _ := strconv.Atoi(r.FormValue("page"))
					size, _ := strconv.Atoi(r.FormValue("per_page"))
					rows := []string{}
					for _, id := range c.ids[min((page-1)*size, len(c.ids)):min(page*size, len(c.ids))] {
						if id == 0 {
							return 422, `{"message":"no such page"}`
						}
						rows = append(rows, fmt.Sprintf(`{"id":%d}`, id))
					}
					return 200, "[" + strings.Join(rows, ",") + "]"
				})}
			})
			rows, failed := 0, 0
			count := func(err error) (more bool) {
				if err != nil {
					failed++
				} else {
					rows++
				}
				return rows != c.stop
			}
			for _, err := range client.Commissions(t.Context(), firstpromoter.CommissionQuery{}) {
				if !count(err) {
					break
				}
			}
			if rows != c.rows || failed != c.fail || client.Calls() != c.calls {
				t.Errorf("commissions: %d rows, %d errors, %d calls", rows, failed, client.Calls())
			}
			rows, failed = 0, 0
			for _, err := range client.Referrals(t.Context()) {
				if !count(err) {
					break
				}
			}
			if rows != c.rows || failed != c.fail || client.Calls() != 2*c.calls {
				t.Errorf("referrals: %d rows, %d errors, %d calls", rows, failed, client.Calls())
			}
		})
	}
}

// Each part of a CommissionQuery is asked for as FirstPromoter documents it, and nothing else is.
func TestCommissionQuery(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for want, q := range map[string]firstpromoter.CommissionQuery{
		"page=1&per_page=100&sorting[created_at]=asc": {},
		"filters[created_at][from]=2026-03-10&filters[created_at][to]=2026-03-11&ids[]=7&ids[]=8&page=1&per_page=100&q=ch_1&sorting[created_at]=desc": {
			From: day, To: day.AddDate(0, 0, 1), Search: "ch_1", IDs: []int64{7, 8}, NewestFirst: true,
		},
	} {
		got := ""
		client := newClient(t, fpromtest.NewServer(t, fpromtest.InMemory()), func(cfg *firstpromoter.Config) {
			cfg.HTTPClient = &http.Client{Transport: answering(func(r *http.Request) (int, string) {
				got, _ = url.QueryUnescape(r.URL.RawQuery)
				return 200, "[]"
			})}
		})
		for _, err := range client.Commissions(t.Context(), q) {
			t.Errorf("%+v: %v", q, err)
		}
		if got != want {
			t.Errorf("%+v: asked %s, want %s", q, got, want)
		}
	}
}

// Fields that are null, numbers as strings, wrapped lists, dates without zone: none of them hides a row.
func TestFormsOfAnAnswer(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t, fpromtest.InMemory())
	for _, c := range []struct{ name, body string }{ // an amount of the promoter that is no integer is none
		{"bare", `[{"id":7,"event_id":"ch_1","sale_amount":2000,"original_sale_amount":2000,"original_sale_currency":"EUR","created_at":"2026-03-10T12:00:00Z","tier":1,"referral":{"email":"ann@example.com"},"promoter_campaign":{"promoter_id":3}}]`},
		{"wrapped, strings, milliseconds", `{"data":[{"id":"7","event_id":"ch_1","sale_amount":"2000","original_sale_amount":2000.0,"original_sale_currency":"EUR","created_at":"2026-03-10T12:00:00.000Z","tier":"1","amount":"99999999999999999999","referral":{"email":"ann@example.com (moved)"},"promoter_campaign":{"promoter_id":"3"}}],"meta":{"pending_count":0}}`},
		{"odd types beside", `[{"id":7,"event_id":"ch_1","sale_amount":2000,"original_sale_amount":2000,"original_sale_currency":"EUR","created_at":"2026-03-10T12:00:00","tier":1,"amount":19.99,"metadata":[1],"is_split":null,"reward":null,"referral":{"email":"ann@example.com","uid":{}},"promoter_campaign":{"promoter_id":3}}]`},
		{"a number as event id", `[{"id":7,"event_id":9007199254740993,"sale_amount":2000,"original_sale_amount":2000,"original_sale_currency":"EUR","created_at":"2026-03-10T12:00:00Z","tier":1,"referral":{"email":"ann@example.com"},"promoter_campaign":{"promoter_id":3}}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client, event := newClient(t, s, with(c.body)), "ch_1"
			if strings.Contains(c.name, "event id") {
				event = "9007199254740993"
			}
			for x, err := range client.Commissions(t.Context(), firstpromoter.CommissionQuery{}) {
				if err != nil || x.ID != 7 || x.EventID != event || x.UID != "" || x.Amount != 0 || x.SaleAmount != 2000 || x.OriginalAmount != 2000 || x.OriginalCurrency != "EUR" ||
					!x.Created.Equal(time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)) || x.Tier != 1 || x.Email != "ann@example.com" || x.PromoterID != 3 {
					t.Errorf("%+v %v", x, err)
				}
			}
		})
	}
}

// An answer that cannot be read is an error. It is not an empty list, which would say that FirstPromoter has nothing.
func TestAnswersOfAnotherForm(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`null`, `5`, `"x"`, `["x"]`, `[{"id":7},5]`, `[{"id":7}`, `{"data":5}`, `{"data":["x"]}`, `{"data":null}`, `{`} {
		client := newClient(t, fpromtest.NewServer(t, fpromtest.InMemory()), with(body))
		_, campaigns := client.Campaigns(t.Context())
		_, overview := client.Overview(t.Context(), time.Now(), time.Now())
		for _, err := range []error{campaigns, overview} {
			if !errors.Is(err, firstpromoter.ErrNotFirstPromoter) {
				t.Errorf("%s: %v", body, err)
			}
		}
	}
	for _, body := range []string{`null`, `"x"`, `[]`, `{"id":7`} {
		client := newClient(t, fpromtest.NewServer(t, fpromtest.InMemory()), with(body))
		if _, err := client.Promoter(t.Context(), 7); !errors.Is(err, firstpromoter.ErrNotFirstPromoter) {
			t.Errorf("record %s: %v", body, err)
		}
	}
}

// FirstPromoter does not document how it shows that money goes back, or that a lead was moved: each sign is enough.
func TestSigns(t *testing.T) {
	t.Parallel()
	for row, refund := range map[string]bool{
		`"commission_type":"refund","sale_amount":500`: true, `"sale_amount":-500`: true, `"original_sale_amount":-500`: true,
		`"sale_amount":0,"amount":-100`: true, `"commission_type":"sale","sale_amount":500,"amount":100`: false,
		`"commission_type":"custom","sale_amount":0,"amount":0`: false,
	} {
		for c, err := range newClient(t, fpromtest.NewServer(t), with(`[{"id":7,`+row+`}]`)).Commissions(t.Context(), firstpromoter.CommissionQuery{}) {
			if err != nil || c.Refund() != refund {
				t.Errorf("%s: refund %v, %v", row, c.Refund(), err)
			}
		}
	}
	for row, moved := range map[string]bool{`"state":"moved"`: true, `"email":"ann@example.com (moved)"`: true, `"state":"active","email":"ann@example.com"`: false} {
		if r, err := newClient(t, fpromtest.NewServer(t), with(`{"id":7,`+row+`}`)).Referral(t.Context(), "uid", "7"); err != nil || r.Moved != moved {
			t.Errorf("%s: moved %v, %v", row, r.Moved, err)
		}
	}
}

// with gives each call an answer with this body.
func with(body string) func(*firstpromoter.Config) {
	return func(cfg *firstpromoter.Config) {
		cfg.HTTPClient = &http.Client{Transport: answering(func(*http.Request) (int, string) { return 200, body })}
	}
}

func TestRecordsAndTotals(t *testing.T) {
	t.Parallel()
	for name, company := range map[string]fpromtest.Company{"plain": {}, "date-times, sparse": {PeriodTime: true, SparseReport: true}, "days only": {ReportDays: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithCompany(company))
			at := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
			s.AddPastSale(fpromtest.PastSale{EventID: "s1", Email: "a/b+c?d@example.com", UID: "user 1", Amount: 4900, At: at})
			s.SetLeadState("user 1", "moved")
			client := newClient(t, s)
			for by, value := range map[string]string{"uid": "user 1", "email": "a/b+c?d@example.com"} {
				r, err := client.Referral(t.Context(), by, value)
				if err != nil || r.Email != "a/b+c?d@example.com" || !r.Moved || r.PromoterID != s.Promoter().ID {
					t.Errorf("by %s: %+v %v", by, r, err)
				}
			}
			s.Promoter().Ban()
			p, err := client.Promoter(t.Context(), s.Promoter().ID)
			if err != nil || len(p.Campaigns) != 1 || p.Campaigns[0].State != "blocked" {
				t.Errorf("%+v %v", p, err)
			}
			campaigns, err := client.Campaigns(t.Context())
			if err != nil || len(campaigns) != 1 || campaigns[0].RefTokenParam != "fpr" || campaigns[0].CookieDays != 60 || campaigns[0].Referrals != 1 || !campaigns[0].Default {
				t.Errorf("%+v %v", campaigns, err)
			}
			days, err := client.Overview(t.Context(), at.AddDate(0, 0, -1), at.AddDate(0, 0, 1))
			if err != nil {
				t.Fatal(err)
			}
			sales := map[string]int{}
			for _, d := range days {
				sales[d.Day.Format(time.DateOnly)] += d.Sales
			}
			if sales["2026-03-10"] != 1 || sales["2026-03-09"] != 0 || company.SparseReport && len(days) != 1 {
				t.Errorf("%+v", days)
			}
		})
	}
}

// The date of a day is in one of two fields. A row without a date is no day.
func TestDaysOfTotals(t *testing.T) {
	t.Parallel()
	client := newClient(t, fpromtest.NewServer(t, fpromtest.InMemory()), with(`[{"period":"10 March","id":"2026-03-10","data":{"sales_count":1}},`+
		`{"period":"2026-03-11T00:00:00Z","id":7,"data":{"sales_count":2}},{"period":"total","id":"all","data":{"sales_count":3}}]`))
	days, err := client.Overview(t.Context(), time.Now(), time.Now())
	if err != nil || len(days) != 2 || days[0].Sales != 1 || days[1].Sales != 2 ||
		days[0].Day.Format(time.DateOnly) != "2026-03-10" || days[1].Day.Format(time.DateOnly) != "2026-03-11" {
		t.Errorf("%+v %v", days, err)
	}
	s := fpromtest.NewServer(t, fpromtest.InMemory())
	s.Inject(fpromtest.Status(400)) // only a 422 can mean that it wants days
	client = newClient(t, s)
	if _, err := client.Overview(t.Context(), time.Now(), time.Now()); err == nil || client.Calls() != 1 {
		t.Errorf("%v, %d calls", err, client.Calls())
	}
}

// Whatever an answer is, it is rows or an error, never a panic.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`[{"id":1,"event_id":null,"created_at":"2026-01-01T00:00:00Z"}]`))
	f.Add([]byte(`{"data":[{"id":"x"}]}`))
	f.Add([]byte(`[null,1]`))
	f.Add([]byte(`{"period":[]}`))
	f.Add([]byte(""))
	s := fpromtest.NewServer(f, fpromtest.InMemory())
	f.Fuzz(func(t *testing.T, body []byte) {
		client, err := firstpromoter.New(firstpromoter.Config{
			BaseURL: s.URL, APIKey: "k", AccountID: "a", Attempts: 1, Rate: 1 << 20,
			HTTPClient: &http.Client{Transport: answering(func(*http.Request) (int, string) { return 200, string(body) })},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range client.Commissions(t.Context(), firstpromoter.CommissionQuery{}) {
			if err == nil && !json.Valid(body) {
				t.Error("rows of what is no JSON")
			}
		}
		_, _ = client.Overview(t.Context(), time.Now(), time.Now())
		_, _ = client.Campaigns(t.Context())
		_, _ = client.Promoter(t.Context(), 1)
		_, _ = client.Referral(t.Context(), "email", "a@example.com")
	})
}
