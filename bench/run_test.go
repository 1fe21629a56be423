package bench

import (
	"context"
	"sync"

	"github.com/fprom-go/fprom"
)

// workersOf is how many deliveries run makes at once for a queue; 4 for one that it does not have.
var workersOf sync.Map

// runQueue is q.Run for a deliver whose result does not matter.
func runQueue(ctx context.Context, q fprom.Queue, deliver func(context.Context, fprom.Message) error) error {
	n := 4
	if v, ok := workersOf.Load(q); ok {
		n = v.(int)
	}
	return q.Run(ctx, n, func(ctx context.Context, m fprom.Message) (fprom.Result, error) {
		return fprom.Result{Outcome: fprom.Tracked}, deliver(ctx, m)
	})
}
