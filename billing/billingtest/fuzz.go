package billingtest

import (
	"net/http"
	"testing"

	"github.com/fprom-go/fprom/billing"
)

// FuzzEvents checks that no payload makes Events panic or return an invalid event.
func (s Suite) FuzzEvents(f *testing.F, opts ...billing.Option) {
	f.Helper()
	for _, name := range fixtures(f) {
		f.Add(Read(f, name))
	}
	f.Add([]byte("null"))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		events, err := s.Provider.Events(payload, opts...)
		if err != nil && len(events) > 0 {
			t.Errorf("both events and %v", err)
		}
		for _, e := range events {
			if err := e.Validate(); err != nil {
				t.Errorf("%#v: %v", e, err)
			}
		}
	})
}

// FuzzHandler checks that no body without a right signature leads to an event, whatever the signature header contains.
func (s Suite) FuzzHandler(f *testing.F, header string) {
	f.Helper()
	signed := http.Header{}
	s.Sign(signed, []byte("{}"), s.secret(1))
	for _, name := range fixtures(f) {
		f.Add(Read(f, name), signed.Get(header))
		f.Add(Read(f, name), "")
	}
	f.Fuzz(func(t *testing.T, body []byte, signature string) {
		sink := &Sink{}
		h := billing.Handler(sink, s.Provider, s.secret(0), Quiet())
		status := Post(h, body, func(r *http.Request) {
			s.Sign(r.Header, []byte("{}"), s.secret(1))
			r.Header.Set(header, signature)
		})
		if len(sink.Events()) > 0 || status == http.StatusOK {
			t.Errorf("status %d, accepted %v", status, sink.Events())
		}
	})
}
