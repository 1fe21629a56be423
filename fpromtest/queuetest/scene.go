package queuetest

import (
	"context"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
)

// scene is an outbox with events in every state.
type scene struct {
	*rig
	msgs   []fprom.Message // in the order they were put
	since  time.Time       // RecordedAt of the first message; each later one is an hour younger
	begun  time.Time       // before delivery
	before time.Time       // after delivery
}

// Indexes of scene.msgs.
const (
	tracked    = iota // done, with two commissions
	noReferral        // done; a refund
	duplicate         // done
	signup            // done; its key is an address
	cancelled         // done; of a uid
	wrong             // dead, 400
	wrongUID          // dead, 422; of a uid
	wrongKey          // dead, 400; its key is an address
	retried           // waits for a minute after a 503
	behind            // waits for retried, of the same customer
	bulky             // the same, and bulk
)

const reason = "Error. Amount blank or invalid."

func newScene(r *rig) *scene {
	r.t.Helper()
	s := &scene{rig: r, since: time.Now().Add(-12 * time.Hour).Truncate(time.Millisecond)}
	for _, e := range []fprom.Event{
		tracked:    fprom.Sale{EventID: "in_tracked", Email: "Ann@example.com", Amount: 4900, Currency: "USD"},
		noReferral: fprom.Refund{EventID: "re_none", Email: "ben@example.com", Amount: 500, Currency: "eur"},
		duplicate:  fprom.Sale{EventID: "in_double", Email: "carl@example.com", UID: "u_carl", Amount: 700},
		signup:     fprom.Signup{Email: "dora@example.com", TID: "tid_1"},
		cancelled:  fprom.Cancellation{UID: "u_gus"},
		wrong:      fprom.Sale{EventID: "in_wrong", Email: "eve@example.com", Amount: 100, Currency: "usd"},
		wrongUID:   fprom.Sale{EventID: "in_wrong_uid", UID: "u_finn", Amount: 200, Currency: "jpy"},
		wrongKey:   fprom.Signup{UID: "Faye@Example.com", TID: "tid_2"},
		retried:    fprom.Sale{EventID: "in_retried", Email: "hal@example.com", Amount: 300, Currency: "usd"},
		behind:     fprom.Sale{EventID: "in_behind", Email: "hal@example.com", Amount: 301, Currency: "usd"},
		bulky:      fprom.Sale{EventID: "in_bulky", Email: "hal@example.com", Amount: 302, Currency: "usd"},
	} {
		m := r.message(e)
		m.RecordedAt = s.since.Add(time.Duration(len(s.msgs)) * time.Hour)
		m.Bulk = len(s.msgs) == bulky
		s.msgs = append(s.msgs, m)
		r.put(m)
	}
	s.begun = time.Now()
	r.start(2, s.answer)
	r.wait("everything but three events has its outcome", func() bool {
		st := r.stats()
		return st.Pending == 2 && st.Bulk == 1 && st.Dead == 3 && s.one(fprom.Filter{Keys: []string{s.msgs[retried].Key}}).Attempts == 1
	})
	r.stop()
	s.before = time.Now()
	r.calls = nil // the cases count from here on
	return s
}

func (s *scene) answer(_ context.Context, m fprom.Message) (fprom.Result, error) {
	switch m.Key {
	case s.msgs[tracked].Key:
		return fprom.Result{Outcome: fprom.Tracked, StatusCode: 200, ID: 101, Commissions: []fprom.Commission{{ID: 7}, {ID: 8}}}, nil
	case s.msgs[signup].Key:
		return fprom.Result{Outcome: fprom.Tracked, StatusCode: 200, ID: 102}, nil
	case s.msgs[duplicate].Key:
		return fprom.Result{Outcome: fprom.Duplicate, StatusCode: 409}, nil
	case s.msgs[wrongKey].Key:
		return fprom.Result{Outcome: fprom.Rejected, StatusCode: 400}, &fprom.APIError{StatusCode: 400, Message: "Visitor invalid."}
	case s.msgs[wrong].Key:
		return fprom.Result{Outcome: fprom.Rejected, StatusCode: 400}, &fprom.APIError{StatusCode: 400, Message: reason}
	case s.msgs[wrongUID].Key:
		return fprom.Result{Outcome: fprom.Rejected, StatusCode: 422}, &fprom.APIError{StatusCode: 422, Message: strings.Repeat("Too long. ", 300)}
	case s.msgs[retried].Key:
		return fprom.Result{Outcome: fprom.Undelivered, StatusCode: 503}, &fprom.APIError{StatusCode: 503, RetryAfter: time.Minute}
	default:
		return fprom.Result{Outcome: fprom.NotReferral, StatusCode: 404}, nil
	}
}

// want returns the expected entry of a message, with Filter.Personal.
func (s *scene) want(i int) fprom.Entry {
	e := fprom.NewEntry(s.msgs[i])
	if i >= retried {
		if i == retried {
			e.Attempts, e.StatusCode = 1, 503
		}
		return e
	}
	res, err := s.answer(context.Background(), s.msgs[i])
	e.Settle(res, err, time.Time{})
	e.Attempts = 1
	if e.State == fprom.StateDone {
		e.Customer = ""
	}
	return e
}

// outbox returns the queue as an Outbox.
func (r *rig) outbox() fprom.Outbox {
	r.t.Helper()
	o, ok := r.q.(fprom.Outbox)
	if !ok {
		r.t.Fatalf("%T is no fprom.Outbox", r.q)
	}
	return o
}

// list returns the entries that f selects.
func (r *rig) list(f fprom.Filter) []fprom.Entry {
	r.t.Helper()
	var es []fprom.Entry
	for e, err := range r.outbox().Entries(context.WithoutCancel(r.t.Context()), f) {
		if err != nil {
			r.t.Fatalf("Entries(%+v): %v", f, err)
		}
		es = append(es, e)
	}
	return es
}

// one returns the only entry that f selects.
func (r *rig) one(f fprom.Filter) fprom.Entry {
	r.t.Helper()
	es := r.list(f)
	if len(es) != 1 {
		r.t.Fatalf("Entries(%+v): %d entries, want 1: %+v", f, len(es), es)
	}
	return es[0]
}

func entryKeys(es []fprom.Entry) []string {
	keys := make([]string, len(es))
	for i, e := range es {
		keys[i] = e.Key
	}
	return keys
}

// safeKeys returns the Entry.Key of the messages at these places.
func (s *scene) safeKeys(places ...int) []string {
	keys := make([]string, len(places))
	for i, p := range places {
		keys[i] = fprom.SafeKey(s.msgs[p].Key)
	}
	return keys
}

// checkCount checks the results of Redrive and Drop.
func (r *rig) checkCount(what string, n int, err error, want int) {
	r.t.Helper()
	if err != nil || n != want {
		r.t.Errorf("%s: %d, %v, want %d", what, n, err, want)
	}
}
