package fprom_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/fprom-go/fprom"
)

// TestNilTracker: without credentials the same code runs, and nothing is sent.
func TestNilTracker(t *testing.T) {
	t.Parallel()
	var none *fprom.Tracker
	for _, hook := range []*fprom.Hook{fprom.NewHook(nil), fprom.NewHook(none), fprom.NewHook(none, fprom.WithFailClosed())} {
		w := serve(t, hook, "", func(_ http.ResponseWriter, r *http.Request) {
			if err := fprom.Record(r.Context(), validSale("1"), validSale("2")); err != nil {
				t.Error(err)
			}
		})
		if w.Code != http.StatusOK {
			t.Errorf("status %d, want 200", w.Code)
		}
	}
}

// TestEnqueuerWithoutTracker: what an Enqueuer of one's own refuses is in the log, without an address in clear.
func TestEnqueuerWithoutTracker(t *testing.T) { // not parallel: slog.Default is one for all
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer slog.SetDefault(before)
	handler := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if err := fprom.Record(r.Context(), fprom.Cancellation{Email: "ann@example.com"}, validSale("42")); err != nil {
				t.Error(err)
			}
			w.WriteHeader(status)
		}
	}
	for _, without := range []*fprom.Hook{fprom.NewHook(nil), fprom.NewHook((*fprom.Tracker)(nil))} {
		if serve(t, without, "", handler(http.StatusOK)); log.Len() > 0 {
			t.Errorf("logged without a Tracker:\n%s", log.String())
		}
	}
	var refused accepted
	hook := fprom.NewHook(&refused)
	for _, c := range []struct {
		status int
		err    error
		want   []string
	}{
		{http.StatusOK, errors.New("no place"), []string{"level=ERROR", "LOST", "no place", "event=sale:42", "event=cancellation:sha256-"}},
		{http.StatusOK, &fprom.ConflictError{Keys: []string{"sale:42"}}, []string{"level=ERROR", "NOT TRACKED", "sale:42"}},
		{http.StatusOK, &fprom.ConflictError{Keys: []string{"sale:tenant-7-42"}}, []string{"level=ERROR", "NOT TRACKED", "sale:42"}},
		{http.StatusOK, &fprom.ConflictError{}, []string{"level=ERROR", "NOT TRACKED", "sale:42"}},
		{http.StatusOK, (*fprom.ConflictError)(nil), []string{"level=ERROR", "Enqueuer panicked", "LOST", "sale:42"}},
		{http.StatusBadGateway, nil, []string{"level=DEBUG", "not sent", "event=sale:42", "event=cancellation:sha256-"}},
	} {
		log.Reset()
		refused.err = c.err
		serve(t, hook, "", handler(c.status))
		for _, part := range c.want {
			if !strings.Contains(log.String(), part) {
				t.Errorf("status %d, %v: no %q in the log:\n%s", c.status, c.err, part, log.String())
			}
		}
		if strings.Contains(log.String(), "ann@example.com") {
			t.Errorf("status %d, %v: an e-mail address in the log:\n%s", c.status, c.err, log.String())
		}
	}
}

// TestEnqueuerRemembers: what an id was used for is known to an Enqueuer of one's own only. So it gets the event again, with
// whatever amount.
func TestEnqueuerRemembers(t *testing.T) {
	t.Parallel()
	var got accepted
	hook := fprom.NewHook(&got)
	for _, amount := range []int64{4900, 4900, 100} {
		serve(t, hook, "", func(_ http.ResponseWriter, r *http.Request) {
			sale := validSale("1")
			sale.Amount = amount
			record(t, r, sale)
		})
	}
	if len(got.events) != 3 {
		t.Errorf("accepted %d events, want 3", len(got.events))
	}
}

// TestBegin: a framework without net/http says itself what the status is.
func TestBegin(t *testing.T) {
	t.Parallel()
	cookies := http.Header{"Cookie": {"_fprom_tid=abc"}}
	for _, c := range []struct {
		name     string
		statuses []int
		finish   bool
		want     int
		opts     []fprom.MiddlewareOption
	}{
		{"success", []int{200}, true, 1, nil},
		{"informational first", []int{103, 201}, true, 1, nil},
		{"error", []int{404}, true, 0, nil},
		{"no status", nil, true, 0, nil},
		{"not a status", []int{0}, true, 0, nil},
		{"panic before the status", nil, false, 0, nil},
		{"panic after the status", []int{200}, false, 1, nil},
		{"success or a 503", []int{200}, true, 1, []fprom.MiddlewareOption{fprom.WithFailClosed()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got accepted
			rec := fprom.NewHook(&got, c.opts...).Begin(context.WithValue(t.Context(), ctxKey{}, "outer"), cookies)
			if err := fprom.Record(rec.Request().Context(), validSale("1")); err != nil {
				t.Error(err)
			}
			for _, status := range c.statuses {
				if err := rec.Commit(status); err != nil {
					t.Error(err)
				}
			}
			if c.finish {
				rec.Finish()
			}
			rec.Close()
			if len(got.events) != c.want {
				t.Errorf("accepted %d events, want %d", len(got.events), c.want)
			}
			if len(got.events) == 1 && (got.events[0].(fprom.Sale).TID != "abc" || got.ctx.Value(ctxKey{}) != "outer") {
				t.Errorf("accepted %+v, want the visitor's tid and the values of the request's context", got.events[0])
			}
		})
	}
}
