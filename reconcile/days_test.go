package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/reconcile"
)

// The commissions of a day are read if its number of sales differs, or its sum where sums can be compared, with those of the days beside it.
// The sales of the others are matched.
func TestDaysThatAreRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ours, theirs []string // a day: amounts; their number and sum
		read         string   // by day
	}{
		"all agree":                     {[]string{"500", "700 300"}, []string{"1 500", "2 1000"}, "00"},
		"one has another number":        {[]string{"500", "", "", "500"}, []string{"0 0", "", "", "1 500"}, "1100"},
		"the first and the last":        {[]string{"500", "", "", "", "", "", "500"}, []string{"0 0", "", "", "", "", "", "0 0"}, "1100011"},
		"three sums differ, one agrees": {[]string{"500", "", "", "500", "", "", "500", "", "", "500"}, []string{"1 501", "", "", "1 501", "", "", "1 501", "", "", "1 500"}, "1111111100"},
		"both sums differ":              {[]string{"500", "", "", "500", ""}, []string{"1 501", "", "", "1 501", ""}, "11111"},
		"all three sums differ: they are of another currency": {[]string{"500", "", "500", "", "500"}, []string{"1 501", "", "1 501", "", "1 501"}, "00000"},
		"a sum differs where all other numbers do":            {[]string{"500", "500", "500", "", "", "", "500"}, []string{"2 1000", "2 1000", "2 1000", "", "", "", "1 501"}, "1111011"},
		"several currencies: their sum says nothing":          {[]string{"500 500eur"}, []string{"2 1050"}, "0"},
		"several currencies, another number":                  {[]string{"500 500eur"}, []string{"1 500"}, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sales []reconcile.Sale
			var days []string
			want := 0
			for d, amounts := range c.ours {
				at := noon.AddDate(0, 0, d)
				for i, text := range strings.Fields(amounts) {
					sale := fprom.Sale{EventID: fmt.Sprintf("ch_%d_%d", d, i), Email: "ann@example.com"}
					_, _ = fmt.Sscanf(text, "%d%s", &sale.Amount, &sale.Currency)
					sales = append(sales, reconcile.Sale{At: at, Event: sale})
					if c.read[d] == '0' {
						want++
					}
				}
				number, sum, _ := strings.Cut(c.theirs[d], " ")
				if number != "" {
					days = append(days, fmt.Sprintf(`{"period":"%s","data":{"sales_count":%s,"revenue_amount":%s}}`, at.Format(time.DateOnly), number, sum))
				}
			}
			r, err := reconcile.Run(t.Context(), reconcile.Options{Client: account{days: days}.client(t), From: monday, To: monday.AddDate(0, 0, len(c.ours)-1), Sales: sold(sales...)})
			var read strings.Builder
			for _, d := range r.Days {
				read.WriteString(map[bool]string{true: "1", false: "0"}[d.Read])
			}
			if err != nil || read.String() != c.read || r.Matched != want {
				t.Errorf("read %s, want %s; %d matched, want %d; %v", read.String(), c.read, r.Matched, want, err)
			}
		})
	}
}

// Two sales that FirstPromoter counts on another day may be there by chance; three show that its days are those of another zone.
func TestSalesThatShowAZone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at   []time.Duration // FirstPromoter counts each on the day before
		days string          // what it counts from the day before monday on
		utc  bool
	}{
		"two":                          {[]time.Duration{time.Hour, time.Hour}, "200", true},
		"two, and one out of the days": {[]time.Duration{25 * time.Hour, 25 * time.Hour, -23 * time.Hour}, "020", true},
		"three":                        {[]time.Duration{time.Hour, time.Hour, time.Hour}, "300", false},
	} {
		a := account{}
		for d, n := range c.days {
			a.days = append(a.days, fmt.Sprintf(`{"period":"%s","data":{"sales_count":%c}}`, monday.AddDate(0, 0, d-1).Format(time.DateOnly), n))
		}
		var sales []reconcile.Sale
		for i, at := range c.at {
			sales = append(sales, reconcile.Sale{At: monday.Add(at), Event: fprom.Sale{EventID: fmt.Sprint("ch_", i), Email: "ann@example.com", Amount: 500}})
		}
		if r, err := reconcile.Run(t.Context(), reconcile.Options{Client: a.client(t), From: monday, To: monday, Sales: sold(sales...)}); err != nil || (r.Zone == "+00:00") != c.utc {
			t.Errorf("%s: zone %s, %v", name, r.Zone, err)
		}
	}
}

// A sale without a commission has earned nothing if the day's total has room for it: beside foreign and unidentified sales, and ones that
// are counted twice, but not beside refunds.
func TestWhatATotalCounts(t *testing.T) {
	t.Parallel()
	const at = `"created_at":"2026-03-09T12:00:00Z"}`
	sale := fprom.Sale{EventID: "ch_1", Email: "ann@example.com", Amount: 500}
	own := `{"event_id":"ch_1","sale_amount":500,` + at
	for name, c := range map[string]struct {
		ours  []fprom.Event
		rows  []string
		total int // with the sale that earned nothing
	}{
		"it alone":                   {nil, nil, 1},
		"one with a commission":      {[]fprom.Event{sale}, []string{own}, 2},
		"one that is counted twice":  {[]fprom.Event{sale}, []string{own, own}, 3},
		"a foreign one":              {nil, []string{strings.Replace(own, "ch_1", "in_1", 1)}, 2},
		"a foreign refund":           {nil, []string{`{"event_id":"re_9","sale_amount":-500,` + at}, 1},
		"one without an event id":    {nil, []string{`{"sale_amount":500,` + at}, 2},
		"a refund without an id":     {nil, []string{`{"sale_amount":-500,` + at}, 1},
		"a refund that is lost":      {[]fprom.Event{fprom.Refund{EventID: "re_1", Email: "ann@example.com", Amount: 500}}, []string{`{"event_id":"re_9","sale_amount":-500,` + at}, 1},
		"a refund with a commission": {[]fprom.Event{fprom.Refund{EventID: "re_1", Email: "ann@example.com", Amount: 500}}, []string{`{"event_id":"re_1","sale_amount":-500,` + at}, 1},
	} {
		for _, arrived := range []bool{true, false} {
			sales := []reconcile.Sale{{At: noon, Event: fprom.Sale{EventID: "nothing", Email: "bob@example.com", Amount: 700}}}
			for _, e := range c.ours {
				sales = append(sales, reconcile.Sale{At: noon, Event: e})
			}
			total := c.total
			if !arrived {
				total--
			}
			a := account{commissions: append([]string{}, c.rows...), days: []string{fmt.Sprintf(`{"period":"2026-03-09","data":{"sales_count":%d}}`, total)}}
			r, err := reconcile.Run(t.Context(), reconcile.Options{Client: a.client(t), From: monday, To: monday, Full: true, Sales: sold(sales...)})
			if err != nil || (r.NoCommission == 1) != arrived {
				t.Errorf("%s, arrived %v: %+v %v", name, arrived, r, err)
			}
		}
	}
}

// Each customer is asked for once, and all referrals are listed once, however long the days are.
func TestCallsForCustomers(t *testing.T) {
	t.Parallel()
	for customers, calls := range map[int]int{1: 6, 2: 7, 15: 6} { // the totals, three lists of commissions, the campaigns; the customers or all referrals
		var sales []reconcile.Sale
		for d := range 30 { // three lists
			for i := range customers {
				sales = append(sales, reconcile.Sale{At: noon.AddDate(0, 0, d), Event: fprom.Sale{EventID: fmt.Sprint("ch_", d, "_", i), Email: fmt.Sprint(i, "@example.com"), Amount: 500}})
			}
		}
		r, err := reconcile.Run(t.Context(), reconcile.Options{Client: account{leads: []string{}}.client(t), From: monday, To: monday.AddDate(0, 0, 29), Full: true, Sales: sold(sales...)})
		if err != nil || r.Calls != calls || r.NotReferral != len(sales) {
			t.Errorf("%d customers: %d calls, want %d; %+v %v", customers, r.Calls, calls, r, err)
		}
	}
}

// A list's date may be later than the delivery: the commission is searched for, also if the days are the last ones.
func TestListedLaterThanDelivered(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t)
	now := time.Now()
	fake.AddPastSale(fpromtest.PastSale{EventID: "ch_1", Email: "ann@example.com", Amount: 500, At: now.AddDate(0, 0, -10)})
	o := (&world{fake: fake}).options(t)
	o.From, o.To, o.Full = now, now, true
	o.Sales = sold(reconcile.Sale{At: now, Event: fprom.Sale{EventID: "ch_1", Email: "ann@example.com", Amount: 500}})
	if r, err := reconcile.Run(t.Context(), o); err != nil || r.Matched != 1 {
		t.Errorf("%+v %v", r, err)
	}
}
