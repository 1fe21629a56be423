package boltqueue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
)

// wireRequest is the body of a request. The comments name the operations that use a field.
type wireRequest struct {
	fprom.Filter                 // entries, redrive, drop; forget uses only the customer
	Messages     []fprom.Message `json:"messages,omitempty"` // put
	From         time.Time       `json:"from,omitzero"`      // history
	To           time.Time       `json:"to,omitzero"`
	Step         time.Duration   `json:"step,omitzero"`     // nanoseconds
	Deadline     time.Time       `json:"deadline,omitzero"` // flush
}

// wireAnswer is the body of an answer.
type wireAnswer struct {
	*fprom.QueueStats                // status
	Events            []fprom.Entry  `json:"events,omitempty"`
	Next              string         `json:"next,omitempty"` // Filter.After of the next request; empty at the end
	N                 int            `json:"n,omitzero"`     // how many events were changed
	Buckets           []fprom.Bucket `json:"buckets,omitempty"`
	Error             string         `json:"error,omitempty"`
	Keys              []string       `json:"keys,omitempty"` // of a conflict
}

// operations are the paths of the socket, with the pause after each call. That of status is short, since every Dial calls it.
var operations = map[string]time.Duration{
	"status": 5 * time.Millisecond, "entries": 20 * time.Millisecond, "history": 20 * time.Millisecond,
	"put": 0, "redrive": 0, "drop": 0, "forget": 0, "flush": 0,
}

func (q *Queue) operate(ctx context.Context, operation string, r wireRequest) (a wireAnswer, err error) {
	switch operation {
	case "status":
		var s fprom.QueueStats
		s, err = q.status(ctx)
		a.QueueStats = &s
	case "entries":
		f := r.Filter
		if f.Limit <= 0 || f.Limit > socketEntries {
			f.Limit = socketEntries
		}
		for e, failure := range q.Entries(ctx, f) {
			a.Events, err = append(a.Events, e), failure
		}
		if n := len(a.Events); n == f.Limit && n != r.Limit {
			a.Next = a.Events[n-1].Cursor
		}
	case "history":
		a.Buckets, err = q.History(ctx, r.From, r.To, r.Step)
	case "put":
		err = q.Put(ctx, r.Messages...)
	case "redrive":
		a.N, err = q.Redrive(ctx, r.Filter)
	case "drop":
		a.N, err = q.Drop(ctx, r.Filter)
	case "forget":
		a.N, err = q.Forget(ctx, r.Customer)
	case "flush":
		if !r.Deadline.IsZero() {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, r.Deadline)
			defer cancel()
		}
		err = q.Flush(ctx)
	}
	return a, err
}

// sharedErrors keep their identity over the socket. The client recognises them by their text.
var sharedErrors = []error{fprom.ErrQueueClosed, fprom.ErrNotDue, context.DeadlineExceeded}

func (a *wireAnswer) fail(err error) {
	if err != nil {
		a.Error = err.Error()
	}
	if c, ok := errors.AsType[*fprom.ConflictError](err); ok {
		a.Keys = c.Keys
	}
}

func (a *wireAnswer) err() error {
	if a.Error == "" {
		return nil
	}
	if len(a.Keys) > 0 {
		return &fprom.ConflictError{Keys: a.Keys}
	}
	for _, err := range sharedErrors {
		if strings.Contains(a.Error, err.Error()) {
			return fmt.Errorf("%w: the service of the outbox says: %s", err, a.Error)
		}
	}
	return errors.New(a.Error)
}
