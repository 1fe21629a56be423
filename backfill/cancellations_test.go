package backfill_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/backfill"
)

// looked counts how often an outbox was asked for its cancellations. They have no event id: a durable outbox looks at all
// that it has each time.
type looked struct {
	fprom.Outbox
	times int
}

func (l *looked) Entries(ctx context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error] {
	l.times++
	return l.Outbox.Entries(ctx, f)
}

// However many cancellations there are, the outbox is looked through once. Those that it has are known, also when they are
// done, and so are those that the file has twice. That is no fault of the file: a customer may cancel twice.
func TestManyCancellations(t *testing.T) {
	t.Parallel()
	const rows = 50_000
	var b strings.Builder
	b.WriteString("email\n")
	for i := range rows {
		fmt.Fprintf(&b, "c%d@example.com\n", i)
	}
	b.WriteString("c7@example.com\nC49999@example.com\n")
	box := &looked{Outbox: outbox(t)}
	for i := range 10 {
		if err := box.Put(t.Context(), message(t, fprom.Cancellation{Email: fmt.Sprintf("c%d@example.com", 100*i)})); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, box, fprom.Result{Outcome: fprom.Tracked}, nil)
	for _, c := range []struct {
		dry           bool
		queued, known int
	}{{true, rows - 10, 12}, {false, rows - 10, 12}, {false, 0, rows + 2}} {
		box.times = 0
		r, err := backfill.Run(t.Context(), strings.NewReader(b.String()), backfill.Options{
			Format: backfill.Format{Kind: fprom.KindCancellation}, Outbox: box, DryRun: c.dry,
		})
		if err != nil || r.Rows != rows+2 || r.Queued != c.queued || r.Known != c.known || r.Invalid+r.Repeated != 0 {
			t.Errorf("%+v %v, want %+v", r, err, c)
		}
		if box.times != 1 {
			t.Errorf("%+v: the outbox was looked through %d times", c, box.times)
		}
	}
}

// A customer whom the file has twice is one sign-up. That is no fault of the file: sign-ups have no event id.
func TestASignUpThatIsThereTwice(t *testing.T) {
	t.Parallel()
	const text = "email,tid\na@example.com,t1\nb@example.com,t2\na@example.com,t1\n"
	r, err := backfill.Run(t.Context(), strings.NewReader(text), backfill.Options{Format: backfill.Format{Kind: fprom.KindSignup}, Outbox: outbox(t)})
	if err != nil || r.Queued != 2 || r.Known != 1 || r.Repeated != 0 {
		t.Errorf("%+v %v", r, err)
	}
}
