package fpromtest

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxBody bounds the body of a request; the rest is not read.
const maxBody = 1 << 20

// entry is a request on its way through the server.
type entry struct {
	req     Request
	index   int // in the journal
	kind    handler
	auth    string
	account string
	company *companyCall // nil: not for the Company API
	valid   bool         // false: the body should be a JSON object and is not
}

// exchange returns the answer to a request. An error means that there is none: the client is gone, or the server is closed.
func (s *Server) exchange(ctx context.Context, r *http.Request) (reply, error) {
	e := s.read(r)
	if r.URL.Path == trapPath {
		return s.trap(e.req), nil
	}
	in := s.arrive(e)
	var f Fault
	if in != nil {
		f = in.fault
	}
	var rep reply
	if f.after {
		rep = s.processAndNote(e)
	}
	if f.hang || f.delay > 0 {
		if err := s.wait(ctx, f.delay, in.done); err != nil {
			return reply{}, err
		}
	}
	if !f.after && (f.answer == nil || f.mangles) {
		rep = s.processAndNote(e)
	}
	if f.answer != nil {
		rep = f.answer(e.req, rep)
	}
	if f.retryAfter != "" {
		rep.header = rep.header.Clone()
		setHeader(&rep, "Retry-After", f.retryAfter)
	}
	if !rep.reset {
		s.update(e.index, func(r *Request) { r.Status = rep.status })
	}
	return rep, nil
}

func setHeader(rep *reply, name, value string) {
	if rep.header == nil {
		rep.header = http.Header{}
	}
	rep.header.Set(name, value)
}

// read reads a request.
func (s *Server) read(r *http.Request) *entry {
	var raw []byte
	if r.Body != nil {
		raw, _ = io.ReadAll(io.LimitReader(r.Body, maxBody)) // a body that is cut off is invalid JSON
	}
	header := r.Header.Clone()
	header.Del("Authorization")
	e := &entry{
		req:  Request{Time: time.Now(), Method: r.Method, Path: r.URL.Path, Header: header, Raw: raw},
		auth: r.Header.Get("Authorization"), account: r.Header.Get("Account-ID"), valid: true,
	}
	if e.company = companyOf(r); e.company != nil {
		e.req.Kind, e.req.EventID = "company", e.company.resource
	}
	if kind, ok := strings.CutPrefix(r.URL.Path, basePath); ok && r.Method == http.MethodPost {
		if e.kind = handlers[kind]; e.kind != nil {
			e.req.Kind = kind
			e.req.Body, e.valid = decodeBody(kind, r.Header, raw)
			e.req.EventID = e.req.Body.eventID(kind)
		}
	}
	return e
}

// arrive enters a request into the journal and returns the fault that it meets.
func (s *Server) arrive(e *entry) *Injection {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.req.Time = time.Now() // under the lock, so that the journal is in order of time
	in := s.match(e.req)
	if in != nil {
		e.req.Fault = in.fault.name
	}
	e.index = s.journal.add(e.req)
	return in
}

func (s *Server) processAndNote(e *entry) reply {
	rep, accepted := s.process(e)
	if accepted {
		s.update(e.index, func(r *Request) { r.Accepted = true })
	}
	return rep
}

// trap answers a request that followed a redirect.
func (s *Server) trap(r Request) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Status = http.StatusOK
	s.journal.trapped = append(s.journal.trapped, r)
	s.journal.notify()
	return jsonReply(http.StatusOK, object{"id": 1, "etype": "sale"})
}

// wait waits for d (0: without end) or until done is closed. If the client is gone or the server closes before, it returns an error.
func (s *Server) wait(ctx context.Context, d time.Duration, done <-chan struct{}) error {
	var over <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-over:
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closed:
		return errClosed
	}
	return nil
}

// pause waits for d between two pieces of a body. d may be 0.
func (s *Server) pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	return s.wait(ctx, d, nil)
}

// ServeHTTP answers a request over a socket. You may also mount the Server in your own mux; its paths begin with /api/v2/track/ and
// /api/v2/company/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	rep, err := s.exchange(ctx, r)
	if err != nil || rep.reset {
		resetConnection(w)
		return
	}
	maps.Copy(w.Header(), rep.header)
	if rep.bodyAllowed() {
		w.Header().Set("Content-Length", strconv.Itoa(len(rep.body)))
	}
	w.WriteHeader(rep.status)
	if !rep.bodyAllowed() || r.Method == http.MethodHead {
		return
	}
	var out io.Writer = w
	if rep.slow > 0 || rep.cut {
		out = flushing{w}
		_ = http.NewResponseController(w).Flush() // send the header at once, if the writer can
	}
	pause := func(d time.Duration) error { return s.pause(ctx, d) }
	if _, err := io.Copy(out, rep.reader(pause)); err != nil {
		panic(http.ErrAbortHandler) // breaks the connection
	}
}

// flushing sends each write at once.
type flushing struct{ w http.ResponseWriter }

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		_ = http.NewResponseController(f.w).Flush()
	}
	return n, err
}

// resetConnection makes the client see "connection reset by peer", or at least a broken connection.
func resetConnection(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
