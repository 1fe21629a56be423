package fprom_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
)

// wire is a server on a real socket.
type wire struct{ *httptest.Server }

func newWire(t *testing.T, h http.HandlerFunc) *wire {
	t.Helper()
	w := &wire{httptest.NewServer(h)}
	t.Cleanup(w.Close)
	return w
}

// overTheWire is a Config with the transport that a program gets without an HTTPClient.
func overTheWire(w *wire) fprom.Config {
	cfg := config(nil)
	cfg.HTTPClient, cfg.BaseURL, cfg.Breaker.Failures, cfg.Timeout = nil, w.URL+"/track", 1000, time.Minute
	return cfg
}

// pipes is a way to a server without sockets, so that it lives in the time of a synctest bubble. It notes the connections.
type pipes struct {
	net.Listener
	accepts chan net.Conn
	closed  chan struct{}
	close   func()
	opened  atomic.Int32
	open    atomic.Int32
}

// pipe is the client's end of a connection.
type pipe struct {
	net.Conn
	close func() error
}

func (p pipe) Close() error { return p.close() }

func newPipes() *pipes {
	p := &pipes{accepts: make(chan net.Conn), closed: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	return p
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.accepts <- server:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.opened.Add(1)
	p.open.Add(1)
	return pipe{client, sync.OnceValue(func() error { p.open.Add(-1); return client.Close() })}, nil
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepts:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.close(); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// with returns a Tracker that has the transport of a program without an HTTPClient, but for what change changes. Such a test cannot be
// parallel: nobody else may see the change.
func with(t *testing.T, cfg fprom.Config, change func(*http.Transport)) *fprom.Tracker {
	t.Helper()
	before := http.DefaultTransport
	changed := before.(*http.Transport).Clone()
	change(changed)
	http.DefaultTransport = changed // the Tracker's own is a copy of it
	defer func() { http.DefaultTransport = before }()
	cfg.HTTPClient = nil
	return start(t, cfg)
}

// The next call goes over the same connection, whatever is answered, and Shutdown closes it. In a bubble, because net/http gives up a
// good connection if its goroutine that wrote the request is late by 50 ms.
func TestConnectionIsReused(t *testing.T) { //nolint:paralleltest // see with
	synctest.Test(t, func(t *testing.T) {
		next, way := ok(), newPipes()
		server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(next.status)
			_, _ = io.WriteString(w, next.body)
		})}
		go func() { _ = server.Serve(way) }()
		t.Cleanup(func() { _ = server.Close() })
		cfg := config(nil)
		cfg.BaseURL, cfg.Breaker.Failures = "http://127.0.0.1:1/track", 1000
		cfg.Dedupe.TTL = time.Millisecond // the same event again and again
		tracker := with(t, cfg, func(tr *http.Transport) { tr.DialContext = way.dial })
		good := func() { // so that refusals are not in a row, which would pause the account
			time.Sleep(time.Second)
			next = ok()
			if got, err := tracker.Track(t.Context(), sale("good")); got.Outcome != fprom.Tracked {
				t.Errorf("%v, %v", got, err)
			}
		}
		good()
		calls := 0
		for _, v := range verdicts() {
			if r := v.reply; r.err != nil || r.hang || r.stream != nil || len(r.body) > 1<<18 || v.pause > 0 || r.status == 408 {
				continue // these break the connection, or pause the account
			}
			calls++
			next = v.reply
			if got, err := tracker.Track(t.Context(), v.sent()); got.StatusCode != v.reply.status {
				t.Errorf("%s: %v, %v", v.name, got, err)
			}
			good()
			if n := way.opened.Swap(1); n != 1 {
				t.Errorf("%s: a new connection", v.name)
			}
		}
		if calls < 30 {
			t.Errorf("only %d answers were tried", calls)
		}
		if err := tracker.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := way.open.Load(); n != 0 {
			t.Errorf("%d connections are open after Shutdown", n)
		}
	})
}

// What no HTTP library would write.
func TestRawAnswers(t *testing.T) {
	t.Parallel()
	object := `{"id":7,"event_id":"x"}`
	rest := `{"promoter":{"password":"hunter2"}}` // of an answer that was longer than its Content-Length
	tests := map[string]struct {
		raw  string
		want fprom.Outcome
	}{
		"early hints":      {"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n" + object, fprom.Tracked},
		"until the end":    {"HTTP/1.0 200 OK\r\n\r\n" + object, fprom.Tracked},
		"nothing":          {"", fprom.Undelivered},
		"no HTTP":          {"SSH-2.0-OpenSSH_9.6 " + apiKey + "\r\n", fprom.Undelivered},
		"huge header":      {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\nContent-Length: 23\r\n\r\n" + object, fprom.Undelivered},
		"broken header":    {"HTTP/1.1 200 OK\r\n" + secretEmail + "\r\n\r\n", fprom.Undelivered},
		"cut":              {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + object, fprom.Undelivered},
		"cut chunk":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n17\r\n" + object, fprom.Undelivered},
		"junk chunk":       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + secretEmail + "\r\n", fprom.Undelivered},
		"status of junk":   {"HTTP/1.1 2OO OK\r\n\r\n" + object, fprom.Undelivered},
		"switch protocols": {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + object, fprom.Undelivered},
		"rest of another":  {rest + "\r\n\r\n", fprom.Undelivered},
		"rest as a header": {"HTTP/1.1 200 OK\r\n" + strings.ReplaceAll(rest, ":", "=") + "\r\n\r\n", fprom.Undelivered},
		"two lengths":      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 23\r\n\r\n" + object, fprom.Undelivered},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.WriteString(conn, test.raw)
				_ = conn.Close()
			})
			tracker := start(t, overTheWire(w))
			r, err := tracker.Track(t.Context(), sale("x"))
			if r.Outcome != test.want || (err == nil) != (test.want == fprom.Tracked) || fprom.IsPermanent(err) {
				t.Errorf("Track: %v, %v", r.Outcome, err)
			}
			if err != nil {
				checkSecrets(t, "error", err.Error())
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows what was answered: %v", err)
			}
		})
	}
}

// A redirect shows the key to nobody, and turns no POST into a GET that ends well.
func TestRedirectOverTheWire(t *testing.T) {
	t.Parallel()
	var followed []string
	trap := newWire(t, func(w http.ResponseWriter, r *http.Request) {
		followed = append(followed, r.Method+" "+r.URL.Path)
		_, _ = io.WriteString(w, okBody)
	})
	for _, status := range []int{301, 302, 303, 307, 308} {
		w := newWire(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, trap.URL+"/track/sale", status)
		})
		tracker := start(t, overTheWire(w))
		if r, err := tracker.Track(t.Context(), sale("x")); err == nil || r.StatusCode != status {
			t.Errorf("%d: %v, %v", status, r, err)
		}
	}
	if len(followed) > 0 {
		t.Errorf("followed: %v", followed)
	}
}

// The network fails: nothing listens, the name is unknown, the certificate is not trusted.
func TestNetworkFails(t *testing.T) {
	t.Parallel()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	secure.Config.ErrorLog = nil
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", newWire(t, nil).Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	nobody := "http://" + conn.LocalAddr().String() // while it is in use, nobody else listens there
	for _, url := range []string{nobody, secure.URL} {
		cfg := config(nil)
		cfg.HTTPClient, cfg.BaseURL, cfg.Timeout = nil, url, time.Minute
		tracker := start(t, cfg)
		r, err := tracker.Track(t.Context(), sale("x"))
		if err == nil || r.Outcome != fprom.Undelivered || r.StatusCode != 0 || fprom.IsPermanent(err) || errors.Is(err, fprom.ErrUnauthorized) {
			t.Errorf("Track: %v, %v", r, err)
		}
	}
}

// TestProxyRefuses: the words of a proxy that refuses the tunnel may stand alone. The error says whose they may be.
func TestProxyRefuses(t *testing.T) {
	t.Parallel()
	for _, status := range []int{403, 407, 429, 502} {
		proxy := newWire(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		address, err := url.Parse(proxy.URL)
		if err != nil {
			t.Fatal(err)
		}
		cfg := config(&http.Transport{Proxy: http.ProxyURL(address)})
		cfg.Timeout = time.Minute
		tracker := start(t, cfg)
		r, err := tracker.Track(t.Context(), sale("x"))
		if err == nil || r.StatusCode != 0 || fprom.IsPermanent(err) || fprom.IsHeld(err) || !strings.Contains(err.Error(), "any proxy") {
			t.Errorf("%d: %v, %v", status, r, err)
		}
	}
}
