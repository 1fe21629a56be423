package boltqueue_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestFlippedID: an event id in the ledger that a flipped bit made another one's does not swallow that other event.
func TestFlippedID(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	q := open(t, dir)
	put(t, q, sale(t, "in_1", 100))
	deliver(t, q, nil)
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
}
