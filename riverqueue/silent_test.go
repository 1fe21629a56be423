package riverqueue_test

import (
	"context"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom/riverqueue"
)

type line struct {
	server net.Conn
	silent *atomic.Bool
}

// hole is a way to the database on which the connections that are open may fall silent, as when its host fails.
type hole struct {
	url   string
	down  atomic.Bool // no new connection
	mu    sync.Mutex
	lines []line
}

func newHole(t *testing.T) *hole {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var h hole
	server := u.Host
	u.Host = l.Addr().String()
	h.url = u.String()
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			if h.down.Load() {
				_ = client.Close()
				continue
			}
			back, err := new(net.Dialer).DialContext(context.Background(), "tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			var silent atomic.Bool
			h.mu.Lock()
			h.lines = append(h.lines, line{back, &silent})
			h.mu.Unlock()
			go pass(client, back, &silent)
			go pass(back, client, &silent)
		}
	}()
	return &h
}

// pass copies what comes from one end to the other, and leaves it out while the connection is silent.
func pass(to, from net.Conn, silent *atomic.Bool) {
	defer to.Close()
	for buf := make([]byte, 1<<16); ; {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if silent.Load() {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (h *hole) silence() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.lines {
		l.silent.Store(true)
	}
}

// end ends all connections. The pool would wait for an answer for 15 s when it closes one that is silent.
func (h *hole) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.lines {
		_ = l.server.Close()
	}
}

// TestSilentServer: where the database's host fails without a word and another takes its place, calls are admitted again after
// seconds, and with a time-out for pings a Put does not even fail.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	const most = patience
	t.Run("Admit", func(t *testing.T) {
		t.Parallel()
		h := newHole(t)
		q, _ := openAt(t, h.url, riverqueue.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), most)
		defer cancel()
		if err := q.Admit(ctx, 6000); err != nil {
			t.Fatal(err)
		}
		h.silence()
		defer h.end()
		if err := q.Admit(ctx, 6000); err != nil {
			t.Errorf("Admit: %v", err)
		}
	})
	t.Run("Put", func(t *testing.T) {
		t.Parallel()
		h := newHole(t)
		q, _ := openAt(t, withQuery(t, h.url, "pool_ping_timeout", "100ms"), riverqueue.Config{})
		put(t, q, sale("1", "ann", 100))
		h.silence()
		defer h.end()
		time.Sleep(1100 * time.Millisecond)                   // the pool does not ask a connection that was used within a second
		ctx, cancel := context.WithTimeout(t.Context(), most) // a Put over a silent connection would end with it
		defer cancel()
		if err := q.Put(ctx, message(t, sale("2", "ann", 100))); err != nil {
			t.Errorf("Put: %v", err)
		}
	})
	t.Run("second Put", func(t *testing.T) {
		t.Parallel()
		h := newHole(t)
		q, pool := openAt(t, h.url, riverqueue.Config{})
		var idle []*pgxpool.Conn
		for range 4 {
			c, err := pool.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			idle = append(idle, c)
		}
		for _, c := range idle {
			c.Release()
		}
		h.silence()
		defer h.end()
		put := func(id string, most time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), most)
			defer cancel()
			return q.Put(ctx, message(t, sale(id, "ann", 100)))
		}
		if put("1", time.Second) == nil {
			t.Error("a Put over a silent connection has no error")
		}
		if err := put("2", most); err != nil { // over a silent connection it would end with its context
			t.Errorf("Put: %v; want it not to try each connection that was open", err)
		}
	})
}
