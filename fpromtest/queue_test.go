package fpromtest_test

import (
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
)

func TestMemoryQueue(t *testing.T) {
	t.Parallel()
	fpromtest.TestQueue(t, func(*testing.T) fprom.Queue { return fprom.NewMemoryQueue(0) })
}
