package queuetest

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var rigNumber atomic.Int64

// checkGoroutines fails the test if one of its goroutines still runs after its other cleanups. Goroutines inherit profiler labels: a
// label tells the goroutines of this test from those of parallel tests.
func checkGoroutines(t *testing.T) {
	t.Helper()
	mark := fmt.Sprintf("queuetest-%d", rigNumber.Add(1))
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("queuetest", mark)))
	t.Cleanup(func() {
		pprof.SetGoroutineLabels(context.Background())
		var left string
		for end := time.Now().Add(time.Minute); time.Now().Before(end); { // a queue's libraries may try for a while to say goodbye
			if left = goroutinesWith(mark); left == "" {
				return
			}
			<-time.After(10 * time.Millisecond)
		}
		t.Errorf("goroutines are left after Run returned and Close:\n%s", left)
	})
}

// goroutinesWith returns the stacks of the goroutines with a label.
func goroutinesWith(mark string) string {
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		return err.Error()
	}
	var left []string
	for g := range strings.SplitSeq(b.String(), "\n\n") {
		if strings.Contains(g, `"`+mark+`"`) {
			left = append(left, g)
		}
	}
	return strings.Join(left, "\n\n")
}
