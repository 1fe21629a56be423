package reconcile

import (
	"cmp"
	"context"
	"time"

	"github.com/fprom-go/fprom"
)

// day numbers days: 0 is 1970-01-01.
type day int

// dayOf is the day of t in the zone that is offset east of UTC.
func dayOf(t time.Time, offset time.Duration) day {
	return day(t.Add(offset).Unix() / 86400)
}

// date is the midnight of d in UTC.
func (d day) date() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

func (d day) String() string { return d.date().Format(time.DateOnly) }

// span is a range of days, the last one included.
type span struct{ from, to day }

func (s span) has(d day) bool { return s.from <= d && d <= s.to }
func (s span) len() int       { return int(s.to-s.from) + 1 }

// readTotals reads FirstPromoter's sales and revenue by day, with one day more on both sides. A missing day has none.
func (r *run) readTotals(ctx context.Context) error {
	rows, err := r.Client.Overview(ctx, (r.days.from - 1).date(), (r.days.to + 1).date())
	if err != nil {
		return err
	}
	r.totals, r.revenue = map[day]int{}, map[day]int64{}
	for _, d := range rows {
		r.totals[dayOf(d.Day, 0)] += d.Sales
		r.revenue[dayOf(d.Day, 0)] += d.Revenue
	}
	return nil
}

// slot is the smallest difference between two time zones.
const slot = 15 * time.Minute

// times counts sales by slot.
type times map[int64]int

func (t times) add(at time.Time) { t[at.Unix()/int64(slot/time.Second)]++ }

// byDay counts sales by day in a zone.
func (t times) byDay(offset time.Duration) map[day]int {
	counts := map[day]int{}
	for s, n := range t {
		counts[dayOf(time.Unix(s*int64(slot/time.Second), 0), offset)] += n
	}
	return counts
}

// zones are the offsets of the world's time zones, in minutes east of UTC.
var zones = []int{
	-660, -600, -570, -540, -480, -420, -360, -300, -240, -210, -180, -150, -120, -60, 0, 60, 120, 180, 210, 240, 270, 300, 330, 345,
	360, 390, 420, 480, 525, 540, 570, 600, 630, 660, 720, 765, 780, 825, 840,
}

// noise is by how many sales another zone must at least be better: days may differ by chance.
const noise = 6

// findZone sets r.offset to the zone in which our sales by day are nearest to FirstPromoter's. It stays as it is, at first UTC, unless
// another zone makes the difference much smaller.
func (r *run) findZone(t times, s span) {
	usual := r.difference(t, s, r.offset)
	best, least := r.offset, min(usual/2, usual-noise)+1
	for _, m := range zones {
		offset := time.Duration(m) * time.Minute
		if n := r.difference(t, s, offset); n < least {
			best, least = offset, n
		}
	}
	r.offset = best
}

// difference is the sum of the differences of all days in a zone, in sales.
func (r *run) difference(t times, s span, offset time.Duration) (n int) {
	counts := t.byDay(offset)
	for d := s.from; d <= s.to; d++ {
		n += max(counts[d]-r.totals[d], r.totals[d]-counts[d])
	}
	return n
}

// compareDays is the first stage: it decides of which days the commissions must be read. It compares totals in the best zone.
// Events belong to their day in UTC.
func (r *run) compareDays() {
	t := times{}
	for _, e := range r.ours {
		if e.counted() {
			t.add(e.at)
		}
	}
	r.findZone(t, span{r.days.from - 1, r.days.to + 1})
	counts := t.byDay(r.offset)
	for d := r.days.from; d <= r.days.to; d++ {
		r.report.Days = append(r.report.Days, Day{Day: d.String(), Ours: counts[d], Theirs: r.totals[d]})
	}
	for _, e := range r.ours {
		d := dayOf(e.at, 0)
		r.byDay[d] = append(r.byDay[d], e)
	}
	sums, canCompare := r.sums(counts)
	for d := r.days.from - 1; d <= r.days.to+1; d++ {
		if !r.Full && counts[d] == r.totals[d] && (!canCompare || sums[d] == r.revenue[d]) {
			continue
		}
		for _, n := range []day{d - 1, d, d + 1} { // a day of another zone overlaps two days of UTC
			if r.days.has(n) {
				r.read[n] = true
			}
		}
	}
	r.report.Zone = time.Time{}.In(time.FixedZone("", int(r.offset/time.Second))).Format("-07:00")
}

// sums returns our sums by day, and whether they can be compared with FirstPromoter's revenue. For that all sales must be in the
// account's currency. No documented call names this currency: so at least one day must agree, or fewer than three may differ.
func (r *run) sums(counts map[day]int) (sums map[day]int64, canCompare bool) {
	sums = map[day]int64{}
	var first *event
	for _, e := range r.ours {
		if e.ignored || e.outcome == fprom.NotReferral {
			continue
		}
		first = cmp.Or(first, e)
		switch {
		case e.currency != first.currency:
			return nil, false
		case e.kind == fprom.KindSale:
			sums[dayOf(e.at, r.offset)] += e.amount
		default:
			sums[dayOf(e.at, r.offset)] -= e.amount // FirstPromoter subtracts refunds from the revenue
		}
	}
	agree, differ := 0, 0
	for d := r.days.from - 1; d <= r.days.to+1; d++ {
		switch {
		case counts[d] == 0 || counts[d] != r.totals[d]:
		case sums[d] == r.revenue[d]:
			agree++
		default:
			differ++
		}
	}
	return sums, agree > 0 || differ < 3
}

// maxSpan is how many days are read at once. An interruption costs no more than these.
const maxSpan = 14

// spans are the days to read, in order, as ranges of at most maxSpan days.
func (r *run) spans() (all []span) {
	for d := r.days.from; d <= r.days.to; d++ {
		switch n := len(all); {
		case !r.read[d]:
		case n > 0 && all[n-1].to == d-1 && all[n-1].len() < maxSpan:
			all[n-1].to = d
		default:
			all = append(all, span{d, d})
		}
	}
	return all
}
