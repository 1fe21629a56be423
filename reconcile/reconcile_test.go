package reconcile_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/reconcile"
)

// companies are the ways in which FirstPromoter may behave.
var companies = map[string]fpromtest.Company{
	"plain":               {},
	"zone east":           {DayZone: 5*time.Hour + 45*time.Minute, ToExclusive: true},
	"zone west":           {DayZone: -11 * time.Hour, SparseReport: true},
	"ties":                {Order: fpromtest.OrderTies, Millis: true},
	"shuffled":            {Order: fpromtest.OrderShuffled, ExactSearch: true},
	"small pages":         {MaxPerPage: 20, PeriodTime: true},
	"links":               {LinkHeader: true, MaxPerPage: 37, ReportDays: true},
	"converted":           {Rates: map[string]int64{"EUR": 110, "JPY": 1}},
	"refunds as the sale": {RefundRows: fpromtest.RefundRowSale},
	"refunds without":     {RefundRows: fpromtest.RefundRowNone},
}

// zones are those of the companies above that are not in UTC.
var zones = map[string]string{"zone east": "+05:45", "zone west": "-11:00"}

func TestOutbox(t *testing.T) {
	t.Parallel()
	for name, company := range companies {
		for _, full := range []bool{true, false} {
			t.Run(name+map[bool]string{true: "/full", false: "/days first"}[full], func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, company, 10, 30)
					o := w.options(t)
					o.Outbox, o.Full = w.outbox(t), full
					expected, none := w.expected, w.noCommission
					counted := full || company.RefundRows != fpromtest.RefundRowNone // where days agree, refunds count by the answer
					if company.RefundRows == fpromtest.RefundRowNone {
						expected, none = expected-10*3, none+10*3
					}
					clean, err := reconcile.Run(t.Context(), o)
					if err != nil || !clean.Clean() || clean.NotReferral != w.notReferral {
						t.Fatalf("%+v %v", clean, err)
					}
					if counted && (clean.Matched != expected || clean.NoCommission != none) {
						t.Errorf("clean: matched %d, no commission %d; want %d, %d", clean.Matched, clean.NoCommission, expected, none)
					}
					if !full && clean.Calls > 2 {
						t.Errorf("%d calls for days that agree, zone %s", clean.Calls, clean.Zone)
					}
					w.spoil(2)
					w.spoil(7) // between them are days that agree
					r, err := reconcile.Run(t.Context(), o)
					if err != nil || r.Clean() {
						t.Fatal(err)
					}
					found(t, r, w.missing, w.foreign, w.differs, w.doubled)
					if wrong := len(w.missing) + len(w.differs) + len(w.doubled); counted && (r.Matched != expected-wrong || r.NoCommission != none) {
						t.Errorf("matched %d, no commission %d; want %d, %d", r.Matched, r.NoCommission, expected-wrong, none)
					}
					more := 0
					for _, d := range r.Days {
						more += d.Ours - d.Theirs
						if !d.Read && d.Ours != d.Theirs {
							t.Errorf("zone %s: %+v", r.Zone, d)
						}
					}
					if want := zones[name]; more != 2 || len(r.Days) != 12 || r.Zone != cmp.Or(want, "+00:00") {
						t.Errorf("zone %s, %+v", r.Zone, r.Days)
					}
					if r.Unidentified != 0 || r.Waiting != 0 || r.Next != "" || len(r.Advice()) != 4 {
						t.Errorf("%+v", r)
					}
				})
			})
		}
	}
}

func TestListOfSales(t *testing.T) {
	t.Parallel()
	for name, company := range companies {
		for _, full := range []bool{true, false} {
			t.Run(name+map[bool]string{true: "/full", false: "/days first"}[full], func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, company, 6, 30)
					o := w.options(t)
					o.Sales, o.Full = w.list(), full
					clean, err := reconcile.Run(t.Context(), o)
					if err != nil || !clean.Clean() || clean.NotReferral != w.notReferral {
						t.Fatalf("%+v %v", clean, err)
					}
					w.spoil(2)
					w.spoil(5)
					r, err := reconcile.Run(t.Context(), o)
					if err != nil {
						t.Fatal(err)
					}
					// A promoter who earns once: on a spoilt day nobody can tell what is lost from what earned nothing. To say too
					// much is safe: FirstPromoter refuses what it has.
					certain := r.Missing
					certain = slices.DeleteFunc(slices.Clone(certain), func(e reconcile.Entry) bool { return strings.HasSuffix(e.EventID, "2") })
					if n := len(r.Missing) - len(certain); n < 3 || n > w.noCommission {
						t.Errorf("%d of those that earned nothing are called missing", n)
					}
					all := r
					all.Missing = certain
					found(t, all, w.missing, w.foreign, w.differs, w.doubled)
					if wrong := len(r.Missing) + len(w.differs) + len(w.doubled); r.NotReferral != w.notReferral ||
						r.Matched+r.NoCommission+wrong != w.expected+w.noCommission {
						t.Errorf("%+v", r)
					}
				})
			})
		}
	}
}
