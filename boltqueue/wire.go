package boltqueue

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/fprom-go/fprom"
)

// What goes over the socket: HTTP with JSON. GET /status answers an fprom.QueueStats; the others are POST.
type (
	entriesAnswer struct {
		Events []wireEntry `json:"events"`
		Next   string      `json:"next,omitempty"` // for "after"; empty: that was all
	}
	putRequest struct {
		Messages []fprom.Message `json:"messages"`
	}
	forgetRequest struct {
		Customer string `json:"customer"`
	}
	historyRequest struct {
		From time.Time     `json:"from"`
		To   time.Time     `json:"to"`
		Step time.Duration `json:"step"` // nanoseconds
	}
	historyAnswer struct {
		Buckets []fprom.Bucket `json:"buckets"`
	}
	flushRequest struct {
		Deadline time.Time `json:"deadline,omitzero"`
	}
	numberAnswer struct {
		N int `json:"n"`
	}
	nothing struct{}
)

// wireEntry is an fprom.Entry in the JSON of the command line tool.
type wireEntry struct {
	Key           string        `json:"key"`
	Kind          string        `json:"kind"`
	State         fprom.State   `json:"state"`
	Outcome       fprom.Outcome `json:"outcome"`
	Amount        int64         `json:"amount"`
	Currency      string        `json:"currency"`
	Customer      string        `json:"customer"`
	Bulk          bool          `json:"bulk,omitzero"`
	RecordedAt    time.Time     `json:"recorded_at"`
	SettledAt     time.Time     `json:"settled_at,omitzero"`
	Attempts      int           `json:"attempts"`
	NextAttempt   time.Time     `json:"next_attempt,omitzero"`
	Reason        string        `json:"reason,omitempty"`
	StatusCode    int           `json:"status,omitzero"`
	ID            int64         `json:"id,omitzero"`
	Commissions   int           `json:"commissions"`
	CommissionIDs []int64       `json:"commission_ids,omitempty"`
	Damaged       bool          `json:"damaged,omitzero"`
	Cursor        string        `json:"cursor"`
}

// wireFilter is an fprom.Filter.
type wireFilter struct {
	Keys       []string      `json:"keys,omitempty"`
	State      fprom.State   `json:"state,omitempty"`
	Outcome    fprom.Outcome `json:"outcome,omitempty"`
	Kind       string        `json:"kind,omitempty"`
	Customer   string        `json:"customer,omitempty"`
	Since      time.Time     `json:"since,omitzero"`
	Until      time.Time     `json:"until,omitzero"`
	Reason     string        `json:"reason,omitempty"`
	StatusCode int           `json:"status,omitzero"`
	Limit      int           `json:"limit,omitzero"`
	After      string        `json:"after,omitempty"`
	Personal   bool          `json:"personal,omitzero"`
}

// wireError is the answer if something went wrong.
type wireError struct {
	Code    string   `json:"code"` // one of wireCodes, or empty
	Message string   `json:"message"`
	Keys    []string `json:"keys,omitempty"` // of a conflict
}

const codeConflict = "conflict"

// wireCodes are the errors that callers ask for.
var wireCodes = []struct {
	code   string
	status int
	err    error
}{
	{codeConflict, http.StatusConflict, fprom.ErrConflict},
	{"closed", http.StatusServiceUnavailable, fprom.ErrQueueClosed},
	{"not_due", http.StatusConflict, fprom.ErrNotDue},
	{"deadline", http.StatusGatewayTimeout, context.DeadlineExceeded},
	{"canceled", http.StatusServiceUnavailable, context.Canceled},
}

func toWire(err error) (int, wireError) {
	w := wireError{Message: err.Error()}
	if c, ok := errors.AsType[*fprom.ConflictError](err); ok {
		w.Keys = c.Keys
	}
	for _, c := range wireCodes {
		if errors.Is(err, c.err) {
			w.Code = c.code
			return c.status, w
		}
	}
	return http.StatusInternalServerError, w
}

// remoteError is an error of the service, with its text and one of wireCodes' errors within.
type remoteError struct {
	text string
	err  error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.err }

func (w wireError) err() error {
	if w.Code == codeConflict {
		return &fprom.ConflictError{Keys: w.Keys}
	}
	for _, c := range wireCodes {
		if c.code == w.Code {
			return &remoteError{w.Message, c.err}
		}
	}
	return errors.New(w.Message)
}
