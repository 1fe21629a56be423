package boltqueue_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest/queuetest"
)

// TestBadEvents: events that alone get a bad answer each time do not stop the others.
func TestBadEvents(t *testing.T) {
	t.Parallel()
	quiet := func(t *testing.T) fprom.Queue {
		t.Helper()
		return open(t, t.TempDir(), boltqueue.WithoutSocket()) // a socket would keep the bubble awake
	}
	queuetest.TestBadEvents(t, quiet, 5, "403")
	if !testing.Short() {
		queuetest.TestBadEvents(t, quiet, 200, slices.Collect(maps.Keys(queuetest.BadAnswers))...)
	}
}
