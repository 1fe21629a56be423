package boltqueue_test

import (
	"path/filepath"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
)

func TestQueue(t *testing.T) {
	t.Parallel()
	fpromtest.TestQueue(t, func(t *testing.T) fprom.Queue {
		t.Helper()
		return open(t, t.TempDir())
	})
}

func TestDurableQueue(t *testing.T) {
	t.Parallel()
	fpromtest.TestDurableQueue(t, func(t *testing.T, dir string) fprom.Queue {
		t.Helper()
		return open(t, dir)
	})
}

func open(t *testing.T, dir string, opts ...boltqueue.Option) *boltqueue.Queue {
	t.Helper()
	q, err := boltqueue.Open(filepath.Join(dir, "fprom.db"), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return q
}
