package boltqueue_test

import (
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fprom-go/fprom/boltqueue"
)

// TestCheckedInTurn: a process does not check the file while another one does. A service that took over a file of a million events
// waited for half a minute, since the program fprom checked the file each time when the service wanted the lock for itself.
func TestCheckedInTurn(t *testing.T) { //nolint:paralleltest // the failpoint is that of all tests
	dir := t.TempDir()
	closeQueue(t, open(t, dir))
	var checks atomic.Int32
	begun, end := make(chan struct{}), make(chan struct{})
	boltqueue.SetFailpoint(func(name string) {
		if name == "check" && checks.Add(1) == 1 {
			close(begun)
			<-end
		}
	})
	defer boltqueue.SetFailpoint(func(string) {})
	var first sync.WaitGroup
	first.Go(func() { closeQueue(t, open(t, dir)) })
	<-begun
	if _, err := openAt(filepath.Join(dir, "fprom.db")); !errors.Is(err, boltqueue.ErrLocked) || checks.Load() > 1 {
		t.Errorf("Open during a check: %v, want ErrLocked; %d checks began", err, checks.Load())
	}
	close(end)
	first.Wait()
}
