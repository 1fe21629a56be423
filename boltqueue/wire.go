package boltqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fprom-go/fprom"
)

// wireRequest is what goes over the socket: HTTP with JSON.
type wireRequest struct {
	fprom.Filter                 // entries, redrive, drop; forget takes the customer
	Messages     []fprom.Message `json:"messages,omitempty"` // put
	From         time.Time       `json:"from,omitzero"`      // history
	To           time.Time       `json:"to,omitzero"`
	Step         time.Duration   `json:"step,omitzero"`     // nanoseconds
	Deadline     time.Time       `json:"deadline,omitzero"` // flush
}

// wireAnswer is the answer to each of them.
type wireAnswer struct {
	*fprom.QueueStats                // status
	Events            []fprom.Entry  `json:"events,omitempty"`
	Next              string         `json:"next,omitempty"` // for "after"; empty: those were all
	N                 int            `json:"n,omitzero"`     // how many were changed
	Buckets           []fprom.Bucket `json:"buckets,omitempty"`
	Error             string         `json:"error,omitempty"`
	Code              string         `json:"code,omitempty"` // one of wireCodes
	Keys              []string       `json:"keys,omitempty"` // of a conflict
}

// operation does what a request asks for.
type operation func(context.Context, *Queue, wireRequest, *wireAnswer) error

// operations are those that the socket serves, by their path.
var operations = map[string]operation{
	"status": func(ctx context.Context, q *Queue, _ wireRequest, a *wireAnswer) error {
		s, err := q.status(ctx)
		a.QueueStats = &s
		return err
	},
	"entries": func(ctx context.Context, q *Queue, r wireRequest, a *wireAnswer) error {
		limit := r.Limit
		if limit <= 0 || limit > socketEntries {
			r.Limit = socketEntries
		}
		for e, err := range q.Entries(ctx, r.Filter) {
			if err != nil {
				return err
			}
			a.Events = append(a.Events, e)
		}
		if n := len(a.Events); n == r.Limit && n != limit {
			a.Next = a.Events[n-1].Cursor
		}
		return nil
	},
	"history": func(ctx context.Context, q *Queue, r wireRequest, a *wireAnswer) (err error) {
		a.Buckets, err = q.History(ctx, r.From, r.To, r.Step)
		return err
	},
	"flush": func(ctx context.Context, q *Queue, r wireRequest, _ *wireAnswer) error {
		if !r.Deadline.IsZero() {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, r.Deadline)
			defer cancel()
		}
		return q.Flush(ctx)
	},
	"put": func(ctx context.Context, q *Queue, r wireRequest, _ *wireAnswer) error {
		return q.Put(ctx, r.Messages...)
	},
	"redrive": func(ctx context.Context, q *Queue, r wireRequest, a *wireAnswer) (err error) {
		a.N, err = q.Redrive(ctx, r.Filter)
		return err
	},
	"drop": func(ctx context.Context, q *Queue, r wireRequest, a *wireAnswer) (err error) {
		a.N, err = q.Drop(ctx, r.Filter)
		return err
	},
	"forget": func(ctx context.Context, q *Queue, r wireRequest, a *wireAnswer) (err error) {
		a.N, err = q.Forget(ctx, r.Customer)
		return err
	},
}

// wireCodes are the errors that callers ask for.
var wireCodes = map[string]error{
	"closed": fprom.ErrQueueClosed, "not_due": fprom.ErrNotDue, "deadline": context.DeadlineExceeded,
}

func (a *wireAnswer) fail(err error) {
	a.Error = err.Error()
	for code, known := range wireCodes {
		if errors.Is(err, known) {
			a.Code = code
		}
	}
	if c, ok := errors.AsType[*fprom.ConflictError](err); ok {
		a.Keys = c.Keys
	}
}

func (a *wireAnswer) err() error {
	switch known := wireCodes[a.Code]; {
	case a.Error == "":
		return nil
	case len(a.Keys) > 0:
		return &fprom.ConflictError{Keys: a.Keys}
	case known != nil:
		return fmt.Errorf("%w: the service of the outbox says: %s", known, a.Error)
	default:
		return errors.New(a.Error)
	}
}
