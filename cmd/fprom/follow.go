package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/fprom-go/fprom"
)

const followPause = time.Second

// followedJSON has the outcomes of redriven events.
type followedJSON struct {
	Redriven int         `json:"redriven"` // by this command; another process may have redriven more of Events
	Selected int         `json:"selected"`
	DryRun   bool        `json:"dry_run"`
	Waiting  int         `json:"waiting"` // when the time was over
	Dead     int         `json:"dead_again"`
	Events   []eventJSON `json:"events"`

	done int
}

// entries collects the entries of a range.
func entries(all iter.Seq2[fprom.Entry, error]) (found []fprom.Entry, err error) {
	for e, err := range all {
		if err != nil {
			return nil, err
		}
		found = append(found, e)
	}
	return found, nil
}

// follow waits for the outcomes of the redriven events of plan, at most so long, and shows them.
func (a *app) follow(ctx context.Context, box fprom.Outbox, plan []fprom.Entry, n int, most time.Duration) error {
	if s, err := box.Stats(ctx); err == nil && !s.Delivering {
		a.note("nobody delivers this outbox now: they are sent when the service starts")
		return a.showFollowed(followedJSON{Redriven: n, Waiting: n, Events: []eventJSON{}}, len(plan), nil)
	}
	keys := make([]string, len(plan))
	for i, e := range plan {
		keys[i] = e.Key
	}
	p := a.progress(int64(n), "outcomes")
	defer p.end()
	v, noted := followedJSON{Redriven: n, Waiting: n, Events: []eventJSON{}}, false
	var found []fprom.Entry
	for deadline := time.Now().Add(most); ; {
		now, err := entries(box.Entries(ctx, fprom.Filter{Keys: keys, Personal: a.personal}))
		switch {
		case err == nil:
			v, found = a.tally(n, now), now
		case ctx.Err() == nil && !noted: // the service may be restarting
			_, problem := outboxProblem(err)
			a.note("%s redriven; the outbox is asked again until it answers: %s", count(n, "dead letter"), problem)
			noted = true
		}
		p.set(int64(v.done + v.Dead))
		if v.Waiting == 0 || time.Now().After(deadline) {
			p.end()
			return a.showFollowed(v, len(plan), found)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followPause):
		}
	}
}

// tally counts the outcomes of n redriven events.
func (a *app) tally(n int, found []fprom.Entry) followedJSON {
	v := followedJSON{Redriven: n, Events: []eventJSON{}}
	for _, e := range found {
		switch e.State {
		case fprom.StateWaiting:
			v.Waiting++
		case fprom.StateDead:
			v.Dead++
		case fprom.StateDone:
			v.done++
		}
		v.Events = append(v.Events, a.eventOf(e))
	}
	return v
}

func (a *app) showFollowed(v followedJSON, selected int, found []fprom.Entry) error {
	v.Selected = selected
	err := a.show(v, func(w io.Writer) {
		a.eventsTable(w, found)
		_, _ = fmt.Fprintf(w, "%s redriven: %d done, %d dead again, %d still waiting\n", count(v.Redriven, "dead letter"), v.done, v.Dead, v.Waiting)
	})
	if err == nil && v.Dead+v.Waiting > 0 {
		return errNeedsPerson
	}
	return err
}
