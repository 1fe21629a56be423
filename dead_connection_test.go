package fprom_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// forgetful is a way to a server, such as a NAT, that forgets its connections: then nothing arrives over them any more,
// and nobody is told.
type forgetful struct {
	net.Listener
	to string

	mu    sync.Mutex
	stale []chan struct{}
}

// forget silences the connections there are.
func (f *forgetful) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ch := range f.stale {
		close(ch)
	}
	f.stale = nil
}

func (f *forgetful) serve() {
	for {
		c, err := f.Accept()
		if err != nil {
			return
		}
		s, err := (&net.Dialer{}).Dial("tcp", f.to)
		if err != nil {
			c.Close()
			return
		}
		silent := make(chan struct{})
		f.mu.Lock()
		f.stale = append(f.stale, silent)
		f.mu.Unlock()
		go relay(c, s, silent)
		go relay(s, c, silent)
	}
}

// relay copies until silent is closed; then it swallows.
func relay(dst, src net.Conn, silent chan struct{}) {
	buf := make([]byte, 4096)
	for {
		n, err := src.Read(buf)
		if err != nil {
			dst.Close()
			return
		}
		select {
		case <-silent:
		default:
			_, _ = dst.Write(buf[:n])
		}
	}
}

// TestDeadConnection: after a silent break of the network HTTP/2 notices that its connection is dead, and opens another.
func TestDeadConnection(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("%s", r.Proto)
		}
		_, _ = io.WriteString(w, okBody)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	way := &forgetful{Listener: l, to: server.Listener.Addr().String()}
	t.Cleanup(func() { l.Close() })
	go way.serve()

	cfg := config(nil)
	cfg.HTTPClient, cfg.BaseURL, cfg.Timeout = nil, "https://"+l.Addr().String(), 5*time.Second
	// The Tracker's own transport is a copy of this one.
	standard := http.DefaultTransport.(*http.Transport)
	before := standard.TLSClientConfig
	standard.TLSClientConfig = &tls.Config{
		RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12, ServerName: "example.com",
	}
	tracker := start(t, cfg)
	standard.TLSClientConfig = before
	t.Parallel() // not before: nobody else may see the change
	enqueue(t, tracker, sale("before"))
	flush(t, tracker, time.Minute)
	way.forget()
	enqueue(t, tracker, sale("after"))
	flush(t, tracker, time.Minute)
}
