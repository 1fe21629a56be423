package boltqueue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/paging"
)

// ErrServed is returned by Run of an outbox that Dial returned.
var ErrServed = errors.New("fprom: the service that has the outbox open delivers its events; Run is for the process that opened the file")

// remote is an outbox that another process serves.
type remote struct {
	path   string // of its file
	client *http.Client
	closed atomic.Bool
}

// Dial returns the outbox in the file at path, which another process has open, through the socket of that process. All methods
// work as in that process and under its rate limit, except Run, which returns ErrServed: feed it with Put and fprom.NewMessage, not
// with a Tracker. Close only closes this Outbox. Dial fails if no process serves the file (then use Open), or if none answers in ten seconds.
func Dial(path string) (fprom.Outbox, error) { return dial(path, 10*time.Second) } // a busy machine may need some of them

func dial(path string, patience time.Duration) (fprom.Outbox, error) {
	r := &remote{path: path, client: &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, // the next call may meet another process
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socketOf(path))
		},
	}}}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := r.Stats(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// OpenOrDial opens the file at path, or dials the process that has it open. It tries for a second, or as long as WithWait says, and
// waits for an answer as Dial does. If neither works, the error wraps ErrLocked.
func OpenOrDial(path string, opts ...Option) (fprom.Outbox, error) {
	q := newQueue(path, opts)
	box := fprom.Outbox(q)
	err := q.await(func() error {
		err := q.open()
		if !errors.Is(err, ErrLocked) {
			return err
		}
		r, dialErr := Dial(path)
		if dialErr != nil {
			return errors.Join(err, dialErr)
		}
		box = r
		return nil
	})
	if err != nil {
		return nil, err
	}
	return box, nil
}

func call[A any](ctx context.Context, r *remote, operation string, question any) (answer A, err error) {
	if r.closed.Load() {
		return answer, fprom.ErrQueueClosed
	}
	body, err := json.Marshal(question)
	req, reqErr := http.NewRequestWithContext(ctx, http.MethodPost, "http://outbox/"+operation, bytes.NewReader(body))
	if err := errors.Join(err, reqErr); err != nil {
		return answer, err
	}
	refusal := failure{Answer: &answer}
	res, err := r.client.Do(req)
	if err == nil {
		defer func() { _ = res.Body.Close() }()
		var into any = &answer
		if res.StatusCode != http.StatusOK {
			into = &refusal
		}
		err = json.NewDecoder(res.Body).Decode(into)
	}
	switch {
	case ctx.Err() != nil:
		return answer, fmt.Errorf("fprom: the service of the outbox %q has not answered: %w", r.path, ctx.Err())
	case res == nil:
		return answer, fmt.Errorf("fprom: no service answers for the outbox %q; if none runs, open the file: %w", r.path, err)
	case err != nil:
		return answer, fmt.Errorf("fprom: the service of the outbox %q has ended during its answer, or is of another release: %w", r.path, err)
	}
	return answer, refusal.err()
}

func (r *remote) Put(ctx context.Context, ms ...fprom.Message) error {
	_, err := call[struct{}](ctx, r, "put", ms)
	return err
}

func (r *remote) Run(context.Context, int, func(context.Context, fprom.Message) (fprom.Result, error)) error {
	return ErrServed
}

func (r *remote) Flush(ctx context.Context) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().AddDate(1, 0, 0)
	}
	_, err := call[struct{}](ctx, r, "flush", deadline)
	return err
}

func (r *remote) Stats(ctx context.Context) (fprom.QueueStats, error) {
	return call[fprom.QueueStats](ctx, r, "status", struct{}{})
}

func (r *remote) Close() error {
	r.closed.Store(true)
	return nil
}

func (r *remote) Entries(ctx context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error] {
	return paging.Entries(f, maxEntries, func(f fprom.Filter) ([]fprom.Entry, error) {
		return call[[]fprom.Entry](ctx, r, "entries", f)
	})
}

func (r *remote) Redrive(ctx context.Context, f fprom.Filter) (int, error) {
	return call[int](ctx, r, "redrive", f)
}

func (r *remote) Drop(ctx context.Context, f fprom.Filter) (int, error) {
	return call[int](ctx, r, "drop", f)
}

func (r *remote) Forget(ctx context.Context, customer string) (int, error) {
	return call[int](ctx, r, "forget", customer)
}

func (r *remote) History(ctx context.Context, from, to time.Time, step time.Duration) ([]fprom.Bucket, error) {
	return call[[]fprom.Bucket](ctx, r, "history", period{from, to, step})
}

// period is the question of history.
type period struct {
	From time.Time     `json:"from"`
	To   time.Time     `json:"to"`
	Step time.Duration `json:"step"` // nanoseconds
}

// failure is an error on the wire.
type failure struct {
	Error    string                 `json:"error"`
	Conflict *fprom.ConflictError   `json:"conflict,omitempty"`
	Invalid  *fprom.ValidationError `json:"invalid,omitempty"`
	Answer   any                    `json:"answer,omitempty"` // such as how many events were changed before
}

// shared are the errors that keep their identity over the socket: the other side recognizes their text.
var shared = []error{fprom.ErrQueueClosed, fprom.ErrNotDue, context.DeadlineExceeded}

func (f failure) err() error {
	switch {
	case f.Error == "":
		return nil
	case f.Invalid != nil:
		return f.Invalid
	case f.Conflict != nil:
		return f.Conflict
	}
	for _, err := range shared {
		if strings.Contains(f.Error, err.Error()) {
			return fmt.Errorf("%w: the service of the outbox says: %s", err, f.Error)
		}
	}
	return errors.New(f.Error)
}
