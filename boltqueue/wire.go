package boltqueue

import (
	"context"
	"errors"
	"time"

	"github.com/fprom-go/fprom"
)

// wireRequest is what goes over the socket: HTTP with JSON. GET /status has none.
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

// wireCodes are the errors that callers ask for.
var wireCodes = map[string]error{
	"conflict": fprom.ErrConflict, "closed": fprom.ErrQueueClosed, "not_due": fprom.ErrNotDue,
	"deadline": context.DeadlineExceeded, "canceled": context.Canceled,
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
	case known == nil:
		return errors.New(a.Error)
	case errors.Is(known, fprom.ErrConflict):
		return &fprom.ConflictError{Keys: a.Keys}
	default:
		return &remoteError{a.Error, known}
	}
}

// remoteError is an error of the service, with its text.
type remoteError struct {
	text  string
	known error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.known }
