package boltqueue_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
)

// TestSlowReader: a process that stands still while it reads an answer keeps no other one waiting, and loses its connection.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	q := openServed(t, dir)
	var ms []fprom.Message
	for i := range 500 {
		m := sale(t, i, 100)
		m.Customer = strings.Repeat("x", 3000) // all of them do not fit into the socket
		ms = append(ms, m)
	}
	put(t, q, ms...)
	slow, err := (&net.Dialer{}).DialContext(t.Context(), "unix", filepath.Join(dir, "fprom.db.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Close() }()
	if _, err := slow.Write([]byte("POST /entries HTTP/1.1\r\nHost: outbox\r\nContent-Length: 17\r\n\r\n" + `{"personal":true}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // less than the service waits for a slow reader
	defer cancel()
	for _, err := range dial(t, dir).Entries(ctx, fprom.Filter{Limit: 1}) {
		if err != nil {
			t.Errorf("Entries beside a slow reader: %v", err)
		}
	}
	if testing.Short() {
		return
	}
	time.Sleep(32 * time.Second)
	_ = slow.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, _ := io.Copy(io.Discard, slow); n > 500*3000 {
		t.Errorf("read all of the answer, %d bytes, after half a minute; want a closed connection", n)
	}
}

// TestPausesOfReaders: who asks again and again, with many processes, leaves most of the processor to checkouts.
func TestPausesOfReaders(t *testing.T) {
	t.Parallel()
	const calls = 20
	for name, tt := range map[string]struct {
		pause time.Duration
		ask   func(r fprom.Outbox) error
	}{
		"status": {5 * time.Millisecond, func(r fprom.Outbox) error {
			_, err := r.Stats(t.Context())
			return err
		}},
		"entries": {20 * time.Millisecond, func(r fprom.Outbox) (err error) {
			for _, err = range r.Entries(t.Context(), fprom.Filter{}) {
			}
			return err
		}},
		"history": {20 * time.Millisecond, func(r fprom.Outbox) error {
			_, err := r.History(t.Context(), time.Now().Add(-time.Hour), time.Now(), time.Hour)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			openServed(t, dir)
			r := dial(t, dir)
			var all sync.WaitGroup
			begun := time.Now()
			for range calls {
				all.Go(func() {
					if err := tt.ask(r); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if took := time.Since(begun); took < (calls-1)*tt.pause {
				t.Errorf("%d calls took %v, want a pause of %v after each", calls, took, tt.pause)
			}
		})
	}
}

// TestSilentService: a service that stands still, ends in the middle of an answer, or is another program, makes clear errors.
func TestSilentService(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	path := filepath.Join(dir, "fprom.db")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path+".sock")
	if err != nil {
		t.Fatal(err)
	}
	var next atomic.Value // the answer to the next request; "": it stands still
	next.Store("")
	server := http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answer := next.Load().(string)
		if answer == "" {
			<-r.Context().Done()
		}
		_, _ = w.Write([]byte(answer))
		_ = http.NewResponseController(w).Flush()
		if r.URL.Path == "/entries" {
			panic(http.ErrAbortHandler)
		}
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	if _, err := boltqueue.DialWithin(path, 50*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), path+`" has not answered`) {
		t.Errorf("Dial of a service that does not answer: %v, want an error that says so and names the file", err)
	}
	next.Store("{}")
	r := dial(t, dir)
	next.Store(`{"events":[{`)
	for _, err := range r.Entries(t.Context(), fprom.Filter{}) {
		if err == nil || !strings.Contains(err.Error(), "ended") {
			t.Errorf("Entries of a service that ends: %v", err)
		}
	}
	next.Store("")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for _, err := range r.Entries(ctx, fprom.Filter{}) {
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), path) {
			t.Errorf("Entries when the context ends: %v", err)
		}
	}
	next.Store("hello")
	if _, err := r.Stats(t.Context()); err == nil || !strings.Contains(err.Error(), "release") {
		t.Errorf("Stats of another program: %v", err)
	}
}

// TestAnswerAtClose: a service that ends answers the Put of another process that is under way.
func TestAnswerAtClose(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	holding, release := make(chan struct{}), make(chan struct{})
	q := openServed(t, dir, boltqueue.WithFailures(whole, func() error {
		close(holding)
		<-release
		return nil
	}))
	r, stored := dial(t, dir), make(chan error, 1)
	go func() { stored <- r.Put(t.Context(), sale(t, 1, 100)) }()
	<-holding
	go func() {
		for _, err := q.Stats(t.Context()); err == nil; _, err = q.Stats(t.Context()) {
			time.Sleep(time.Millisecond)
		}
		close(release)
	}()
	closeQueue(t, q)
	if err := <-stored; err != nil {
		t.Errorf("Put: %v, want no error, since it is stored", err)
	}
}

// TestErrorsOfSocket: an error of the service is the same error for the process that asks, which takes a new connection for each
// call.
func TestErrorsOfSocket(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(dir, "fprom.db.sock"))
	if err != nil {
		t.Fatal(err)
	}
	var answer atomic.Pointer[string]
	server := http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !r.Close {
			t.Errorf("%s keeps its connection", r.URL)
		}
		if text := answer.Load(); text != nil {
			w.WriteHeader(map[string]int{"/flush": http.StatusInternalServerError, "/put": http.StatusBadRequest}[r.URL.Path])
			_ = json.NewEncoder(w).Encode(map[string]string{"error": "fprom: the service: " + *text})
			return
		}
		_, _ = io.WriteString(w, "{}")
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	r := dial(t, dir)
	for _, want := range []error{fprom.ErrQueueClosed, fprom.ErrNotDue, context.DeadlineExceeded} {
		text := want.Error()
		answer.Store(&text)
		if err := r.Flush(t.Context()); !errors.Is(err, want) {
			t.Errorf("Flush: %v, want an error that wraps %q", err, want)
		}
		if err := r.Put(t.Context(), sale(t, 1, 100)); !errors.Is(err, want) { // of another release, or too large
			t.Errorf("Put: %v, want an error that wraps %q", err, want)
		}
	}
}

// TestPagesOfSocket: entries that do not fit into one answer come in further ones, and no more than the limit.
func TestPagesOfSocket(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	const n = 1100
	var ms []fprom.Message
	for i := range n {
		ms = append(ms, sale(t, i, 100))
	}
	put(t, openServed(t, dir), ms...)
	r := dial(t, dir)
	for _, limit := range []int{-1, 0, 1, 499, 500, 501, 1000, n, n + 1} {
		want := n
		if limit > 0 {
			want = min(n, limit)
		}
		es := entries(t, r, fprom.Filter{Limit: limit})
		if len(es) != want || es[want-1].Key != ms[want-1].Key {
			t.Errorf("limit %d: %d entries, want %d", limit, len(es), want)
		}
		if rest := entries(t, r, fprom.Filter{After: es[len(es)-1].Cursor}); len(rest) != n-want {
			t.Errorf("after %d entries: %d, want %d", want, len(rest), n-want)
		}
	}
	twice, all := 0, r.Entries(t.Context(), fprom.Filter{})
	for range 2 {
		for range all {
			twice++
		}
	}
	if twice != 2*n {
		t.Errorf("%d entries in two loops over the same sequence, want %d", twice, 2*n)
	}
	for _, body := range []string{`{}`, `{"limit":1000000}`} {
		var page []fprom.Entry
		if ask(t, dir, "/entries", body, &page); len(page) != 500 {
			t.Errorf("%s: %d entries in one answer, want 500", body, len(page))
		}
	}
}

// ask asks the service without Dial.
func ask(t *testing.T, dir, path, body string, answer any) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, "fprom.db.sock"))
	}}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://outbox"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
		t.Error(err)
	}
}

// TestHalfDone: a redrive through the socket that fails in the midst says how many it has done, as the service itself does.
func TestHalfDone(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	var left atomic.Int64 // commits until the disk is full
	left.Store(1 << 20)
	q := openServed(t, dir, discard, boltqueue.WithFailures(func() error {
		if left.Add(-1) < 0 {
			return syscall.ENOSPC
		}
		return nil
	}, whole))
	var ms []fprom.Message
	for i := range 150 {
		ms = append(ms, sale(t, i, 100))
	}
	put(t, q, ms...)
	deliver(t, q, reject)
	left.Store(1)
	if n, err := dial(t, dir).Redrive(t.Context(), fprom.Filter{}); n != 100 || err == nil {
		t.Errorf("redriven %d, %v; want 100 and an error", n, err)
	}
	if s := stats(t, q); s.Pending != 100 || s.Dead != 50 {
		t.Errorf("%+v, want 100 waiting and 50 dead", s)
	}
}
