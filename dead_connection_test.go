package fprom_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// forgetful is a way to a server, such as a NAT, that forgets its connections: then nothing arrives over them any more,
// and nobody is told.
type forgetful struct {
	*pipes

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

func (f *forgetful) dial(ctx context.Context, network, address string) (net.Conn, error) {
	s, err := f.pipes.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	client, c := net.Pipe()
	silent := make(chan struct{})
	f.mu.Lock()
	f.stale = append(f.stale, silent)
	f.mu.Unlock()
	go relay(c, s, silent)
	go relay(s, c, silent)
	return client, nil
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
func TestDeadConnection(t *testing.T) { //nolint:paralleltest // see with
	synctest.Test(t, func(t *testing.T) {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 2 {
				t.Errorf("%s", r.Proto)
			}
			_, _ = io.WriteString(w, okBody)
		}))
		server.Listener.Close()
		way := &forgetful{pipes: newPipes()}
		server.Listener, server.EnableHTTP2 = way, true
		server.StartTLS()
		t.Cleanup(server.Close)
		cfg := config(nil)
		cfg.BaseURL, cfg.Timeout = "https://127.0.0.1", 5*time.Second
		tracker := with(t, cfg, func(tr *http.Transport) {
			tr.DialContext = way.dial
			tr.TLSClientConfig = &tls.Config{
				RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12, ServerName: "example.com",
			}
		})
		enqueue(t, tracker, sale("before"))
		flush(t, tracker, time.Minute)
		way.forget()
		enqueue(t, tracker, sale("after"))
		flush(t, tracker, time.Minute)
	})
}
