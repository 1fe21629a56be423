package backlog_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/fprom-go/fprom/internal/backlog"
)

type (
	line = backlog.Line[string]
	item = backlog.Item[string]
)

// add puts messages that are named after their customers: "a1" is of lane 'a'; a capital is bulk.
func add(l *line, seq *uint64, names ...string) {
	for _, name := range names {
		*seq++
		it := &item{Value: name, Seq: *seq, Bulk: name[0] < 'a'}
		if len(name) > 1 {
			it.Lane = uint32(name[0] | 0x20)
		}
		l.Add(it)
	}
}

// run delivers with a number of workers until the line is empty or d is over, and returns what was delivered.
func run(t *testing.T, l *line, workers int, d time.Duration, deliver func(*item)) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var watch sync.WaitGroup
	defer watch.Wait()
	watch.Go(func() {
		for range 2 { // what deliver adds, too
			_ = l.Flush(ctx)
		}
		cancel()
	})
	var mu sync.Mutex
	var got []string
	err := l.Run(ctx, workers, func(_ context.Context, it *item) {
		mu.Lock()
		got = append(got, it.Value)
		mu.Unlock()
		deliver(it)
	})
	if err != nil {
		t.Errorf("Run: %v", err)
	}
	return got
}

func TestOrder(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, retried string // it fails once
		aside         bool
		put, want     []string
	}{
		{name: "oldest first", put: []string{"a1", "b1", "a2", "b2", "a3"}, want: []string{"a1", "b1", "a2", "b2", "a3"}},
		{name: "a customer waits for a retry", retried: "a1", put: []string{"a1", "a2", "b1"}, want: []string{"a1", "b1", "a1", "a2"}},
		{name: "what is set aside lets others pass", retried: "a1", aside: true, put: []string{"a1", "a2", "b1", "a3"}, want: []string{"a1", "a2", "b1", "a3", "a1"}},
		{name: "nobody waits for who has no customer", retried: "x", put: []string{"x", "y", "z"}, want: []string{"x", "y", "z", "x"}},
		{name: "live before bulk", put: []string{"A1", "B1", "c1", "d1"}, want: []string{"c1", "d1", "A1", "B1"}},
		{name: "a customer's bulk keeps its place", put: []string{"B1", "A1", "A2", "A3"}, want: []string{"B1", "A1", "A2", "A3"}},
		{name: "a live one behind its customer's bulk", put: []string{"B1", "A1", "A2", "c1", "a3", "A4"}, want: []string{"c1", "A1", "A2", "a3", "B1", "A4"}},
		{name: "a bulk one that was promoted is retried", retried: "A1", put: []string{"B1", "A1", "a2", "c1"}, want: []string{"c1", "A1", "B1", "A1", "a2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, seq := backlog.New[string](), uint64(0)
				add(l, &seq, tt.put...)
				failed := false
				got := run(t, l, 1, time.Hour, func(it *item) {
					if it.Value == tt.retried && !failed {
						failed = true
						l.Retry(it, time.Minute, tt.aside)
						return
					}
					l.Done(it)
				})
				if !slices.Equal(got, tt.want) {
					t.Errorf("delivered %v, want %v", got, tt.want)
				}
				if err := l.Flush(t.Context()); err != nil {
					t.Errorf("Flush of an empty line: %v", err)
				}
			})
		})
	}
}

// TestPromotedFails: a bulk message that a live one of its customer waits for goes before the other bulk ones again and again. The
// live one came while the bulk one was under way, or waited for a retry.
func TestPromotedFails(t *testing.T) {
	t.Parallel()
	for _, during := range []string{"A1", "B1"} {
		t.Run(during, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, seq := backlog.New[string](), uint64(0)
				add(l, &seq, "A1", "B1", "C1")
				failed := 0
				got := run(t, l, 1, time.Hour, func(it *item) {
					if it.Value == during && seq == 3 {
						add(l, &seq, "a2")
					}
					if it.Value == "A1" && failed < 3 {
						l.Retry(it, []time.Duration{10 * time.Second, 0, 0}[failed], false)
						failed++
						return
					}
					time.Sleep(40 * time.Second)
					l.Done(it)
				})
				if want := []string{"A1", "B1", "A1", "A1", "A1", "a2", "C1"}; !slices.Equal(got, want) {
					t.Errorf("delivered %v, want %v", got, want)
				}
			})
		})
	}
}

// TestPromotedRetry: a bulk message that waits for a retry is promoted, and keeps its due time.
func TestPromotedRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, seq := backlog.New[string](), uint64(0)
		add(l, &seq, "A1")
		begin := time.Now()
		got := run(t, l, 1, time.Hour, func(it *item) {
			switch {
			case it.Value == "A1" && time.Since(begin) == 0:
				add(l, &seq, "B1", "C1", "D1", "mark")
				l.Retry(it, time.Minute, false)
				return
			case it.Value == "mark":
				add(l, &seq, "a2")
			}
			time.Sleep(40 * time.Second)
			l.Done(it)
		})
		if want := []string{"A1", "mark", "B1", "A1", "a2", "C1", "D1"}; !slices.Equal(got, want) {
			t.Errorf("delivered %v, want %v", got, want)
		}
	})
}

// TestPoison: old messages that always fail, at once or by hanging, stop the others with no number of workers.
func TestPoison(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 2, 4, 64} {
		for _, hang := range []time.Duration{0, 10 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				l, seq := backlog.New[string](), uint64(0)
				for range 200 {
					add(l, &seq, "p")
				}
				for range 2000 {
					add(l, &seq, "g")
				}
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
				defer cancel()
				good := 0
				var mu sync.Mutex
				err := l.Run(ctx, workers, func(_ context.Context, it *item) {
					if it.Value == "p" {
						time.Sleep(hang)
						l.Retry(it, 100*time.Millisecond, false)
						return
					}
					time.Sleep(100 * time.Millisecond)
					l.Done(it)
					mu.Lock()
					defer mu.Unlock()
					if good++; good == 2000 {
						cancel()
					}
				})
				if want := 2000; err != nil || good < want && (workers > 1 || hang == 0) || good < 600 {
					t.Errorf("%d workers, %v: %d good ones were delivered in three hours, want %d", workers, hang, good, want)
				}
			})
		}
	}
}

// TestRetriesTogether: retries that are due at the same time do not wait for each other.
func TestRetriesTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, seq, start := backlog.New[string](), uint64(0), time.Now()
		add(l, &seq, "w", "x", "y", "z")
		var mu sync.Mutex
		tried := map[*item]bool{}
		run(t, l, 8, time.Hour, func(it *item) {
			mu.Lock()
			again := tried[it]
			tried[it] = true
			mu.Unlock()
			if !again {
				l.Retry(it, time.Minute, false)
				return
			}
			time.Sleep(10 * time.Second)
			l.Done(it)
		})
		if d := time.Since(start); d > 75*time.Second {
			t.Errorf("four retries took %v, want a minute and ten seconds", d)
		}
	})
}

// TestHangingLive: new live messages that hang on half of the workers hold up neither a retry nor a bulk message. A bulk message
// that waits for longer does not hold up the retry either.
func TestHangingLive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, seq, begin := backlog.New[string](), uint64(0), time.Now()
		add(l, &seq, "x", "y", "z", "A", "B")
		run(t, l, 4, time.Hour, func(it *item) {
			switch now := time.Since(begin); {
			case it.Value == "x" && now == 0:
				l.Retry(it, time.Second, false)
				return
			case it.Value == "B" && now == 0:
				l.Retry(it, time.Minute, false)
				return
			case it.Value == "y" || it.Value == "z":
				time.Sleep(10 * time.Minute)
			case now > time.Second && it.Value != "B":
				t.Errorf("%s went after %v", it.Value, now)
			}
			l.Done(it)
		})
	})
}

// TestBulkLeavesRoom: a live message finds a worker at once, however many bulk ones wait.
func TestBulkLeavesRoom(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{2, 64} {
		synctest.Test(t, func(t *testing.T) {
			l, seq := backlog.New[string](), uint64(0)
			for range 1000 {
				add(l, &seq, "B")
			}
			go func() {
				time.Sleep(100 * time.Millisecond)
				add(l, &seq, "live")
			}()
			begin := time.Now()
			run(t, l, workers, time.Minute, func(it *item) {
				if it.Value == "live" && time.Since(begin) != 100*time.Millisecond {
					t.Errorf("%d workers: the live one went after %v", workers, time.Since(begin))
				}
				time.Sleep(time.Second)
				l.Done(it)
			})
		})
	}
}

func TestFlush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, seq := backlog.New[string](), uint64(0)
		if err := l.Flush(t.Context()); err != nil {
			t.Errorf("Flush of an empty line: %v", err)
		}
		add(l, &seq, "a1", "b1")
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() {
			ran <- l.Run(ctx, 2, func(_ context.Context, it *item) {
				time.Sleep(time.Second)
				if it.Value == "b1" {
					l.Retry(it, time.Hour, false)
					return
				}
				l.Done(it)
			})
		}()
		begin := time.Now()
		short, end := context.WithTimeout(t.Context(), time.Minute)
		defer end()
		if err := l.Flush(short); !errors.Is(err, backlog.ErrNotDue) || time.Since(begin) != time.Second {
			t.Errorf("Flush of a minute: %v after %v, want ErrNotDue when the others are done", err, time.Since(begin))
		}
		if err := l.Run(ctx, 1, nil); !errors.Is(err, backlog.ErrInUse) {
			t.Errorf("a second Run: %v", err)
		}
		tiny, end := context.WithTimeout(t.Context(), time.Millisecond)
		defer end()
		add(l, &seq, "c1")
		if err := l.Flush(tiny); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush while one is under way: %v", err)
		}
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
		closed := errors.New("closed")
		time.AfterFunc(time.Second, func() { l.Close(closed) })
		if err := l.Flush(t.Context()); !errors.Is(err, closed) {
			t.Errorf("Flush when it is closed: %v", err)
		}
		if err := l.Run(t.Context(), 1, nil); !errors.Is(err, closed) {
			t.Errorf("Run after Close: %v", err)
		}
	})
}

// TestAddAfterClose: a line that is closed, as that of an outbox opened only to feed it, keeps nothing.
func TestAddAfterClose(t *testing.T) {
	t.Parallel()
	l, seq := backlog.New[string](), uint64(0)
	l.Close(errors.New("closed"))
	add(l, &seq, "a1", "b1")
	if it := l.Oldest(); it != nil {
		t.Errorf("the line has %s", it.Value)
	}
}

// TestDoneIsForgotten: a message that is done is not kept in memory, however long the line was.
func TestDoneIsForgotten(t *testing.T) {
	t.Parallel()
	l, seq := backlog.New[string](), uint64(0)
	add(l, &seq, "a1", "a2", "b1", "c1", "d1", "d2", "x", "y", "Z", "E1", "e2", "stay")
	var mu sync.Mutex
	var done []weak.Pointer[item]
	tried := map[uint64]bool{}
	ctx, cancel := context.WithCancel(t.Context())
	err := l.Run(ctx, 2, func(_ context.Context, it *item) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case it.Value == "stay":
			l.Retry(it, time.Hour, false)
		case !tried[it.Seq]:
			tried[it.Seq] = true
			l.Retry(it, 0, it.Seq%2 == 0)
		default:
			done = append(done, weak.Make(it))
			l.Done(it)
		}
		if len(done) == 11 {
			cancel()
		}
	})
	if err != nil {
		t.Errorf("Run: %v", err)
	}
	runtime.GC()
	for _, it := range done {
		if it := it.Value(); it != nil {
			t.Errorf("%s is still in memory", it.Value)
		}
	}
	runtime.KeepAlive(l)
}

// TestAtRandom: whatever fails, each is done once, those of a customer one at a time and in their order, but for what was
// set aside.
func TestAtRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			l := backlog.New[string]()
			n, workers := uint64(300), 1+rng.IntN(20)
			var mu sync.Mutex
			done, last, busy := map[uint64]bool{}, map[uint64]uint64{}, map[uint64]bool{}
			lane := func(seq uint64) uint64 { return seq * 7919 % 20 }
			go func() {
				for seq := uint64(1); seq <= n; seq++ {
					mu.Lock()
					d, bulk := time.Duration(rng.IntN(100))*time.Millisecond, rng.IntN(2) == 0
					mu.Unlock()
					time.Sleep(d)
					l.Add(&item{Seq: seq, Lane: uint32(lane(seq)), Bulk: bulk})
				}
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
			defer cancel()
			aside := map[uint64]bool{}
			err := l.Run(ctx, workers, func(_ context.Context, it *item) {
				mu.Lock()
				defer mu.Unlock()
				c, free := lane(it.Seq), aside[it.Seq] || lane(it.Seq) == 0
				if done[it.Seq] || !free && (busy[c] || last[c] > it.Seq) {
					t.Errorf("seed %d: %d goes at the wrong time", seed, it.Seq)
				}
				busy[c] = busy[c] || !free
				d, fate := time.Duration(rng.IntN(2000))*time.Millisecond, rng.IntN(10)
				mu.Unlock()
				time.Sleep(d)
				mu.Lock()
				if !free {
					busy[c] = false
				}
				if fate < 4 {
					aside[it.Seq] = aside[it.Seq] || fate == 0
					l.Retry(it, time.Duration(rng.IntN(60))*time.Second, fate == 0)
					return
				}
				done[it.Seq] = true
				if !free {
					last[c] = it.Seq
				}
				l.Done(it)
			})
			if uint64(len(done)) != n || err != nil || l.Flush(t.Context()) != nil {
				t.Errorf("seed %d: %d of %d are done, %v", seed, len(done), n, err)
			}
		})
	}
}

// TestLiveBesideBulk: customers with several live messages do not search a long line of bulk ones with each.
func TestLiveBesideBulk(t *testing.T) {
	t.Parallel()
	added := func(bulk uint64) time.Duration {
		l := backlog.New[string]()
		for seq := range bulk {
			l.Add(&item{Seq: seq + 1, Lane: uint32(seq) + 1<<20, Bulk: true})
		}
		begin := time.Now()
		for n := range uint64(4000) {
			l.Add(&item{Seq: bulk + n + 1, Lane: uint32(n/2) + 1})
		}
		return time.Since(begin)
	}
	for range 5 { // a busy machine slows down some of them
		alone, beside := added(0), added(300_000)
		if beside <= 20*alone+50*time.Millisecond {
			return
		}
		t.Logf("4,000 messages took %v beside 300,000 bulk ones, %v without", beside, alone)
	}
	t.Error("a live message takes long beside many bulk ones")
}
