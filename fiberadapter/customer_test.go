package fiberadapter_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fiberadapter"
	"github.com/fprom-go/fprom/fpromtest"
)

// TestFormValues: a handler may pass strings of the request without a copy. A stored message is still right after Fiber has
// reused the request's memory.
func TestFormValues(t *testing.T) {
	t.Parallel()
	q := &keepingQueue{}
	tracker := fpromtest.NewTracker(t, fpromtest.NewServer(t), func(c *fprom.Config) { c.Queue = q })
	app := fiber.New()
	app.Use(fiberadapter.Middleware(tracker))
	app.Post("/", func(c fiber.Ctx) error {
		return fiberadapter.Record(c, fprom.Sale{EventID: c.Query("id"), Email: c.Query("email"), Amount: 4900})
	})
	h := adaptor.FiberApp(app)
	for _, query := range []string{"id=1&email=ann@example.com", "id=2&email=bob@example.com"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/?"+query, http.NoBody))
	}
	var got []string
	for _, m := range q.messages {
		got = append(got, m.Key+" "+m.Customer)
	}
	if want := []string{"sale:1 ann@example.com", "sale:2 bob@example.com"}; !slices.Equal(got, want) {
		t.Errorf("stored %q, want %q", got, want)
	}
}

// keepingQueue keeps messages in memory and delivers none.
type keepingQueue struct{ messages []fprom.Message }

func (q *keepingQueue) Put(_ context.Context, ms ...fprom.Message) error {
	q.messages = append(q.messages, ms...)
	return nil
}

func (*keepingQueue) Run(ctx context.Context, _ int, _ func(context.Context, fprom.Message) (fprom.Result, error)) error {
	<-ctx.Done()
	return nil
}

func (*keepingQueue) Flush(context.Context) error                     { return nil }
func (*keepingQueue) Stats(context.Context) (fprom.QueueStats, error) { return fprom.QueueStats{}, nil }
func (*keepingQueue) Close() error                                    { return nil }
