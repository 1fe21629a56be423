package fprom_test

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
)

// block is foreign code that never returns, from when it is armed until the test ends.
type block struct {
	armed atomic.Bool
	end   chan struct{}
}

func (b *block) wait() {
	if b.armed.Load() {
		<-b.end
	}
}

// RoundTrip blocks a transport.
func (b *block) RoundTrip(r *http.Request) (*http.Response, error) {
	b.wait()
	return always(ok()).RoundTrip(r)
}

type blockedHandler struct {
	slog.Handler
	*block
}

func (blockedHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h blockedHandler) Handle(_ context.Context, r slog.Record) error {
	if r.Level > slog.LevelDebug {
		h.wait()
	}
	return nil
}

// blockedQueue never returns from the first Put, and from what a delivery calls, whatever becomes of ctx.
type blockedQueue struct {
	fprom.Queue
	*block

	puts atomic.Int32
}

func (q *blockedQueue) Put(ctx context.Context, m ...fprom.Message) error {
	if q.puts.Add(1) == 1 {
		q.wait()
	}
	return q.Queue.Put(ctx, m...)
}

func (q *blockedQueue) Stats(ctx context.Context) (fprom.QueueStats, error) {
	q.wait()
	return q.Queue.Stats(ctx)
}

// Admit and Pause implement fprom.Limiter.
func (q *blockedQueue) Admit(context.Context, int) error                  { q.wait(); return nil }
func (q *blockedQueue) Pause(context.Context, time.Duration, error) error { q.wait(); return nil }

// Foreign code that blocks for ever holds up the call that it is in. The checkouts after it go on.
func TestBlockedForeignCode(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(*fprom.Config, *block){
		"transport": func(cfg *fprom.Config, b *block) { cfg.HTTPClient.Transport = b },
		"logger":    func(cfg *fprom.Config, b *block) { cfg.Logger = slog.New(blockedHandler{slog.DiscardHandler, b}) },
		"queue":     func(cfg *fprom.Config, b *block) { cfg.Queue = &blockedQueue{Queue: fprom.NewMemoryQueue(0), block: b} },
		"observer": func(cfg *fprom.Config, b *block) {
			cfg.Observer = func(_ context.Context, s fprom.Step) {
				if s.Stage != fprom.StageEnqueued || s.Message.Key == "sale:first" {
					b.wait()
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, cfg := &block{end: make(chan struct{})}, config(always(ok()))
				use(&cfg, b)
				tracker := start(t, cfg)
				defer close(b.end)
				b.armed.Store(true)
				hook := fprom.NewHook(tracker)
				checkout := func(id string) <-chan struct{} {
					done := make(chan struct{})
					go func() {
						defer close(done)
						serve(t, hook, "_fprom_ref=joe13", func(_ http.ResponseWriter, r *http.Request) {
							if err := fprom.Record(r.Context(), sale(id)); err != nil {
								t.Error(err)
							}
						})
					}()
					return done
				}
				checkout("first")
				synctest.Wait() // it may hang
				for _, id := range []string{"second", "third"} {
					select {
					case <-checkout(id):
					case <-time.After(30 * time.Second):
						t.Fatal("a later checkout hangs")
					}
				}
			})
		})
	}
}
