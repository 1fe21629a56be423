package statuspage

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/verdict"
)

// The size of a chart's box. The style stretches the box, so text stands outside of it.
const (
	chartWidth  = 960
	chartHeight = 200
)

// chart is what the template draws.
type chart struct {
	Label string // for screen readers
	Top   string // the number at the upper edge
	Bars  []bar
	Area  string // SVG path of an area
	Line  int    // y of a horizontal line; 0: none
}

// bar is a stack of parts from the bottom up.
type bar struct {
	X, Width int
	Title    string
	Parts    []part
}

type part struct {
	Class     string
	Y, Height int
}

// outcomes draws the outcomes of the last day.
func outcomes(day []fprom.Bucket) chart {
	var sum fprom.Bucket
	top := 1
	for _, b := range day {
		top = max(top, total(b))
		sum.Tracked, sum.NotReferral, sum.Duplicate, sum.Dead = sum.Tracked+b.Tracked, sum.NotReferral+b.NotReferral, sum.Duplicate+b.Duplicate, sum.Dead+b.Dead
	}
	c := chart{Top: verdict.Grouped(top), Label: "Outcomes of the last 24 hours: " + counts(sum)}
	for i, b := range day {
		if total(b) == 0 {
			continue
		}
		width := chartWidth / len(day)
		one := bar{X: i * width, Width: width - 3, Title: span(b.Start, barLength) + " " + counts(b)}
		y := chartHeight
		for _, v := range []struct {
			class string
			n     int
		}{{"t", b.Tracked}, {"n", b.NotReferral}, {"u", b.Duplicate}, {"d", b.Dead}} {
			if v.n == 0 {
				continue
			}
			h := max(v.n*chartHeight/top, 3) // one among thousands must be visible
			y = max(y-h, 0)
			one.Parts = append(one.Parts, part{v.class, y, h})
		}
		c.Bars = append(c.Bars, one)
	}
	return c
}

// use draws the outcomes a minute, and the limit.
func use(hour []fprom.Bucket, limit int) chart {
	most := 0
	for _, b := range hour {
		most = max(most, total(b))
	}
	line := min(limit, math.MaxInt/(2*chartHeight)) // a number may stand for no limit, and be too large to be multiplied
	top := max(most, line*6/5)
	c := chart{
		Top: verdict.Grouped(top), Line: chartHeight - line*chartHeight/top,
		Label: fmt.Sprintf("Events a minute in the last hour: at most %s, the limit is %s", verdict.Grouped(most), verdict.Grouped(limit)),
	}
	for i, b := range hour {
		if n := total(b); n > 0 {
			width := chartWidth / len(hour)
			h := max(n*chartHeight/top, 2)
			c.Bars = append(c.Bars, bar{i * width, width - 3, span(b.Start, time.Minute) + " " + count(n, "event"), []part{{"t", chartHeight - h, h}}})
		}
	}
	return c
}

// backlog draws how many events waited.
func backlog(waiting []int) chart {
	most := slices.Max(waiting)
	top := max(most, 1)
	var b strings.Builder
	fmt.Fprintf(&b, "M0,%d", chartHeight)
	for i, n := range waiting {
		b.WriteString("L" + strconv.Itoa(i*chartWidth/(len(waiting)-1)) + "," + strconv.Itoa(chartHeight-n*chartHeight/top))
	}
	fmt.Fprintf(&b, "L%d,%dZ", chartWidth, chartHeight)
	return chart{
		Top: verdict.Grouped(top), Area: b.String(),
		Label: fmt.Sprintf("Backlog of the last 24 hours: now %s, at most %s", verdict.Grouped(waiting[len(waiting)-1]), verdict.Grouped(most)),
	}
}

func total(b fprom.Bucket) int { return b.Tracked + b.NotReferral + b.Duplicate + b.Dead }

// counts says how many events had each outcome.
func counts(b fprom.Bucket) string {
	var parts []string
	for _, v := range []struct {
		n    int
		noun string
	}{{b.Tracked, "tracked"}, {b.NotReferral, "not a referral"}, {b.Duplicate, "duplicate"}, {b.Dead, "dead"}} {
		if v.n > 0 {
			parts = append(parts, verdict.Grouped(v.n)+" "+v.noun)
		}
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func span(t time.Time, d time.Duration) string {
	return t.UTC().Format("15:04") + "–" + t.Add(d).UTC().Format("15:04")
}

// newest are the last n buckets.
func newest(b []fprom.Bucket, n int) []fprom.Bucket { return b[max(len(b)-n, 0):] }
