package main

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
)

// figures is an Outbox of which only the counters can be read.
type figures struct {
	fprom.Queue
	stats func(context.Context) (fprom.QueueStats, error)
}

var errFiguresOnly = errors.New("the queues of this release tell their counters only")

func (f figures) Stats(ctx context.Context) (fprom.QueueStats, error) { return f.stats(ctx) }

func (f figures) Entries(context.Context, fprom.Filter) iter.Seq2[fprom.Entry, error] {
	return func(yield func(fprom.Entry, error) bool) { yield(fprom.Entry{}, errFiguresOnly) }
}
func (f figures) Redrive(context.Context, fprom.Filter) (int, error) { return 0, errFiguresOnly }
func (f figures) Drop(context.Context, fprom.Filter) (int, error)    { return 0, errFiguresOnly }
func (f figures) Put(context.Context, ...fprom.Message) error        { return errFiguresOnly }
func (f figures) Forget(context.Context, string) (int, error)        { return 0, errFiguresOnly }
func (f figures) Close() error                                       { return nil }
func (f figures) History(context.Context, time.Time, time.Time, time.Duration) ([]fprom.Bucket, error) {
	return nil, errFiguresOnly
}

func inspected(path string) (fprom.Outbox, error) {
	stats := func(context.Context) (fprom.QueueStats, error) {
		i, err := boltqueue.Inspect(path)
		return i.QueueStats, err
	}
	_, err := stats(context.Background())
	return figures{stats: stats}, err
}
