package boltqueue_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
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

// TestReaderMeetsDamage: who looks at old outcomes and meets a damaged page gets an error that names the file. Puts and
// deliveries, which need no such page, go on.
func TestReaderMeetsDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	q := open(t, dir, discard)
	for i := range 8 {
		var ms []fprom.Message
		for j := range 500 {
			ms = append(ms, sale(t, fmt.Sprintf("old-%d-%d", i, j), 100))
		}
		put(t, q, ms...)
		deliver(t, q, nil)
	}
	path := filepath.Join(dir, "fprom.db")
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	firstKey := func(at int) string { // a leaf's elements begin after 16 bytes; the offset of a key counts from its element
		return string(content[at+16+int(binary.LittleEndian.Uint32(content[at+20:])):][:8])
	}
	const leaf = 2
	size := os.Getpagesize()
	pages := map[string][]int64{} // of outcomes by time; some are copies that are no longer in use
	for at := 2 * size; at < len(content); at += size {
		if page := content[at : at+size]; page[8] == leaf && bytes.Count(page, []byte("tracked")) > 20 && firstKey(at) > "\x01" { // no number of an event
			pages[firstKey(at)] = append(pages[firstKey(at)], int64(at))
		}
	}
	times := slices.Sorted(maps.Keys(pages))
	if len(times) < 8 {
		t.Fatalf("outcomes are in %d pages", len(times))
	}
	for _, at := range times[2 : len(times)-3] { // a commit changes the first and the last ones
		for _, page := range pages[at] {
			if _, err := file.WriteAt([]byte{0}, page+8); err != nil {
				t.Fatal(err)
			}
		}
	}
	now := time.Now()
	if _, err := q.History(t.Context(), now.Add(-time.Hour), now.Add(time.Hour), time.Hour); !errors.Is(err, boltqueue.ErrDamaged) || strings.Count(err.Error(), path) != 1 {
		t.Fatalf("History: %v, want ErrDamaged, and the file named once", err)
	}
	put(t, q, sale(t, "new", 100))
	if got := deliver(t, q, nil); len(got) != 1 || stats(t, q).Pending != 0 {
		t.Errorf("delivered %v", got)
	}
}
