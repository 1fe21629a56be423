package hooktest

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/fprom-go/fprom/billing/internal/convert"
)

// FuzzEvents checks that no payload makes Events panic or give an event that is not valid.
func (s Suite) FuzzEvents(f *testing.F, opts ...convert.Option) {
	s.seed(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		events, err := s.Events(payload, opts...)
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

// FuzzHandler checks that no unsigned bytes lead to an event, whatever the signature header says.
func (s Suite) FuzzHandler(f *testing.F, header string) {
	signed := http.Header{}
	s.Sign(signed, []byte("{}"), "another")
	for _, b := range s.fixtures(f) {
		f.Add(b, signed.Get(header))
		f.Add(b, "")
	}
	f.Fuzz(func(t *testing.T, body []byte, signature string) {
		sink := &Sink{}
		h := s.Handler(sink, secret, Quiet())
		status := Post(h, body, func(r *http.Request) {
			s.Sign(r.Header, []byte("{}"), "another")
			r.Header.Set(header, signature)
		})
		if len(sink.Events()) > 0 || status == http.StatusOK {
			t.Errorf("status %d, accepted %v", status, sink.Events())
		}
	})
}

func (s Suite) seed(f *testing.F) {
	f.Helper()
	for _, b := range s.fixtures(f) {
		f.Add(b)
	}
	f.Add([]byte("null"))
	f.Add([]byte("[]"))
}

func (s Suite) fixtures(f *testing.F) [][]byte {
	f.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no fixtures", err)
	}
	var out [][]byte
	for _, file := range files {
		out = append(out, Read(f, filepath.Base(file)))
	}
	return out
}
