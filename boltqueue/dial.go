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
	"slices"
	"sync/atomic"
	"time"

	"github.com/fprom-go/fprom"
)

// ErrServed is returned by Run of an outbox that Dial returned.
var ErrServed = errors.New("fprom: the service that has the outbox open delivers its events; Run is for the process that opened the file")

const dialTimeout = 2 * time.Second

// remote is an outbox that another process has open, used through its socket.
type remote struct {
	path   string
	client *http.Client
	closed atomic.Bool
}

var _ fprom.Outbox = (*remote)(nil)

// Dial returns the outbox in the file at path, which another process has open, through the socket of that process. All methods
// work as in that process and under its rate limit, except Run, which returns ErrServed. Close only closes this Outbox. Dial
// returns an error if no process serves the file: then use Open.
func Dial(path string) (fprom.Outbox, error) {
	r := &remote{path: path, client: &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true, // the next call may meet another process
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", socketOf(path))
			},
		},
	}}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	if _, err := r.Stats(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// OpenOrDial opens the file at path, or dials the process that has it open. It tries for about a second, or as long as WithWait
// says. If neither works, the error wraps ErrLocked.
func OpenOrDial(path string, opts ...Option) (fprom.Outbox, error) {
	waiting := newQueue(path, opts)
	end := time.Now().Add(waiting.wait)
	for try := 0; ; try++ {
		q, err := Open(path, append(slices.Clip(opts), WithWait(0))...)
		if err == nil {
			return q, nil
		}
		if !errors.Is(err, ErrLocked) {
			return nil, err
		}
		r, dialErr := Dial(path)
		if dialErr == nil {
			return r, nil
		}
		if try >= 3 && time.Now().After(end) { // the other process had the time to open its socket, or to end
			return nil, errors.Join(err, dialErr)
		}
		if try == 0 {
			waiting.logWait()
		}
	}
}

func (r *remote) call(ctx context.Context, operation string, request wireRequest) (answer wireAnswer, err error) {
	if r.closed.Load() {
		return answer, fprom.ErrQueueClosed
	}
	body, err := json.Marshal(request)
	if err != nil {
		return answer, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://outbox/"+operation, bytes.NewReader(body))
	if err != nil {
		return answer, err
	}
	res, err := r.client.Do(req)
	if err == nil {
		defer func() { _ = res.Body.Close() }()
		err = json.NewDecoder(res.Body).Decode(&answer)
	}
	switch {
	case ctx.Err() != nil:
		return answer, fmt.Errorf("fprom: the service of the outbox %q has not answered: %w", r.path, ctx.Err())
	case res == nil:
		return answer, fmt.Errorf("fprom: no service answers for the outbox %q; if none runs, open the file: %w", r.path, err)
	case err != nil:
		return answer, fmt.Errorf("fprom: the service of the outbox %q has ended during its answer, or is of another release: %w", r.path, err)
	}
	return answer, answer.err()
}

func (r *remote) Put(ctx context.Context, ms ...fprom.Message) error {
	_, err := r.call(ctx, "put", wireRequest{Messages: ms})
	return err
}

func (r *remote) Run(context.Context, int, func(context.Context, fprom.Message) (fprom.Result, error)) error {
	return ErrServed
}

func (r *remote) Flush(ctx context.Context) error {
	deadline, _ := ctx.Deadline()
	_, err := r.call(ctx, "flush", wireRequest{Deadline: deadline})
	return err
}

func (r *remote) Stats(ctx context.Context) (s fprom.QueueStats, err error) {
	a, err := r.call(ctx, "status", wireRequest{})
	if a.QueueStats != nil {
		s = *a.QueueStats
	}
	return s, err
}

func (r *remote) Close() error {
	r.closed.Store(true)
	return nil
}

func (r *remote) Entries(ctx context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error] {
	return func(yield func(fprom.Entry, error) bool) {
		f := f // the caller may range again
		for {
			a, err := r.call(ctx, "entries", wireRequest{Filter: f})
			if err != nil {
				yield(fprom.Entry{}, err)
				return
			}
			for _, e := range a.Events {
				if !yield(e, nil) {
					return
				}
			}
			if a.Next == "" {
				return
			}
			f.After = a.Next
			if f.Limit > 0 {
				f.Limit -= len(a.Events)
			}
		}
	}
}

func (r *remote) Redrive(ctx context.Context, f fprom.Filter) (int, error) {
	a, err := r.call(ctx, "redrive", wireRequest{Filter: f})
	return a.N, err
}

func (r *remote) Drop(ctx context.Context, f fprom.Filter) (int, error) {
	a, err := r.call(ctx, "drop", wireRequest{Filter: f})
	return a.N, err
}

func (r *remote) Forget(ctx context.Context, customer string) (int, error) {
	a, err := r.call(ctx, "forget", wireRequest{Filter: fprom.Filter{Customer: customer}})
	return a.N, err
}

func (r *remote) History(ctx context.Context, from, to time.Time, step time.Duration) ([]fprom.Bucket, error) {
	a, err := r.call(ctx, "history", wireRequest{From: from, To: to, Step: step})
	return a.Buckets, err
}
