package fpromtest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// Transport returns a RoundTripper to the server without a socket. It answers a request in the goroutine that sends it, and ignores the
// host. Hanging and slow answers end with the request's context. It works in a testing/synctest bubble. Unlike http.Transport it never
// asks for compression.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ s *Server }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
	}
	ctx := r.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-t.s.closed:
		return nil, broken("dial", syscall.ECONNREFUSED)
	default:
	}
	rep, err := t.s.exchange(ctx, r)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil || rep.reset:
		return nil, broken("read", syscall.ECONNRESET)
	}
	resp := &http.Response{
		Status: fmt.Sprintf("%d %s", rep.status, http.StatusText(rep.status)), StatusCode: rep.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: rep.header.Clone(), Request: r, Body: http.NoBody,
	}
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	if rep.bodyAllowed() {
		resp.ContentLength = int64(len(rep.body))
		resp.Header.Set("Content-Length", strconv.Itoa(len(rep.body)))
		if r.Method != http.MethodHead {
			resp.Body = io.NopCloser(rep.reader(func(d time.Duration) error { return t.s.pause(ctx, d) }))
		}
	}
	return resp, nil
}

// broken returns the error of a broken connection, in the form of package net.
func broken(op string, errno syscall.Errno) error {
	return &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError(map[string]string{"dial": "connect", "read": "read"}[op], errno)}
}
