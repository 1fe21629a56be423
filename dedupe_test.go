package fprom_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
)

func TestConcurrentEnqueueOfOneIDIsOneCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(ok())
		tracker := start(t, config(f))
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { enqueue(t, tracker, sale("ch_1")) })
		}
		wg.Wait()
		flush(t, tracker, time.Minute)
		s := tracker.Stats()
		if n := f.count("ch_1"); n != 1 || s.Enqueued+s.Known != 100 || s.Tracked != 1 {
			t.Errorf("%d calls, stats %+v", n, s)
		}
	})
}

// A sale and a refund may share an id; ids are compared byte for byte.
func TestKeysAreApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(ok())
		tracker := start(t, config(f))
		blank := sale("id")
		blank.EventID = " id"
		enqueue(t, tracker, sale("id"), refund("id"), sale("ID"), blank,
			fprom.Signup{Email: "id@example.com", TID: "t"}, fprom.Cancellation{Email: "id@example.com"},
			fprom.Signup{Email: "ID@example.com", TID: "u"}) // addresses are compared without case
		flush(t, tracker, time.Minute)
		if n := len(f.seen()); n != 6 {
			t.Errorf("%d calls, want 6", n)
		}
	})
}

func TestEnqueueDuringTrackThatFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		failed := make(chan struct{})
		f := &fake{answer: func(n int, _ call) reply {
			if n == 1 {
				return reply{status: 500, wait: failed}
			}
			return ok()
		}}
		tracker := start(t, config(f))
		go func() {
			if _, err := tracker.Track(t.Context(), sale("ch_1")); err == nil {
				t.Error("Track: no error")
			}
		}()
		settle()
		enqueue(t, tracker, sale("ch_1"))
		settle()
		if n := len(f.seen()); n != 1 {
			t.Fatalf("%d calls while the first is in flight, want 1", n)
		}
		close(failed)
		flush(t, tracker, time.Minute)
		if s := tracker.Stats(); s.Tracked != 1 || len(f.seen()) != 2 {
			t.Errorf("%d calls, stats %+v", len(f.seen()), s)
		}
	})
}

// Track waits for another call with its id, but no longer than its context.
func TestTrackDuringTrack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(reply{status: 200, body: okBody, after: 5 * time.Second})
		tracker := start(t, config(f))
		go func() { _, _ = tracker.Track(t.Context(), sale("ch_1")) }()
		settle()
		begin := time.Now()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if r, err := tracker.Track(short, sale("ch_1")); !errors.Is(err, context.DeadlineExceeded) || r.Outcome != fprom.Undelivered || time.Since(begin) != time.Second {
			t.Errorf("Track: %v, %v after %v", r.Outcome, err, time.Since(begin))
		}
		if r, err := tracker.Track(t.Context(), sale("ch_1")); err != nil || r.Outcome != fprom.Duplicate || len(f.seen()) != 1 {
			t.Errorf("Track: %v, %v; %d calls", r.Outcome, err, len(f.seen()))
		}
	})
}

// An answer that has arrived counts, also for a caller that has gone meanwhile.
func TestCallerGoneAtTheAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		answer := ok()
		answer.onCtx = func(context.Context) { cancel() }
		f := always(answer)
		tracker := start(t, config(f))
		for _, want := range []fprom.Outcome{fprom.Tracked, fprom.Duplicate} {
			if r, err := tracker.Track(ctx, sale("ch_1")); r.Outcome != want || err != nil || len(f.seen()) != 1 {
				t.Errorf("Track: %v, %v after %d calls; want %v after one", r.Outcome, err, len(f.seen()), want)
			}
		}
	})
}

func TestEnqueueDuringTrackThatSucceeds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		answered := make(chan struct{})
		f := always(reply{status: 200, body: okBody, wait: answered})
		tracker := start(t, config(f))
		go func() {
			if r, err := tracker.Track(t.Context(), sale("ch_1")); r.Outcome != fprom.Tracked || err != nil {
				t.Errorf("Track: %v, %v", r.Outcome, err)
			}
		}()
		settle()
		enqueue(t, tracker, sale("ch_1"))
		close(answered)
		flush(t, tracker, time.Minute)
		settle() // Track counts after it has let the other go
		if s := tracker.Stats(); len(f.seen()) != 1 || s.Tracked != 1 || s.Duplicate != 1 {
			t.Errorf("%d calls, stats %+v", len(f.seen()), s)
		}
	})
}

// redelivers delivers each event twice, as a queue does whose process could not store the first outcome.
type redelivers struct {
	sink
	put      chan fprom.Message
	outcomes chan fprom.Outcome
}

func (q redelivers) Put(_ context.Context, ms ...fprom.Message) error {
	q.put <- ms[0]
	return nil
}

func (q redelivers) Run(ctx context.Context, _ int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	m := <-q.put
	for range 2 {
		r, _ := deliver(ctx, m)
		q.outcomes <- r.Outcome
	}
	<-ctx.Done()
	return nil
}

// An event that is delivered once more, since its outcome could not be stored, is not sent again. If FirstPromoter did not register
// it, it does not become a Duplicate.
func TestOutcomeOfADeliveryThatIsRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for want, answer := range map[fprom.Outcome]reply{fprom.Duplicate: ok(), fprom.NotReferral: unknownYet} {
			f := always(answer)
			cfg := config(f)
			q := redelivers{put: make(chan fprom.Message, 1), outcomes: make(chan fprom.Outcome, 2)}
			cfg.Queue = q
			enqueue(t, start(t, cfg), sale("ch_1"))
			<-q.outcomes
			if got := <-q.outcomes; got != want || len(f.seen()) != 1 {
				t.Errorf("%s after %d calls, want %s after one", got, len(f.seen()), want)
			}
		}
	})
}

// failsFirstPut returns a queue whose first Put fails when fails is closed.
func failsFirstPut() (q *recorder, fails chan struct{}) {
	q, fails = newRecorder(), make(chan struct{})
	q.onPut = func(_ []fprom.Message, put func() error) error {
		if q.puts == 1 {
			<-fails
			return errors.New("disk full")
		}
		return put()
	}
	return q, fails
}

// A duplicate is accepted when it is stored itself, whatever becomes of another call that still tries to.
func TestDuplicateOfAPutThatFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q, fails := failsFirstPut()
		f := always(ok())
		cfg := config(f)
		cfg.Queue = q
		tracker := start(t, cfg)
		first := make(chan error, 1)
		go func() { first <- tracker.Enqueue(t.Context(), sale("ch_1")) }()
		settle()
		gone, cancel := context.WithCancel(t.Context())
		cancel() // a caller that is gone changes nothing: ctx is for its values
		if err := tracker.Enqueue(gone, sale("ch_1")); err != nil || q.puts != 2 {
			t.Errorf("the second Enqueue: %v after %d Puts; want it to store the event", err, q.puts)
		}
		close(fails)
		if err := <-first; err == nil {
			t.Error("the first Enqueue says nothing of its Put's failure")
		}
		flush(t, tracker, time.Minute)
		if n := f.count("ch_1"); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}

// Of two Puts of one event one fails: the event waits all the same, so Track finds that another amount is a conflict.
func TestConflictAfterAPutThatFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q, fails := failsFirstPut()
		f := script(reply{status: 500}, ok())
		cfg := config(f)
		cfg.Queue, cfg.Retry.Base, cfg.Retry.Max = q, time.Hour, time.Hour
		tracker := start(t, cfg)
		go func() { _ = tracker.Enqueue(t.Context(), sale("ch_1")) }()
		settle()
		enqueue(t, tracker, sale("ch_1"))
		close(fails)
		settle()
		other := sale("ch_1")
		other.Amount++
		if _, err := tracker.Track(t.Context(), other); !errors.Is(err, fprom.ErrConflict) || len(f.seen()) != 1 {
			t.Errorf("Track of another amount: %v after %d calls, want a conflict after 1", err, len(f.seen()))
		}
	})
}

func TestRejectedIsReleased(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := script(reply{status: 400, body: `{"message":"Error. Amount blank or invalid."}`}, ok())
		tracker := start(t, config(f))
		enqueue(t, tracker, sale("ch_1"))
		flush(t, tracker, time.Minute)
		if s := tracker.Stats(); s.Queue.Dead != 1 || s.Queue.Pending != 0 {
			t.Errorf("stats %+v", s)
		}
		enqueue(t, tracker, sale("ch_1"))
		flush(t, tracker, time.Minute)
		if s := tracker.Stats(); s.Rejected != 1 || s.Tracked != 1 {
			t.Errorf("%d calls, stats %+v", len(f.seen()), s)
		}
	})
}

// An event that was rejected may be sent with another amount, whatever this process knew of it: a failure before, or that it waited,
// while further events were stored.
func TestCorrectedByTrack(t *testing.T) {
	rejected := reply{status: 400, body: `{"message":"Error. Amount blank or invalid."}`, after: time.Second}
	tests := map[string]struct {
		answers []reply
		later   []fprom.Event
	}{
		"at once":                    {[]reply{rejected}, nil},
		"after a failure":            {[]reply{{status: 500}, rejected}, nil},
		"after a failure, and later": {[]reply{{status: 500}, rejected}, []fprom.Event{sale("ch_3"), sale("ch_4")}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				first := tt.answers
				var mu sync.Mutex
				f := &fake{answer: func(_ int, c call) (r reply) {
					mu.Lock()
					defer mu.Unlock()
					if !c.has("ch_1") || len(first) == 0 {
						return ok()
					}
					r, first = first[0], first[1:]
					return r
				}}
				cfg := config(f)
				cfg.Dedupe.MaxEntries = 2
				tracker := start(t, cfg)
				enqueue(t, tracker, sale("ch_1"))
				settle()
				enqueue(t, tracker, sale("ch_2"))
				flush(t, tracker, time.Minute)
				enqueue(t, tracker, tt.later...)
				flush(t, tracker, time.Minute)
				corrected := sale("ch_1")
				corrected.Amount++
				if r, err := tracker.Track(t.Context(), corrected); r.Outcome != fprom.Tracked {
					t.Errorf("Track: %v, %v", r.Outcome, err)
				}
			})
		})
	}
}

// The worker may be quicker than the Put that woke it.
func TestRejectedBeforePutReturned(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := script(reply{status: 400, body: `{"message":"Error. Amount blank or invalid."}`}, ok())
		q := newRecorder()
		q.onPut = func(_ []fprom.Message, put func() error) error {
			err := put()
			time.Sleep(100 * time.Millisecond) // until the event is a dead letter
			return err
		}
		cfg := config(f)
		cfg.Queue = q
		tracker := start(t, cfg)
		corrected := sale("ch_1")
		corrected.Amount++
		enqueue(t, tracker, sale("ch_1"), corrected)
		flush(t, tracker, time.Minute)
		if s := tracker.Stats(); s.Rejected != 1 || s.Tracked != 1 {
			t.Errorf("%d calls, stats %+v: a rejected event is still known", len(f.seen()), s)
		}
	})
}

// Nor is the corrected event a conflict if that Put returns when it waits already.
func TestCorrectedBeforePutReturned(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newRecorder()
		q.onPut = func(ms []fprom.Message, put func() error) error {
			err := put()
			if amount, _ := ms[0].Money(); amount == sale("ch_1").Amount {
				time.Sleep(time.Minute)
			}
			return err
		}
		cfg := config(script(reply{status: 400, body: `{"message":"Error. Amount blank or invalid."}`}, reply{status: 500}, ok()))
		cfg.Queue, cfg.Retry.Base, cfg.Retry.Max = q, time.Hour, time.Hour
		tracker := start(t, cfg)
		go func() { _ = tracker.Enqueue(t.Context(), sale("ch_1")) }()
		settle()
		corrected := sale("ch_1")
		corrected.Amount++
		enqueue(t, tracker, corrected)
		time.Sleep(time.Minute)
		flush(t, tracker, 2*time.Hour)
		if s := tracker.Stats(); s.Tracked != 1 || s.Rejected != 1 {
			t.Errorf("stats %+v, want the corrected sale tracked", s)
		}
	})
}

// A Track that is rejected says nothing about the copy in the queue, which is still there.
func TestTrackRejectedWhileQueued(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &fake{answer: func(n int, c call) reply {
			switch n {
			case 1:
				return reply{status: 500}
			case 2:
				return reply{status: 400, body: `{"message":"x"}`}
			}
			return ok()
		}}
		cfg := config(f)
		cfg.Retry.Base, cfg.Retry.Max = time.Hour, time.Hour
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("ch_1"))
		settle()
		if r, err := tracker.Track(t.Context(), sale("ch_1")); r.Outcome != fprom.Rejected {
			t.Fatalf("Track: %v, %v", r.Outcome, err)
		}
		other := sale("ch_1")
		other.Amount++
		if r, err := tracker.Track(t.Context(), other); !errors.Is(err, fprom.ErrConflict) {
			t.Errorf("Track of another amount: %v, %v, want a conflict", r.Outcome, err)
		}
		enqueue(t, tracker, sale("ch_1"))
		if s := tracker.Stats(); s.Queue.Pending != 1 || s.Queue.Dead != 0 {
			t.Errorf("stats %+v: the copy in the queue was forgotten", s)
		}
	})
}

func TestForgottenAfterTTL(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(ok())
		cfg := config(f)
		cfg.Dedupe.TTL = time.Hour
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("ch_1"))
		flush(t, tracker, time.Minute)
		time.Sleep(59 * time.Minute)
		enqueue(t, tracker, sale("ch_1"))
		if s := tracker.Stats(); s.Known != 1 {
			t.Errorf("not known within the TTL: %+v", s)
		}
		time.Sleep(2 * time.Minute)
		enqueue(t, tracker, sale("ch_1"))
		flush(t, tracker, time.Minute)
		if n := f.count("ch_1"); n != 2 {
			t.Errorf("%d calls, want 2", n)
		}
	})
}

// The cache is bounded: of many ids the older are forgotten, and at least half of the bound is remembered.
func TestDedupeIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(ok())
		cfg := config(f)
		cfg.Dedupe.MaxEntries = 640
		tracker := start(t, cfg)
		const n = 2000
		for i := range n {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
			flush(t, tracker, time.Minute)
		}
		before := tracker.Stats().Known
		for i := n - 1; i >= 0; i-- {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
			if i == n-100 && tracker.Stats().Known-before != 100 {
				t.Errorf("of the last 100 ids %d are known", tracker.Stats().Known-before)
			}
			flush(t, tracker, time.Minute)
		}
		if known := tracker.Stats().Known - before; known > 640 {
			t.Errorf("%d ids remembered, want at most 640", known)
		}
	})
}

// However many ids are forgotten: a sale without a referral gets its outcome, and what fails alone is given up after a day.
func TestRetriesAreNotForgotten(t *testing.T) {
	for name, newQueue := range map[string]func() fprom.Queue{
		"in memory": func() fprom.Queue { return fprom.NewMemoryQueue(0) },
		"durable":   func() fprom.Queue { return newRecorder() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := &fake{answer: func(_ int, c call) reply {
					switch {
					case c.has("ch_1"):
						return unknownYet
					case c.has("bad"):
						return reply{status: 500}
					}
					return ok()
				}}
				cfg := config(f)
				cfg.Queue, cfg.Dedupe.MaxEntries = newQueue(), 10
				tracker := start(t, cfg)
				enqueue(t, tracker, referred(), sale("bad"))
				for i := range 30 * 60 {
					enqueue(t, tracker, sale(strconv.Itoa(i)))
					time.Sleep(time.Minute)
				}
				if s := tracker.Stats(); s.NotReferral != 1 || s.Rejected != 1 || f.count("ch_1") != 4 || f.count("bad") > 50 {
					t.Errorf("%d calls for the sale without a referral, %d for the one that fails, stats %+v", f.count("ch_1"), f.count("bad"), s)
				}
			})
		})
	}
}

// passing is a durable queue that delivers each event once, and leaves the rest to others.
type passing struct {
	sink
	put chan fprom.Message
}

func (q passing) Put(_ context.Context, ms ...fprom.Message) error {
	for _, m := range ms {
		q.put <- m
	}
	return nil
}

func (q passing) Run(ctx context.Context, _ int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	for {
		select {
		case m := <-q.put:
			_, _ = deliver(ctx, m)
		case <-ctx.Done():
			return nil
		}
	}
}

// The ids of events that are long over take no memory, whatever became of them. Not parallel: it measures that of the whole program.
func TestOldIDsTakeNoMemory(t *testing.T) {
	const n = 2000
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what the first one has found to be free
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	always := func(r reply) func(int) reply { return func(int) reply { return r } }
	for name, test := range map[string]struct {
		queue  func() fprom.Queue // default: in memory
		answer func(n int) reply
		track  bool // while the event waits
	}{
		"delivered":               {answer: always(ok())},
		"rejected":                {answer: always(object(400, `{"message":"wrong"}`))},
		"tracked while it waits":  {answer: func(n int) reply { return []reply{ok(), {status: 500}}[n%2] }, track: true},
		"left in a durable queue": {queue: func() fprom.Queue { return sink{} }},
		"delivered by others":     {queue: func() fprom.Queue { return passing{put: make(chan fprom.Message)} }, answer: always(unknownYet)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int32
				cfg := config(transportFunc(func(*http.Request) (*http.Response, error) { // unlike fake, it keeps nothing
					r := test.answer(int(calls.Add(1)))
					return &http.Response{StatusCode: r.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(r.body))}, nil
				}))
				if test.queue != nil {
					cfg.Queue = test.queue()
				}
				tracker := start(t, cfg)
				put := func(from, to int) {
					for i := from; i < to; i++ {
						s := referred()
						s.EventID = fmt.Sprintf("%0200d", i) // long, so that what is kept stands out
						enqueue(t, tracker, s)
						if test.track {
							settle()
							_, _ = tracker.Track(t.Context(), s)
						}
						flush(t, tracker, time.Hour)
					}
				}
				put(0, 10)
				before := heap()
				put(10, n)
				for i := range 2 {
					time.Sleep(26 * time.Hour)
					put(n+i, n+i+1)
				}
				if grown := (heap() - before) / n; grown > 250 { // an id that is kept takes about 400
					t.Errorf("%d bytes for each id", grown)
				}
			})
		})
	}
}

// What is neither stored nor sent takes no place of what was delivered.
func TestNotStoredTakesNoPlace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := config(script(ok(), reply{status: 500}))
		cfg.Queue, cfg.Dedupe.MaxEntries = fprom.NewMemoryQueue(1), 10
		cfg.Breaker = fprom.BreakerConfig{Failures: 1, OpenFor: time.Hour}
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("delivered"))
		flush(t, tracker, time.Minute)
		enqueue(t, tracker, sale("waits"))
		for i := range 20 {
			if err := tracker.Enqueue(t.Context(), sale("full"+strconv.Itoa(i))); !errors.Is(err, fprom.ErrQueueFull) {
				t.Errorf("Enqueue: %v, want a full queue", err)
			}
		}
		settle()
		for i := range 20 {
			if _, err := tracker.Track(t.Context(), sale("open"+strconv.Itoa(i))); !errors.Is(err, fprom.ErrCircuitOpen) {
				t.Errorf("Track: %v, want an open breaker", err)
			}
		}
		if err := tracker.Enqueue(t.Context(), sale("delivered")); err != nil {
			t.Errorf("Enqueue of what was delivered: %v", err)
		}
	})
}

// An event that Track delivers while its copy waits in the queue takes no place among those that wait, once the copy is done.
func TestTrackedWhileQueuedWaitsNoMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := script(reply{status: 500}, ok(), reply{status: 500})
		cfg := config(f)
		cfg.Retry.Base, cfg.Retry.Max = time.Hour, time.Hour
		cfg.Dedupe.MaxEntries = 2 // one place
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("ch_1"))
		settle()
		if r, err := tracker.Track(t.Context(), sale("ch_1")); r.Outcome != fprom.Tracked {
			t.Fatalf("Track: %v, %v", r.Outcome, err)
		}
		flush(t, tracker, 3*time.Hour)
		enqueue(t, tracker, sale("ch_2"))
		settle()
		other := sale("ch_2")
		other.Amount++
		if _, err := tracker.Track(t.Context(), other); !errors.Is(err, fprom.ErrConflict) || len(f.seen()) != 3 {
			t.Errorf("Track of another amount: %v after %d calls, want a conflict after 3", err, len(f.seen()))
		}
	})
}
