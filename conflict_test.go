package fprom_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/nethttpadapter"
)

func TestConflictIsReportedOnce(t *testing.T) {
	renewal := sale("sub_1")
	renewal.Amount++
	euros := sale("sub_1")
	euros.Currency = "EUR"
	same := sale("sub_1")
	same.Currency = "usd" // the wire form is the same

	for name, other := range map[string]fprom.Sale{"amount": renewal, "currency": euros} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := always(ok())
				var seen steps
				cfg := config(f)
				cfg.Observer = seen.observe
				tracker := start(t, cfg)
				enqueue(t, tracker, sale("sub_1"), same)
				conflicting(t, tracker, other, other)
				enqueue(t, tracker, same)
				flush(t, tracker, time.Minute)
				conflicting(t, tracker, other)
				got := seen.of(fprom.StageConflict)
				if len(got) != 3 || !errors.Is(got[0].Err, fprom.ErrConflict) || tracker.Stats().Conflicts != 3 {
					t.Errorf("conflicts reported: %v", got)
				}
				if n := len(f.seen()); n != 1 {
					t.Errorf("%d calls, want 1", n)
				}
			})
		})
	}
}

// Whichever way an event came, a second one with its id and other money is reported.
func TestConflictWithTrack(t *testing.T) {
	other := sale("sub_1")
	other.Amount++
	track := func(t *testing.T, tracker *fprom.Tracker, s fprom.Sale, want fprom.Outcome) {
		t.Helper()
		if r, err := tracker.Track(t.Context(), s); r.Outcome != want || errors.Is(err, fprom.ErrConflict) != (want == fprom.Rejected) {
			t.Errorf("Track: %v, %v; want %v", r.Outcome, err, want)
		} else if fprom.IsPermanent(err) != (want == fprom.Rejected) {
			t.Errorf("IsPermanent of %v: %v", err, fprom.IsPermanent(err))
		}
	}
	tests := map[string]func(*testing.T, *fprom.Tracker){
		"two Tracks": func(t *testing.T, tracker *fprom.Tracker) {
			t.Helper()
			track(t, tracker, sale("sub_1"), fprom.Tracked)
			track(t, tracker, other, fprom.Rejected)
			track(t, tracker, other, fprom.Rejected)
		},
		"Enqueue after Track": func(t *testing.T, tracker *fprom.Tracker) {
			t.Helper()
			track(t, tracker, sale("sub_1"), fprom.Tracked)
			conflicting(t, tracker, other)
		},
		"Track after Enqueue": func(t *testing.T, tracker *fprom.Tracker) {
			t.Helper()
			enqueue(t, tracker, sale("sub_1"))
			flush(t, tracker, time.Minute)
			track(t, tracker, other, fprom.Rejected)
		},
		"Track before the queue's attempt": func(t *testing.T, tracker *fprom.Tracker) {
			t.Helper()
			enqueue(t, tracker, sale("sub_1"))
			track(t, tracker, other, fprom.Rejected)
			flush(t, tracker, time.Minute)
			if s := tracker.Stats(); s.Tracked != 1 || s.Queue.Dead != 0 {
				t.Errorf("%d tracked, %d given up: what was accepted first must stand", s.Tracked, s.Queue.Dead)
			}
		},
		"Enqueue during Track": func(t *testing.T, tracker *fprom.Tracker) {
			t.Helper()
			go track(t, tracker, sale("sub_1"), fprom.Tracked)
			settle()
			enqueue(t, tracker, other)
			flush(t, tracker, time.Minute)
			if s := tracker.Stats(); s.Rejected != 1 || s.Queue.Dead != 1 {
				t.Errorf("%d given up, %d dead letters; want the event that was accepted", s.Rejected, s.Queue.Dead)
			}
			track(t, tracker, other, fprom.Rejected)
		},
	}
	tests["Enqueue during Track, with a slow Put"] = tests["Enqueue during Track"]
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := always(reply{status: 200, body: okBody, after: time.Second})
				var seen steps
				cfg := config(f)
				cfg.Observer = seen.observe
				if strings.HasSuffix(name, "slow Put") {
					cfg.Queue = lateQueue{fprom.NewMemoryQueue(0)}
				}
				tracker := start(t, cfg)
				test(t, tracker)
				for _, c := range seen.of(fprom.StageConflict) {
					if c.Message.Key != "sale:sub_1" || !errors.Is(c.Err, fprom.ErrConflict) {
						t.Errorf("a conflict of %q: %v", c.Message.Key, c.Err)
					}
				}
				s := tracker.Stats()
				if s.Conflicts == 0 || len(f.seen()) != 1 {
					t.Errorf("%d calls, %d conflicts; want 1 and some", len(f.seen()), s.Conflicts)
				}
				if dead := s.Queue.Dead; s.Rejected != uint64(dead) {
					t.Errorf("%d events count as given up, %d dead letters", s.Rejected, dead)
				}
			})
		})
	}
}

// In a queue that other processes deliver from, too, only the queue knows what became of an event: a dead letter's id is free.
func TestCorrectedAfterItDiedElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := &shared{recorder: newRecorder()}
		q.onPut = func(_ []fprom.Message, put func() error) error {
			if q.puts == 1 {
				return nil // another process takes it, and FirstPromoter rejects it
			}
			return put()
		}
		f := always(ok())
		cfg := config(f)
		cfg.Queue = q
		tracker := start(t, cfg)
		corrected := sale("a")
		corrected.Amount++
		enqueue(t, tracker, sale("a"), corrected)
		flush(t, tracker, time.Minute)
		conflicting(t, tracker, sale("a")) // this process has delivered the other one
		if n := len(f.seen()); n != 1 || q.puts != 2 {
			t.Errorf("%d calls, %d puts; want 1 and 2", n, q.puts)
		}
	})
}

// What the cache has forgotten the queue may still know.
func TestConflictThatTheQueueFinds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(reply{status: 500})
		cfg := config(f)
		cfg.Dedupe.TTL = time.Minute
		var seen steps
		cfg.Observer = seen.observe
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("x"))
		time.Sleep(time.Hour)
		other := sale("x")
		other.Amount++
		enqueue(t, tracker, sale("x"))
		conflicting(t, tracker, other, other)
		if got := seen.of(fprom.StageConflict); len(got) != 2 || !errors.Is(got[0].Err, fprom.ErrConflict) {
			t.Errorf("conflicts: %+v", got)
		}
		if s := tracker.Stats(); s.Queue.Pending != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

// An Observer that hears of a conflict may record the event again, under an id of its own.
func TestObserverRecordsAfterAConflict(t *testing.T) {
	t.Parallel()
	cfg := config(always(ok()))
	cfg.Observer = func(ctx context.Context, s fprom.Step) {
		if s.Stage == fprom.StageConflict {
			if err := fprom.Record(ctx, sale("b")); err != nil {
				t.Error(err)
			}
		}
	}
	tracker := start(t, cfg)
	other := sale("a")
	other.Amount++
	h := nethttpadapter.Middleware(tracker)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := fprom.Record(r.Context(), sale("a")); err != nil {
			t.Error(err)
		}
		if err := fprom.Record(r.Context(), other); !errors.Is(err, fprom.ErrConflict) {
			t.Errorf("Record: %v", err)
		}
	}))
	served := make(chan struct{})
	go func() {
		defer close(served)
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody))
	}()
	select {
	case <-served:
		if n := tracker.Stats().Enqueued; n != 2 {
			t.Errorf("%d events enqueued, want 2", n)
		}
	case <-time.After(10 * time.Second):
		t.Error("the request hangs")
	}
}

// Two amounts under one id in one call: the first is stored, and only the second is a conflict.
func TestConflictWithinOneEnqueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var seen steps
		f := always(ok())
		cfg := config(f)
		cfg.Observer = seen.observe
		tracker := start(t, cfg)
		first, second := sale("a"), sale("a")
		second.Amount++
		err := tracker.Enqueue(t.Context(), first, sale("b"), second, first)
		c, _ := errors.AsType[*fprom.ConflictError](err)
		if c == nil || !slices.Equal(c.Keys, []string{"sale:a"}) {
			t.Fatalf("Enqueue: %v", err)
		}
		flush(t, tracker, time.Minute)
		conflicts := seen.of(fprom.StageConflict)
		if len(conflicts) != 1 || len(seen.of(fprom.StageEnqueued)) != 2 {
			t.Fatalf("%d conflicts, %d enqueued; want 1 and 2", len(conflicts), len(seen.of(fprom.StageEnqueued)))
		}
		if amount, _ := conflicts[0].Message.Money(); amount != second.Amount {
			t.Errorf("the conflict is about an amount of %d, want %d", amount, second.Amount)
		}
		if s := tracker.Stats(); s.Tracked != 2 || s.Known != 1 || s.Conflicts != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}
