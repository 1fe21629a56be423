package fprom

import "context"

// Enqueuer accepts events for delivery. *Tracker is one.
type Enqueuer interface {
	Enqueue(ctx context.Context, e Event) error
}
