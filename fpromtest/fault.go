package fpromtest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Fault says what goes wrong, and with which requests. Make one with a constructor, narrow it with its methods (each returns a changed
// copy), and pass it to Server.Inject:
//
//	s.Inject(fpromtest.Status(500).Times(3))
//	s.Inject(fpromtest.Reset().AfterProcessing().OnEvent("ch_1").Times(1))
//
// A fault stays until Times or For is used up or the Injection is removed.
type Fault struct {
	name       string
	answer     func(r Request, real reply) reply // nil: the real answer
	mangles    bool                              // answer changes the real answer, so the request is processed
	after      bool
	hang       bool
	delay      time.Duration
	retryAfter string

	kind, event string
	times       int
	lasts       time.Duration
	chance      float64
	rare        bool // chance was set
}

// Status answers with a status (200 to 599) instead of processing. The body is FirstPromoter's documented one, or else a small JSON
// message (4xx) or an HTML page (5xx).
func Status(code int) Fault {
	return Fault{name: "status " + strconv.Itoa(code), answer: func(r Request, _ reply) reply { return statusReply(r, code) }}
}

// RetryAfter adds a Retry-After header to the answer. value is sent as it is: seconds, an HTTP date, or nonsense.
func (f Fault) RetryAfter(value string) Fault {
	f.retryAfter = value
	return f
}

// Hang does not answer until the client disconnects, the server closes, or the Injection is removed. After a removal the request is
// processed as usual.
func Hang() Fault { return Fault{name: "hang", hang: true} }

// Delay lets a request wait for d before it is processed.
func Delay(d time.Duration) Fault { return Fault{name: "delay " + d.String(), delay: d} }

// Reset breaks the connection instead of answering.
func Reset() Fault {
	return Fault{name: "reset", answer: func(Request, reply) reply { return reply{reset: true} }}
}

// NotFoundPage answers with an HTML 404, as for a wrong base URL, instead of processing.
func NotFoundPage() Fault {
	return Fault{name: "html 404", answer: func(Request, reply) reply { return notFoundPage() }}
}

// Redirect answers with a redirect (301, 302, 303, 307, 308) instead of processing. The target answers every method with 200 and a
// JSON object; Server.Trapped lists the requests to it.
func Redirect(status int) Fault {
	return Fault{name: "redirect " + strconv.Itoa(status), answer: func(Request, reply) reply {
		return reply{status: status, header: http.Header{"Location": {trapPath}}}
	}}
}

// Garbage answers 200 with an HTML page, as a captive portal or a proxy does, instead of processing.
func Garbage() Fault {
	return Fault{name: "garbage", answer: func(Request, reply) reply { return page(http.StatusOK, "Sign in to the network") }}
}

// HugeBody answers 200 with a JSON object of more than n bytes instead of processing.
func HugeBody(n int) Fault {
	return Fault{name: "huge body", answer: func(Request, reply) reply {
		return jsonReply(http.StatusOK, object{"padding": strings.Repeat("x", n)})
	}}
}

// TruncatedBody processes the request and breaks the connection in the middle of the answer's body.
func TruncatedBody() Fault {
	return Fault{name: "truncated body", mangles: true, answer: func(_ Request, real reply) reply {
		real.cut, real.reset = true, len(real.body) == 0
		return real
	}}
}

// SlowBody processes the request. It sends the header at once and the body in ten pieces over the time d.
func SlowBody(d time.Duration) Fault {
	return Fault{name: "slow body", mangles: true, answer: func(_ Request, real reply) reply {
		real.slow = d
		return real
	}}
}

// AfterProcessing lets the fault happen after processing: the event is registered, but the answer is lost.
func (f Fault) AfterProcessing() Fault {
	f.name += " after processing"
	f.after = true
	return f
}

// OnKind narrows the fault to one kind of request: "sale", "refund", "signup", "cancellation" or "company".
func (f Fault) OnKind(kind string) Fault {
	f.kind = kind
	return f
}

// OnEvent narrows the fault to one event id. For kinds without event ids see Request.EventID.
func (f Fault) OnEvent(id string) Fault {
	f.event = id
	return f
}

// Times ends the fault after n requests. 0: no end.
func (f Fault) Times(n int) Fault {
	f.times = n
	return f
}

// For ends the fault at d after its injection. 0: no end.
func (f Fault) For(d time.Duration) Fault {
	f.lasts = d
	return f
}

// Chance lets the fault happen to each request with probability p. The random numbers follow from WithSeed.
func (f Fault) Chance(p float64) Fault {
	f.chance, f.rare = p, true
	return f
}

// Injection is an active fault of a Server.
type Injection struct {
	s       *Server
	fault   Fault
	until   time.Time // zero: no end
	hits    int
	removed bool
	done    chan struct{} // closed when removed
}

// Inject activates faults. A request meets the first fault that matches it, in the order of injection. Inject returns the Injection of
// the last fault, or nil without faults.
func (s *Server) Inject(faults ...Fault) *Injection {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in *Injection
	for _, f := range faults {
		in = &Injection{s: s, fault: f, done: make(chan struct{})}
		if f.lasts > 0 {
			in.until = time.Now().Add(f.lasts)
		}
		s.faults = append(s.faults, in)
	}
	return in
}

// Heal removes every fault. Hanging requests continue.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.faults {
		in.remove()
	}
	s.faults = nil
}

// Remove ends the fault. Requests that hang because of it continue.
func (in *Injection) Remove() {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	in.remove()
}

func (in *Injection) remove() {
	if !in.removed {
		in.removed = true
		close(in.done)
	}
}

// Hits returns how many requests met the fault.
func (in *Injection) Hits() int {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	return in.hits
}

// match returns the fault that a request meets, or nil. Server.mu is held.
func (s *Server) match(r Request) *Injection {
	for _, in := range s.faults {
		f := in.fault
		switch {
		case in.removed,
			f.times > 0 && in.hits >= f.times,
			!in.until.IsZero() && !r.Time.Before(in.until),
			f.kind != "" && f.kind != r.Kind,
			f.event != "" && f.event != r.EventID,
			f.rare && s.rng.Float64() >= f.chance:
			continue
		}
		in.hits++
		return in
	}
	return nil
}
