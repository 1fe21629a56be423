package backfill_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fprom-go/fprom/backfill"
)

// Whatever a file is: rows and errors, each row with a line, and every refused row is in the rejects file.
func FuzzCSV(f *testing.F) {
	f.Add([]byte("event_id,email,amount\na,ann@example.com,5\n\"b\n\"\"\",x,6\n"))
	f.Add([]byte("\xef\xbb\xbfid;customer_email;amount;currency\r\n1;a@b.c;1,5;EUR\r\n;;;\r\n"))
	f.Add([]byte("amount\tuid\tevent_id\n"))
	f.Add([]byte(" {"))
	f.Fuzz(fuzzFile)
}

func FuzzJSONL(f *testing.F) {
	f.Add([]byte(`{"event_id":"a","email":"ann@example.com","amount":5}` + "\n{}\nnull\n[1]\n{\"amount\":{}}"))
	f.Add([]byte(`{"id":"a","uid":7,"amount":"1.5","amount":2}`))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzFile(t, append([]byte("{"), data...)) })
}

func fuzzFile(t *testing.T, data []byte) {
	t.Helper()
	box := outbox(t)
	path := filepath.Join(t.TempDir(), "rejects")
	got, err := backfill.Run(t.Context(), strings.NewReader(string(data)), backfill.Options{Format: major, Outbox: box, RejectsPath: path})
	if got.Rows != got.Queued+got.Known+got.Conflicts+got.Invalid && err == nil {
		t.Errorf("%+v %v", got, err)
	}
	s, _ := box.Stats(t.Context())
	if s.Bulk != got.Queued {
		t.Errorf("%d queued, %d stored", got.Queued, s.Bulk)
	}
	b, _ := os.ReadFile(path)
	if got.RejectsFile == "" || b[0] == '{' { // JSONL
		return
	}
	r := csv.NewReader(strings.NewReader(string(b)))
	r.Comma, r.FieldsPerRecord = rune(separatorOf(b)), -1
	records, rerr := r.ReadAll()
	if rerr != nil || err == nil && len(records)-1 != got.Invalid+got.Conflicts {
		t.Errorf("%d rejects of %+v: %v\n%q", len(records)-1, got, rerr, b)
	}
}

// separatorOf is what stands before "line" in the header.
func separatorOf(b []byte) byte {
	i := strings.Index(string(b), "line")
	for _, c := range []byte{',', ';', '\t'} {
		if j := strings.Index(string(b), string(c)+"line"+string(c)+"reason\n"); j >= 0 {
			return c
		}
	}
	return b[max(i-1, 0)]
}
