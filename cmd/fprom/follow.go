package main

import (
	"context"
	"iter"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
)

// followed are redriven events and their outcomes. Another process may have redriven some of them.
type followed struct {
	waiting, dead, done int
	found               []fprom.Entry
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

// follow waits for the outcomes of the n redriven events of plan, at most so long.
func (a *app) follow(ctx context.Context, box fprom.Outbox, plan []fprom.Entry, n int, most time.Duration) (followed, error) {
	v := followed{waiting: n}
	f := fprom.Filter{Personal: a.personal}
	for _, e := range plan {
		f.Keys = append(f.Keys, e.Key)
	}
	p := a.progress("outcomes")
	defer p.end()
	limited, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		err := a.patiently(limited, func() error {
			now, err := entries(box.Entries(ctx, f))
			if err == nil {
				v = tally(now)
			}
			return err
		})
		if err != nil && (ctx.Err() != nil || !restarting(err)) {
			return v, err
		}
		p.set(int64(v.done+v.dead), int64(n), "")
		if v.waiting == 0 || limited.Err() != nil {
			return v, nil
		}
		pause(limited, time.Second)
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
			a.note("the outbox is asked again until it answers: %s", problemOf(err).what)
		}
		pause(ctx, time.Second)
	}
}

// patient is an outbox whose Put and Entries go on if its service or its database restarts, for at most so long.
type patient struct {
	fprom.Outbox
	a    *app
	most time.Duration
}

func (p patient) ask(ctx context.Context, ask func() error) error {
	limited, cancel := context.WithTimeout(ctx, p.most)
	defer cancel()
	return p.a.patiently(limited, ask)
}

// Put stores nothing twice, also if only its answer was lost.
func (p patient) Put(ctx context.Context, ms ...fprom.Message) error {
	return p.ask(ctx, func() error { return p.Outbox.Put(ctx, ms...) })
}

// Entries is for filters without a Limit.
func (p patient) Entries(ctx context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error] {
	return func(yield func(fprom.Entry, error) bool) {
		f := f // the caller may range again
		err := p.ask(ctx, func() error {
			for e, err := range p.Outbox.Entries(ctx, f) {
				if err != nil || !yield(e, nil) {
					return err
				}
				f.After = e.Cursor
			}
			return nil
		})
		if err != nil {
			yield(fprom.Entry{}, err)
		}
	}
}

// idle reports whether nobody delivers box. A service that starts or ends delivers nothing for a moment, so idle asks for some seconds,
// unless this process has the file.
func (a *app) idle(ctx context.Context, box fprom.Outbox) bool {
	_, own := box.(*boltqueue.Queue)
	for left := 5; ; left-- {
		s, err := box.Stats(ctx)
		if err != nil || s.Delivering || own || left == 0 {
			return err == nil && !s.Delivering
		}
		pause(ctx, time.Second)
	}
}

// pause waits for d, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func tally(found []fprom.Entry) followed {
	v := followed{found: found}
	for _, e := range found {
		switch e.State {
		case fprom.StateWaiting:
			v.waiting++
		case fprom.StateDead:
			v.dead++
		case fprom.StateDone:
			v.done++
		}
	}
	return v
}
