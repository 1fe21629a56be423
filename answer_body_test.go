package fprom_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// broken is a body that breaks off after text.
func broken(text string) io.ReadCloser {
	return io.NopCloser(io.MultiReader(strings.NewReader(text), failing{}))
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// endless is a body without end that counts what is read of it.
type endless struct {
	read   atomic.Int64
	closed atomic.Bool
	pause  time.Duration
}

func (b *endless) Read(p []byte) (int, error) {
	time.Sleep(b.pause)
	b.read.Add(int64(len(p)))
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func (b *endless) Close() error {
	b.closed.Store(true)
	return nil
}

func TestBodiesAreReadWithABound(t *testing.T) {
	for _, status := range []int{200, 201, 204, 302, 400, 401, 404, 409, 429, 500, 503} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				body := &endless{}
				tracker := start(t, config(always(reply{status: status, stream: body})))
				if r, err := tracker.Track(t.Context(), sale("ch_1")); r.Outcome == fprom.Tracked || r.Outcome == fprom.Rejected {
					t.Errorf("Track: %v, %v", r, err)
				}
				if n := body.read.Load(); n > 1<<20 {
					t.Errorf("%d bytes were read", n)
				}
				if !body.closed.Load() {
					t.Error("the body was not closed")
				}
			})
		})
	}
}

// counted is a body that says whether it was read to its end.
type counted struct {
	io.Reader
	ended, closed atomic.Bool
}

func (b *counted) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.ended.Store(errors.Is(err, io.EOF))
	return n, err
}

func (b *counted) Close() error {
	b.closed.Store(true)
	return nil
}

// A body that is not read to its end costs the connection.
func TestBodiesAreDrainedAndClosed(t *testing.T) {
	t.Parallel()
	for _, v := range verdicts() {
		if v.reply.err != nil || v.reply.hang || v.reply.stream != nil || len(v.reply.body) > 1<<18 {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := v.reply
				body := &counted{Reader: strings.NewReader(r.body)}
				r.stream = body
				tracker := start(t, config(always(r)))
				_, _ = tracker.Track(t.Context(), v.sent())
				if !body.ended.Load() || !body.closed.Load() {
					t.Errorf("read to its end: %v, closed: %v", body.ended.Load(), body.closed.Load())
				}
			})
		})
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A body that comes in drops is bounded by Timeout like the rest of the attempt.
func TestSlowBodyEndsWithTheTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tracker := start(t, config(transportFunc(func(r *http.Request) (*http.Response, error) {
			pr, pw := io.Pipe()
			go func() { // as net/http does: the body ends with the request's context
				<-r.Context().Done()
				pw.CloseWithError(r.Context().Err())
			}()
			return &http.Response{StatusCode: http.StatusOK, Body: pr}, nil
		})))
		begin := time.Now()
		if r, err := tracker.Track(t.Context(), sale("ch_1")); err == nil || r.Outcome != fprom.Undelivered {
			t.Errorf("Track: %v, %v", r.Outcome, err)
		}
		if d := time.Since(begin); d > 11*time.Second {
			t.Errorf("the attempt took %v", d)
		}
	})
}

// After a 101 net/http leaves the connection to the caller, and no context ends its body.
func TestSwitchedProtocolHoldsNoWorker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		body, silent := io.Pipe() // nothing comes until it is closed
		defer silent.Close()
		tracker := start(t, config(transportFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: body}, nil
		})))
		if r, err := tracker.Track(t.Context(), sale("x")); r.StatusCode != http.StatusSwitchingProtocols || err == nil || fprom.IsPermanent(err) {
			t.Errorf("Track: %+v, %v", r, err)
		}
	})
}

// Stand-ins for a transport leave things out that net/http's never does.
func TestSloppyTransports(t *testing.T) {
	tests := map[string]struct {
		response *http.Response
		want     fprom.Outcome
	}{
		"no body":     {&http.Response{StatusCode: http.StatusNoContent}, fprom.NotReferral},
		"no body 200": {&http.Response{StatusCode: http.StatusOK}, fprom.Undelivered},
		"nothing":     {nil, fprom.Undelivered},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				tracker := start(t, config(transportFunc(func(*http.Request) (*http.Response, error) {
					return test.response, nil
				})))
				if r, err := tracker.Track(t.Context(), sale("ch_1")); r.Outcome != test.want {
					t.Errorf("Track: %v, %v; want %v", r.Outcome, err, test.want)
				}
			})
		})
	}
}
