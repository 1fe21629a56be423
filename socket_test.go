package fprom_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// wire is a server on a real socket that counts the connections.
type wire struct {
	*httptest.Server
	mu             sync.Mutex
	opened, closed int
	allClosed      chan struct{}
}

func newWire(t *testing.T, h http.HandlerFunc) *wire {
	t.Helper()
	w := &wire{Server: httptest.NewUnstartedServer(h), allClosed: make(chan struct{}, 100)}
	w.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch s {
		case http.StateNew:
			w.opened++
		case http.StateClosed:
			if w.closed++; w.closed == w.opened {
				w.allClosed <- struct{}{}
			}
		default:
		}
	}
	w.Start()
	t.Cleanup(w.Close)
	return w
}

func (w *wire) connections() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.opened
}

// overTheWire is a Config with the transport that a program gets without an HTTPClient.
func overTheWire(w *wire) fprom.Config {
	cfg := config(nil)
	cfg.HTTPClient, cfg.BaseURL, cfg.Breaker.Failures = nil, w.URL+"/track", 1000
	return cfg
}

// The next call goes over the same connection, whatever is answered, and Shutdown closes it.
func TestConnectionIsReused(t *testing.T) {
	t.Parallel()
	next := ok()
	w := newWire(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(next.status)
		_, _ = io.WriteString(w, next.body)
	})
	cfg := overTheWire(w)
	cfg.Dedupe.TTL = 1 // the same event again and again
	tracker := start(t, cfg)
	good := func() { // so that refusals are not in a row, which would pause the account
		next = ok()
		if got, err := tracker.Track(t.Context(), sale("good")); got.Outcome != fprom.Tracked {
			t.Errorf("%v, %v", got, err)
		}
	}
	good()
	calls := 0
	for _, v := range verdicts() {
		r := v.reply
		if r.err != nil || r.hang || r.stream != nil || len(r.body) > 1<<18 || v.pause > 0 || r.status == 408 {
			continue // these break the connection, or pause the account
		}
		calls++
		// On a busy machine net/http gives up a good connection now and then: it waits only 50 ms for its goroutine that wrote the request.
		reused := false
		for try := 0; try < 5 && !reused; try++ {
			before := w.connections()
			next = r
			if got, err := tracker.Track(t.Context(), v.sent()); got.StatusCode != r.status {
				t.Errorf("%s: %v, %v", v.name, got, err)
			}
			good()
			reused = w.connections() == before
		}
		if !reused {
			t.Errorf("%s: each time a new connection", v.name)
		}
	}
	if calls < 30 {
		t.Errorf("only %d answers were tried", calls)
	}
	if err := tracker.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	case <-w.allClosed:
	case <-time.After(10 * time.Second):
		t.Error("the connection is open after Shutdown")
	}
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
	closed := newWire(t, func(http.ResponseWriter, *http.Request) {})
	closed.Close()
	for _, url := range []string{closed.URL, secure.URL} {
		cfg := config(nil)
		cfg.HTTPClient, cfg.BaseURL = nil, url
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
		tracker := start(t, config(&http.Transport{Proxy: http.ProxyURL(address)}))
		r, err := tracker.Track(t.Context(), sale("x"))
		if err == nil || r.StatusCode != 0 || fprom.IsPermanent(err) || fprom.IsHeld(err) || !strings.Contains(err.Error(), "any proxy") {
			t.Errorf("%d: %v, %v", status, r, err)
		}
	}
}
