package figures_test

import (
	"cmp"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/paddle"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/figures"
)

func TestNames(t *testing.T) {
	t.Parallel()
	result := func(o fprom.Outcome, status int) fprom.Result { return fprom.Result{Outcome: o, StatusCode: status} }
	for _, tt := range []struct {
		name             string
		s                fprom.Step
		outcome, attempt string
	}{
		{"stored", fprom.Step{Stage: fprom.StageEnqueued}, "", ""},
		{"tracked", fprom.Step{Stage: fprom.StageDelivered, Result: result(fprom.Tracked, 200), Elapsed: 1}, "tracked", "tracked"},
		{"known here", fprom.Step{Stage: fprom.StageDelivered, Result: result(fprom.Duplicate, 0)}, "duplicate", ""},
		{"asked again", fprom.Step{Stage: fprom.StageRetry, Result: result(fprom.NotReferral, 404), Elapsed: 1}, "", "not-referral"},
		{"rejected", fprom.Step{Stage: fprom.StageDead, Result: result(fprom.Rejected, 400), Elapsed: 1}, "dead", "rejected"},
		{"given up", fprom.Step{Stage: fprom.StageDead, Result: result(fprom.Undelivered, 500), Elapsed: 1}, "dead", "failed"},
		{"time-out", fprom.Step{Stage: fprom.StageRetry, Result: result(fprom.Undelivered, 0), Elapsed: 1}, "", "failed"},
		{"down", fprom.Step{Stage: fprom.StageRetry, Result: result(fprom.Undelivered, 503), Elapsed: 1}, "", "failed"},
		{"429", fprom.Step{Stage: fprom.StagePaused, Result: result(fprom.Undelivered, 429), Elapsed: 1}, "", "throttled"},
		{"503 with Retry-After", fprom.Step{Stage: fprom.StagePaused, Result: result(fprom.Undelivered, 503), Elapsed: 1}, "", "throttled"},
		{"401", fprom.Step{Stage: fprom.StagePaused, Result: result(fprom.Undelivered, 401), Elapsed: 1}, "", "refused"},
		{"402", fprom.Step{Stage: fprom.StagePaused, Result: result(fprom.Undelivered, 402), Elapsed: 1}, "", "refused"},
		{"one 403", fprom.Step{Stage: fprom.StageRetry, Result: result(fprom.Undelivered, 403), Elapsed: 1}, "", "refused"},
		{"lost", fprom.Step{Stage: fprom.StageLost}, "lost", ""},
		{"conflict", fprom.Step{Stage: fprom.StageConflict}, "conflict", ""},
		{"discarded", fprom.Step{Stage: fprom.StageDiscarded}, "discarded", ""},
	} {
		outcome, _ := figures.Outcome(tt.s)
		attempt, _ := figures.Attempt(tt.s)
		if outcome != tt.outcome || attempt != tt.attempt {
			t.Errorf("%s: outcome %q, attempt %q, want %q and %q", tt.name, outcome, attempt, tt.outcome, tt.attempt)
		}
	}
}

// TestWebhookNames: what a handler answers, and whose fault it is, decides the result.
func TestWebhookNames(t *testing.T) {
	t.Parallel()
	right := fpromtest.TestWebhookSecret
	for _, tt := range []struct {
		name, secret string
		event        string // default transaction.completed
		c            fpromtest.WebhookConfig
		change       func(*http.Request)
		err          error // of the queue
		want         string
	}{
		{name: "sale", secret: right, want: "tracked"},
		{name: "another event reports it", secret: right, event: "transaction.paid", want: "skipped"},
		{name: "no customer", secret: right, event: "adjustment.updated", want: "may-lose"},
		{name: "id of another amount", secret: right, err: fprom.ErrConflict, want: "conflict"},
		{name: "not stored", secret: right, err: fprom.ErrQueueFull, want: "failed"},
		{name: "wrong secret", secret: "another", want: "refused"},
		{name: "blank after the secret", secret: right + " ", want: "refused"},
		{name: "no secret", want: "refused"},
		{name: "old", secret: right, c: fpromtest.WebhookConfig{At: time.Now().Add(-time.Hour)}, want: "refused"},
		{name: "a middleware reads the body", secret: right, change: func(r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }, want: "refused"},
		{name: "a redirect makes it a GET", secret: right, change: func(r *http.Request) { r.Method = http.MethodGet }, want: "refused"},
		{name: "scanner", secret: right, change: func(r *http.Request) { r.Header = http.Header{} }, want: "stray"},
		{name: "scanner, and no secret", change: func(r *http.Request) { r.Header = http.Header{} }, want: "stray"},
		{name: "browser", secret: right, change: func(r *http.Request) { r.Method, r.Header = http.MethodGet, http.Header{} }, want: "stray"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			h := paddle.Handler(&billingtest.Sink{Err: tt.err}, tt.secret, billingtest.Quiet(), billing.WithObserver(func(_ context.Context, x billing.Explanation) {
				got = append(got, figures.Webhook(x))
			}))
			r, err := fpromtest.Webhook("paddle", cmp.Or(tt.event, "transaction.completed"), tt.c)
			if err != nil {
				t.Fatal(err)
			}
			if tt.change != nil {
				tt.change(r)
			}
			h.ServeHTTP(httptest.NewRecorder(), r)
			if !slices.Equal(got, []string{tt.want}) {
				t.Errorf("%q, want %s", got, tt.want)
			}
		})
	}
}

// TestNamesAreClosed: whatever is observed, no name is outside of the lists.
func TestNamesAreClosed(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		s := figures.Random(r)
		if k := figures.Kind(s); !slices.Contains(figures.Kinds, k) {
			t.Fatalf("kind %q of %+v", k, s)
		}
		if o, ok := figures.Outcome(s); ok && !slices.Contains(figures.Outcomes, o) {
			t.Fatalf("outcome %q of %+v", o, s)
		}
		if a, ok := figures.Attempt(s); ok && !slices.Contains(figures.Results, a) {
			t.Fatalf("result %q of %+v", a, s)
		}
		if d, ok := figures.Delivery(s); ok && d < 0 {
			t.Fatalf("delivery takes %v", d)
		}
		if x := figures.RandomWebhook(r); !slices.Contains(figures.WebhookResults, figures.Webhook(x)) {
			t.Fatalf("result %q of %+v", figures.Webhook(x), x)
		}
	}
}

func TestDeliveryIsFromAcceptedToOutcome(t *testing.T) {
	t.Parallel()
	s := fprom.Step{Stage: fprom.StageDelivered, Message: fprom.Message{RecordedAt: time.Now().Add(-48 * time.Hour)}}
	if d, ok := figures.Delivery(s); !ok || d.Round(time.Minute) != 48*time.Hour {
		t.Errorf("%v, %v, want two days", d, ok)
	}
	dead, unknown, bulk := s, s, s
	dead.Stage, unknown.Message, bulk.Message.Bulk = fprom.StageDead, fprom.Message{}, true
	for _, none := range []fprom.Step{dead, unknown, bulk} {
		if d, ok := figures.Delivery(none); ok {
			t.Errorf("%v of %+v", d, none)
		}
	}
}

// TestPaused: another process that shares the queue knows of the pause, too.
func TestPaused(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	for _, s := range []fprom.Stats{{PausedUntil: at}, {Queue: fprom.QueueStats{PausedUntil: at}}} {
		if !figures.Paused(s) || figures.Paused(fprom.Stats{}) {
			t.Errorf("%+v is not paused, or without a pause it is", s)
		}
	}
}

// TestLastSuccess: the newer one of the outbox's and the process's own.
func TestLastSuccess(t *testing.T) {
	t.Parallel()
	older, newer := time.Unix(1000, 0), time.Unix(2000, 0)
	for _, s := range []fprom.Stats{{LastSuccess: newer, Queue: fprom.QueueStats{LastSuccess: older}}, {LastSuccess: older, Queue: fprom.QueueStats{LastSuccess: newer}}} {
		if at, ok := figures.LastSuccess(s); !ok || at != 2000 {
			t.Errorf("%v %v", at, ok)
		}
	}
}
