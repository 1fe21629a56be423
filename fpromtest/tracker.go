package fpromtest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// NewTracker returns a Tracker for one test that reports to s. It logs to tb, including debug lines. It does not pace its calls, because
// that would cost a test 0.15 s for each call. At the end of the test it is shut down within 10 seconds; events that are not delivered
// by then are logged. Each change may alter the Config. In a synctest bubble pass the bubble's *testing.T.
func NewTracker(tb testing.TB, s *Server, change ...func(*fprom.Config)) *fprom.Tracker {
	tb.Helper()
	cfg := s.Config()
	cfg.RequestsPerMinute = 60_000
	cfg.Logger = slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, f := range change {
		f(&cfg)
	}
	tracker, err := fprom.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := tracker.Shutdown(ctx); err != nil {
			tb.Logf("fpromtest: shut down the tracker: %v", err)
		}
	})
	return tracker
}
