package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/fprom-go/fprom"
)

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
	p := a.progress("outcomes")
	defer p.end()
	limited, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	v, found := followedJSON{Redriven: n, Waiting: n, Events: []eventJSON{}}, []fprom.Entry(nil)
	for {
		err := a.patiently(limited, func() error {
			now, err := entries(box.Entries(ctx, fprom.Filter{Keys: keys, Personal: a.personal}))
			if err == nil {
				v, found = a.tally(n, now), now
			}
			return err
		})
		if err != nil && (ctx.Err() != nil || !restarting(err)) {
			return err
		}
		p.set(int64(v.done+v.Dead), int64(n), "")
		if v.Waiting == 0 || limited.Err() != nil {
			p.end()
			return a.showFollowed(v, len(plan), found)
		}
		pause(limited)
	}
}

// patiently calls ask, and again while the service or the database of the outbox may be restarting, until ctx ends.
func (a *app) patiently(ctx context.Context, ask func() error) error {
	for noted := false; ; noted = true {
		err := ask()
		if !restarting(err) || ctx.Err() != nil {
			return err
		}
		if !noted {
			_, problem := knownProblem(err)
			a.note("the outbox is asked again until it answers: %s", problem)
		}
		pause(ctx)
	}
}

// pause waits a second, or for the end of ctx.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
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
		writeTable(w, eventColumns, found, a.eventCells)
		_, _ = fmt.Fprintf(w, "%s redriven: %d done, %d dead again, %d still waiting\n", count(v.Redriven, "dead letter"), v.done, v.Dead, v.Waiting)
	})
	if err == nil && v.Dead+v.Waiting > 0 {
		return errNeedsPerson
	}
	return err
}
