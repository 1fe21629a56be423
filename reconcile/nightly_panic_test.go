package reconcile_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/outboxtest"
	"github.com/fprom-go/fprom/reconcile"
)

type panickyTransport struct{}

func (panickyTransport) RoundTrip(*http.Request) (*http.Response, error) { panic("foreign code") }

type panickyOutbox struct{ *outboxtest.Outbox }

func (panickyOutbox) Entries(context.Context, fprom.Filter) iter.Seq2[fprom.Entry, error] {
	panic("foreign code")
}

type panickyWriter struct{ io.Writer }

func (panickyWriter) Write([]byte) (int, error) { panic("foreign code") }

// A service starts Run on a goroutine of its own, where a panic would end the process, and with it the checkouts.
func TestNightlyOutlivesPanics(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		spoil  func(*reconcile.Nightly, *firstpromoter.Config)
		failed bool // the comparison
		logged bool
	}{
		{"transport", func(_ *reconcile.Nightly, cfg *firstpromoter.Config) {
			cfg.HTTPClient = &http.Client{Transport: panickyTransport{}}
		}, true, true},
		{"outbox", func(n *reconcile.Nightly, _ *firstpromoter.Config) { n.Outbox = panickyOutbox{&outboxtest.Outbox{}} }, true, true},
		{"Done", func(n *reconcile.Nightly, _ *firstpromoter.Config) {
			n.Done = func(reconcile.Report, error) { panic("foreign code") }
		}, false, true},
		{"Logger", func(n *reconcile.Nightly, cfg *firstpromoter.Config) {
			cfg.APIKey = "another" // so that there is something to log
			n.Logger = slog.New(slog.NewTextHandler(panickyWriter{}, nil))
		}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fake := fpromtest.NewServer(t, fpromtest.InMemory())
				var log bytes.Buffer
				n := &reconcile.Nightly{Outbox: &outboxtest.Outbox{}, Logger: slog.New(slog.NewTextHandler(&log, nil))}
				cfg := firstpromoter.Config{BaseURL: fake.URL, APIKey: fake.APIKey, AccountID: fake.AccountID, HTTPClient: fake.Config().HTTPClient}
				c.spoil(n, &cfg)
				client, err := firstpromoter.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				n.Client = client
				ctx, cancel := context.WithTimeout(t.Context(), 48*time.Hour)
				defer cancel()
				if err := n.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Run: %v", err)
				}
				if last := n.Last(); time.Since(last.At) > 24*time.Hour || (last.Err != nil) != c.failed {
					t.Errorf("last comparison %v ago: %v", time.Since(last.At), last.Err)
				}
				if logged := strings.Contains(log.String(), "level=ERROR") && strings.Contains(log.String(), "foreign code"); logged != c.logged {
					t.Errorf("logged:\n%s", log.String())
				}
			})
		})
	}
}
