package riverqueue_test

import (
	"context"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// TestHistoryOfAllTime: a time that is too long for its step is an error, however long it is.
func TestHistoryOfAllTime(t *testing.T) {
	t.Parallel()
	q, _ := open(t, riverqueue.Config{Schema: newSchema(t)})
	if bs, err := q.History(t.Context(), time.Time{}, time.Now(), time.Hour); err == nil {
		t.Errorf("%d buckets and no error: nothing would be taken for the whole", len(bs))
	}
}

// TestLimitCountsWhatIsChanged: Filter.Limit of Redrive is about what is redriven: dead letters whose customer is forgotten
// cannot be.
func TestLimitCountsWhatIsChanged(t *testing.T) {
	t.Parallel()
	q, _ := open(t, riverqueue.Config{Schema: newSchema(t)})
	put(t, q, sale("1", "ann", 100), sale("2", "ben", 100))
	stop := start(t, q, func(context.Context, fprom.Message) error { return errRejected })
	flush(t, q)
	stop()
	if _, err := q.Forget(t.Context(), "ann@example.com"); err != nil {
		t.Fatal(err)
	}
	if n, err := q.Redrive(t.Context(), fprom.Filter{Limit: 1}); n != 1 || err != nil {
		t.Errorf("Redrive of one: %d, %v", n, err)
	}
}
