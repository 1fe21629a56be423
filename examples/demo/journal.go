package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/fprom-go/fprom/fpromtest"
)

// tally sums up what the journal of the fake has about some event ids.
type tally struct {
	calls                  int // requests that arrived
	once, missing, doubled int // events by the number of their commissions
	earned                 int64
}

func (d *demo) tally(kind string, ids ...string) tally {
	commissions := map[string]int{}
	var t tally
	for _, c := range d.fake.Commissions() {
		if c.Kind == kind && slices.Contains(ids, c.EventID) {
			commissions[c.EventID]++
			t.earned += c.Amount
		}
	}
	for _, id := range ids {
		t.calls += d.fake.Count(kind, id)
		switch commissions[id] {
		case 0:
			t.missing++
		case 1:
			t.once++
		default:
			t.doubled++
		}
	}
	return t
}

func (t tally) eachOnce() bool { return t.missing == 0 && t.doubled == 0 }

func (t tally) String() string {
	return fmt.Sprintf("%d once, %d lost, %d twice", t.once, t.missing, t.doubled)
}

// requests returns the requests of one event, in the order of arrival.
func (d *demo) requests(kind, id string) []fpromtest.Request {
	return slices.DeleteFunc(d.fake.Requests(), func(r fpromtest.Request) bool { return r.Kind != kind || r.EventID != id })
}

// refused returns the number of requests that were over the limit.
func (d *demo) refused() (n int) {
	for _, r := range d.fake.Requests() {
		if r.Status == http.StatusTooManyRequests && r.Fault == "" {
			n++
		}
	}
	return n
}

var errLate = errors.New("not within 30 s")

// await waits until every event of kind has a commission.
func (d *demo) await(ctx context.Context, kind string, ids ...string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errLate)
	defer cancel()
	err := d.fake.Wait(ctx, func(*fpromtest.Server) bool { return d.tally(kind, ids...).missing == 0 })
	if err != nil {
		return fmt.Errorf("%w: %v", context.Cause(ctx), d.tally(kind, ids...))
	}
	return nil
}

// awaitAnswer waits until a call of one event was answered with a status.
func (d *demo) awaitAnswer(ctx context.Context, kind, id string, status int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errLate)
	defer cancel()
	err := d.fake.Wait(ctx, func(*fpromtest.Server) bool {
		return slices.ContainsFunc(d.requests(kind, id), func(r fpromtest.Request) bool { return r.Status == status })
	})
	if err != nil {
		return fmt.Errorf("%s %s was not answered with %d: %w", kind, id, status, context.Cause(ctx))
	}
	return nil
}

// row is a line of the table at the end.
type row struct {
	scene, expected, happened string
	ok                        bool
}

// printTable prints the table and returns the scenes that did not end as expected.
func printTable(w io.Writer, rows []row) (wrong []string) {
	fmt.Fprintf(w, "\nWhat became of it, by the journal of the fake FirstPromoter:\n\n")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "scene\texpected\twhat happened\tok?")
	fmt.Fprintln(tw, "-----\t--------\t-------------\t---")
	for _, r := range rows {
		ok := "ok"
		if !r.ok {
			ok = "WRONG"
			wrong = append(wrong, r.scene)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", r.scene, r.expected, r.happened, ok)
	}
	_ = tw.Flush() // errors of stdout are ignored
	return wrong
}

func dollars(cents int64) string {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	return fmt.Sprintf("%s$%d.%02d", sign, cents/100, cents%100)
}
