package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
)

// withBackfillOutbox opens the outbox for f. Only --deliver makes one that is missing: of a wrong path nobody else would
// ever deliver.
func (a *app) withBackfillOutbox(ctx context.Context, flags backfillFlags, f func(fprom.Outbox) error) error {
	where, err := a.location()
	if err != nil {
		return err
	}
	if _, err := os.Stat(where); isDatabase(where) || !flags.deliver || !errors.Is(err, fs.ErrNotExist) {
		return a.withOutbox(ctx, f)
	}
	if flags.dry { // nothing is made: an empty one elsewhere has the same answers
		dir, err := os.MkdirTemp("", "fprom")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		where = filepath.Join(dir, "fprom.db")
	}
	box, err := boltqueue.OpenOrDial(where, boltqueue.WithLogger(a.logger()))
	if err != nil {
		return failed("%w", err)
	}
	return errors.Join(f(box), box.Close())
}

// deliverer delivers the outbox in this process if that is asked for and nobody else does. The function ends it.
func (a *app) deliverer(ctx context.Context, box fprom.Outbox, flags backfillFlags) (stop func(), err error) {
	if !flags.deliver || flags.dry {
		return func() {}, nil
	}
	s, err := box.Stats(ctx)
	if err != nil {
		return nil, err
	}
	if s.Delivering {
		a.note("a service delivers this outbox: --deliver is not needed")
		return func() {}, nil
	}
	t, err := fprom.New(fprom.Config{Queue: box, RequestsPerMinute: flags.rate, Logger: a.logger()})
	if err != nil {
		return nil, credentialsError(err)
	}
	return func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
		defer cancel()
		if err := t.Shutdown(end); err != nil {
			a.note("%v", err)
		}
	}, nil
}

// credentialsError is an error of New: a setting is missing or wrong.
func credentialsError(err error) error { return usage("%w; fprom doctor checks all settings", err) }
