package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/reconcile"
)

// A listed sale without a commission has earned nothing if FirstPromoter's total of its day is ours. With few days, or many that
// differ, the days before and after must agree, too: the sale counted may be one of another zone's day.
func TestDaysTellWhatArrived(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ours, theirs string // sales of each day; the days of ours are compared
		missing      []string
	}{
		"one day":                            {"010", "010", nil},
		"one day, and the next differs":      {"010", "011", []string{"ch_1"}},
		"one day, and the one before":        {"010", "110", []string{"ch_1"}},
		"one day, the next is not compared":  {"1", "11", nil},
		"two days, and the next differs":     {"0110", "0111", []string{"ch_2"}},
		"two days, and the one before":       {"0110", "1110", []string{"ch_1"}},
		"two of three days agree":            {"0111", "0110", []string{"ch_3"}},
		"three of three, others differ":      {"0101010", "1111111", nil},
		"one of three days agrees":           {"0111", "0100", []string{"ch_1", "ch_2", "ch_3"}},
		"half of four days agree":            {"1111", "1100", []string{"ch_1", "ch_2", "ch_3"}},
		"one of two days agrees, far enough": {"1001", "1000", []string{"ch_3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sales []reconcile.Sale
			var days []string
			for d, n := range c.theirs {
				days = append(days, fmt.Sprintf(`{"period":"%s","data":{"sales_count":%c}}`, monday.AddDate(0, 0, d).Format(time.DateOnly), n))
			}
			for d, n := range c.ours {
				if n == '1' {
					sales = append(sales, reconcile.Sale{At: noon.AddDate(0, 0, d), Event: fprom.Sale{EventID: fmt.Sprint("ch_", d), Email: "ann@example.com", Amount: 500}})
				}
			}
			r, err := reconcile.Run(t.Context(), reconcile.Options{
				Client: account{days: days}.client(t), From: monday, To: monday.AddDate(0, 0, len(c.ours)-1), Full: true, Sales: sold(sales...),
			})
			if err != nil || r.NoCommission != len(sales)-len(c.missing) {
				t.Errorf("%+v %v", r, err)
			}
			found(t, r, c.missing, nil, nil, nil)
		})
	}
}

// A sale that earned nothing and was delivered after midnight makes the total of the next day ours, although one of that day is lost.
func TestLateSaleHidesNoLostOne(t *testing.T) {
	t.Parallel()
	sale := func(id string, at time.Time) reconcile.Sale {
		return reconcile.Sale{At: at, Event: fprom.Sale{EventID: id, Email: "ann@example.com", Amount: 500}}
	}
	sales := []reconcile.Sale{sale("late", noon.AddDate(0, 0, 2).Add(11*time.Hour)), sale("lost", noon.AddDate(0, 0, 3))}
	var days []string
	for d := range 8 {
		sales = append(sales, sale(fmt.Sprint("ch_", d), noon.AddDate(0, 0, d)))
		days = append(days, fmt.Sprintf(`{"period":"%s","data":{"sales_count":%d}}`, monday.AddDate(0, 0, d).Format(time.DateOnly), map[int]int{3: 1}[d]+1))
	}
	r, err := reconcile.Run(t.Context(), reconcile.Options{Client: account{days: days}.client(t), From: monday, To: monday.AddDate(0, 0, 7), Full: true, Sales: sold(sales...)})
	if err != nil || r.NoCommission != 6 {
		t.Errorf("%+v %v", r, err)
	}
	found(t, r, []string{"ch_2", "ch_3", "late", "lost"}, nil, nil, nil)
}

// The zone that all days before show is kept where a few days would fit another one by chance, with a lost sale as one that earned nothing.
func TestZoneOfTheDaysBefore(t *testing.T) {
	t.Parallel()
	var sales []reconcile.Sale
	a, counts := account{}, map[string]int{}
	sell := func(day int, at time.Duration, arrives bool) {
		when := monday.AddDate(0, 0, day).Add(at)
		sale := fprom.Sale{EventID: fmt.Sprint("ch_", len(sales)), Email: "ann@example.com", Amount: 500}
		sales = append(sales, reconcile.Sale{At: when, Event: sale})
		if arrives {
			a.commissions = append(a.commissions, fmt.Sprintf(`{"event_id":"%s","sale_amount":500,"created_at":"%s"}`, sale.EventID, when.Format(time.RFC3339)))
			counts[when.Add(-8*time.Hour).Format(time.DateOnly)]++
		}
	}
	for day := range 14 { // read at once; 23:30 and 00:30 in FirstPromoter's zone
		for range day % 2 * 5 {
			sell(day, 7*time.Hour+30*time.Minute, true)
			sell(day, 8*time.Hour+30*time.Minute, true)
		}
	}
	sell(14, 9*time.Hour, true) // in the zone -11:00 this is the day before
	sell(14, 15*time.Hour, true)
	lost := fmt.Sprint("ch_", len(sales))
	sell(15, 2*time.Hour, false)
	for range 10 {
		sell(17, 5*time.Hour, true)
	}
	for day, n := range counts {
		a.days = append(a.days, fmt.Sprintf(`{"period":"%s","data":{"sales_count":%d}}`, day, n))
	}
	r, err := reconcile.Run(t.Context(), reconcile.Options{Client: a.client(t), From: monday, To: monday.AddDate(0, 0, 18), Full: true, Sales: sold(sales...)})
	if err != nil || r.Matched != len(sales)-1 {
		t.Errorf("%+v %v", r, err)
	}
	found(t, r, []string{lost}, nil, nil, nil)
}

// A lost sale can make a wrong zone fit best, here that of -06:00. The one of -05:00 fits but for one sale, and says that it is lost.
func TestLostSaleFitsAnotherZone(t *testing.T) {
	t.Parallel()
	var sales []reconcile.Sale
	a, counts := account{}, map[string]int{}
	sell := func(day int, at time.Duration) {
		when := monday.AddDate(0, 0, day).Add(at)
		id := fmt.Sprint("ch_", len(sales))
		sales = append(sales, reconcile.Sale{At: when, Event: fprom.Sale{EventID: id, Email: "ann@example.com", Amount: 500}})
		a.commissions = append(a.commissions, fmt.Sprintf(`{"event_id":"%s","sale_amount":500,"created_at":"%s"}`, id, when.Format(time.RFC3339)))
		counts[when.Add(-5*time.Hour).Format(time.DateOnly)]++
	}
	for day := range 6 {
		for range day % 2 * 5 {
			sell(day, 2*time.Hour)
		}
		sell(day, 5*time.Hour+30*time.Minute) // in the zone -06:00 it is the day before
	}
	sales = append(sales, reconcile.Sale{At: monday.AddDate(0, 0, 5).Add(12 * time.Hour), Event: fprom.Sale{EventID: "lost", Email: "ann@example.com", Amount: 500}})
	for day, n := range counts {
		a.days = append(a.days, fmt.Sprintf(`{"period":"%s","data":{"sales_count":%d}}`, day, n))
	}
	r, err := reconcile.Run(t.Context(), reconcile.Options{Client: a.client(t), From: monday, To: monday.AddDate(0, 0, 5), Full: true, Sales: sold(sales...)})
	if err != nil || r.Matched != len(sales)-1 {
		t.Errorf("%+v %v", r, err)
	}
	found(t, r, []string{"lost"}, nil, nil, nil)
}

// A list may have dates without a time: then the lead of the same day is of the sale. Of two leads of a customer the older one counts.
func TestWhenTheLeadCame(t *testing.T) {
	t.Parallel()
	const sameDay, nextDay = "2026-03-09T23:59:59Z", "2026-03-10T00:00:01Z"
	for name, c := range map[string]struct {
		leads   []string // when they came
		listed  bool     // so many customers that all leads are read
		missing []string
	}{
		"later the same day":         {[]string{sameDay}, false, []string{"ch_1"}},
		"the day after":              {[]string{nextDay}, false, nil},
		"later the same day, listed": {[]string{sameDay}, true, []string{"ch_1"}},
		"the day after, listed":      {[]string{nextDay}, true, nil},
		"two, the older one first":   {[]string{sameDay, nextDay}, true, []string{"ch_1"}},
		"two, the older one last":    {[]string{nextDay, sameDay}, true, []string{"ch_1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var leads []string
			for i, at := range c.leads {
				leads = append(leads, fmt.Sprintf(`{"id":%d,"state":"active","email":"Ann@example.com","created_at":"%s"}`, i+1, at))
			}
			sales := []reconcile.Sale{{At: monday, Event: fprom.Sale{EventID: "ch_1", Email: "ann@example.com", Amount: 500}}}
			for i := range 11 {
				if c.listed {
					sales = append(sales, reconcile.Sale{At: monday, Event: fprom.Sale{EventID: fmt.Sprint("other_", i), Email: fmt.Sprintf("o%d@example.com", i), Amount: 500}})
				}
			}
			r, err := reconcile.Run(t.Context(), reconcile.Options{Client: account{leads: leads}.client(t), From: monday, To: monday, Full: true, Sales: sold(sales...)})
			if err != nil || r.NotReferral != len(sales)-len(c.missing) {
				t.Errorf("%+v %v", r, err)
			}
			found(t, r, c.missing, nil, nil, nil)
		})
	}
}

// A commission without an event id is of the sale of its amount, and then of the nearest one that should have one. One with an id, of a
// sale whose amount is zero, is too much.
func TestCommissionOfAnAmount(t *testing.T) {
	t.Parallel()
	const row = `{"sale_amount":500,"created_at":"2026-03-09T12:00:00Z","promoter_campaign":{"id":1,"promoter_id":1},"referral":{"id":1,"email":"ann@example.com"}}`
	points, free := strings.Replace(row, "{", `{"unit":"points",`, 1), strings.Replace(row, "{", `{"event_id":"ch_0",`, 1)
	for name, c := range map[string]struct {
		amounts          []int64 // of sales, an hour apart
		rows             []string
		missing, differs []string
		unidentified     int
	}{
		"another amount is nearer": {[]int64{700, 500}, []string{row}, []string{"ch_0"}, nil, 0},
		"a free one is nearer":     {[]int64{0, 595}, []string{row}, nil, []string{"ch_1"}, 0},
		"a free one":               {[]int64{0}, []string{row}, nil, nil, 1},
		"a free one, with the id":  {[]int64{0}, []string{free}, nil, []string{"ch_0"}, 0},
		"cash and points":          {[]int64{500}, []string{row, points}, nil, nil, 0},
		"cash twice":               {[]int64{500}, []string{row, row}, nil, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sales []reconcile.Sale
			for i, amount := range c.amounts {
				sales = append(sales, reconcile.Sale{At: noon.Add(time.Duration(i) * time.Hour), Event: fprom.Sale{EventID: fmt.Sprint("ch_", i), Email: "ann@example.com", Amount: amount}})
			}
			r, err := reconcile.Run(t.Context(), reconcile.Options{Client: listing(t, c.rows...), From: monday, To: monday, Full: true, Sales: sold(sales...)})
			if err != nil || r.Unidentified != c.unidentified {
				t.Errorf("%+v %v", r, err)
			}
			found(t, r, c.missing, nil, c.differs, nil)
		})
	}
}

// A commission without an event id is of the customer's sale within two days, of the nearest one, and otherwise of nobody.
func TestCommissionOfACustomer(t *testing.T) {
	t.Parallel()
	const limit = 48 * time.Hour
	for _, c := range []struct {
		after   []time.Duration // when the sales were, after the commission
		missing []string
	}{
		{[]time.Duration{limit}, nil},
		{[]time.Duration{-limit}, nil},
		{[]time.Duration{limit + time.Second}, []string{"ch_0"}},
		{[]time.Duration{-limit - time.Second}, []string{"ch_0"}},
		{[]time.Duration{time.Hour, -2 * time.Hour}, []string{"ch_1"}},
		{[]time.Duration{2 * time.Hour, -time.Hour}, []string{"ch_0"}},
	} {
		t.Run(strings.Trim(fmt.Sprint(c.after), "[]"), func(t *testing.T) {
			t.Parallel()
			var sales []reconcile.Sale
			for i, after := range c.after {
				sales = append(sales, reconcile.Sale{At: noon.Add(after), Event: fprom.Sale{EventID: fmt.Sprint("ch_", i), Email: "ann@example.com", Amount: 500}})
			}
			r, err := reconcile.Run(t.Context(), reconcile.Options{
				Client: listing(t, `{"sale_amount":500,"created_at":"2026-03-09T12:00:00Z","referral":{"id":1,"email":"Ann@example.com"}}`),
				From:   monday.AddDate(0, 0, -3), To: monday.AddDate(0, 0, 3), Full: true, Sales: sold(sales...),
			})
			if nobodys := r.Unidentified == 1; err != nil || nobodys != (len(c.missing) == len(sales)) {
				t.Errorf("%+v %v", r, err)
			}
			found(t, r, c.missing, nil, nil, nil)
		})
	}
}
