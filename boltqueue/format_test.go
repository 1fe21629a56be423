package boltqueue_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// TestFormat: the file has the keys and values of testdata/format3.txt, so that each release of this format reads the files of the
// others. What differs needs a new number of the format, but for new fields in the JSON of an answer.
func TestFormat(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile(filepath.Join("testdata", "format3.txt"))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		q := open(t, dir)
		bulk, waits := sale(t, "done", 100), sale(t, "waits", 300)
		bulk.Bulk = true
		put(t, q, bulk, sale(t, "dead", 200), message(t, fprom.Cancellation{Email: "ann@example.com"}))
		time.Sleep(time.Second)
		deliver(t, q, func(m fprom.Message) error {
			if m.Key == "sale:dead" {
				return reject(m)
			}
			return nil
		})
		if err := q.Put(t.Context(), sale(t, "done", 101)); err == nil {
			t.Error("another amount is no conflict")
		}
		put(t, q, waits)
		if _, err := q.Forget(t.Context(), waits.Customer); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = run(ctx, q, func(context.Context, fprom.Message) error {
			return &fprom.APIError{StatusCode: 503, RetryAfter: time.Minute}
		})
		closeQueue(t, q)
		if got := dump(t, filepath.Join(dir, "fprom.db")); got != string(want) {
			t.Errorf("the file has\n%swant\n%s", got, want)
		}
	})
}

// dump returns a line for each key of a file.
func dump(t *testing.T, path string) string {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var text strings.Builder
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			fmt.Fprintf(&text, "%s %d\n", name, b.Sequence())
			return b.ForEach(func(k, v []byte) error {
				_, err := fmt.Fprintf(&text, "\t%+q %+q\n", k, v)
				return err
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return text.String()
}
