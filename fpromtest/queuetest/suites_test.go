package queuetest_test

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest/queuetest"
)

var (
	_ fprom.Outbox            = (*model)(nil)
	_ fprom.Limiter           = (*model)(nil)
	_ fprom.Watcher           = (*model)(nil)
	_ fprom.UndeliveredLister = (*model)(nil)
)

func TestMemoryQueue(t *testing.T) {
	t.Parallel()
	queuetest.TestQueue(t, func(*testing.T) fprom.Queue { return fprom.NewMemoryQueue(0) })
}

// TestModel shows that the suites pass for a queue without bugs. With a bug in the environment it fails, which
// TestSuitesFindBugs wants to see.
func TestModel(t *testing.T) {
	t.Parallel()
	bug := os.Getenv("QUEUETEST_BUG")
	if bug != "" {
		*queuetest.Patience = 10 * time.Second // many of the cases that must fail wait for something in vain
	}
	var stores sync.Map // by directory
	open := func(t *testing.T, dir string) *model {
		t.Helper()
		if bug == "leaks" {
			go func() { select {} }()
		}
		s, _ := stores.LoadOrStore(dir, &modelStore{conflicts: map[string]bool{}})
		return &model{store: s.(*modelStore), bug: bug}
	}
	durable := func(t *testing.T, dir string) fprom.Queue {
		t.Helper()
		return open(t, dir)
	}
	t.Run("any", func(t *testing.T) {
		queuetest.TestQueue(t, func(t *testing.T) fprom.Queue {
			t.Helper()
			return open(t, t.TempDir())
		})
	})
	t.Run("durable", func(t *testing.T) { queuetest.TestDurableQueue(t, durable) })
	t.Run("outbox", func(t *testing.T) {
		queuetest.TestOutbox(t, func(t *testing.T, dir string) fprom.Outbox {
			t.Helper()
			return open(t, dir)
		})
	})
}
