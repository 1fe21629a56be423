package boltqueue_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/fprom-go/fprom"
)

// TestFlippedID: an event id in the ledger that a flipped bit made another one's does not swallow that other event, and does
// not remove the dead letter it belonged to.
func TestFlippedID(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer error
	}{{"done", nil}, {"dead", &fprom.APIError{StatusCode: 400}}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			q := open(t, dir)
			put(t, q, sale(t, "in_1", 100))
			deliver(t, q, func(fprom.Message) error { return tt.answer })
			closeQueue(t, q)
			path := filepath.Join(dir, "fprom.db")
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			id := []byte("sale:in_1\x00\x00\x00\x00") // and the rest of its number
			if !bytes.Contains(file, id) {
				t.Fatal("the id is not where it was thought to be")
			}
			flipped := bytes.Clone(id)
			flipped[len("sale:in_")] = '3'
			if err := os.WriteFile(path, bytes.ReplaceAll(file, id, flipped), 0o600); err != nil {
				t.Fatal(err)
			}
			q = open(t, dir, discard)
			put(t, q, sale(t, "in_3", 100))
			if got := deliver(t, q, nil); len(got) != 1 || got[0].Key != "sale:in_3" {
				t.Errorf("delivered %v, want the event that was put", got)
			}
			if s := stats(t, q); tt.answer != nil && s.Dead != 1 {
				t.Errorf("%+v: the dead letter of another event is gone", s)
			}
		})
	}
}
