package riverqueue_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/riverqueue"
)

// TestBadEvents: events that FirstPromoter refuses, that hang and that fail are put first, and three replicas deliver the
// others at no less than 80 % of the rate of three replicas without bad events, beside them, in real time. In the long form
// (FPROM_BAD_EVENTS=long, 8 minutes) 240 events are bad and the rate is that of the sixth and the seventh minute; there it
// must also be 80 % of the usual rate, whatever the replicas without bad events reach. The short form has a tenth of both:
// what bad events cost is calls, so a tenth of them is over after a tenth of the time.
func TestBadEvents(t *testing.T) {
	t.Parallel()
	const limit, usual = 400, 370
	bad := map[string]int{"refused": 20, "hangs": 2, "fails": 2}
	from, to, least := 45*time.Second, 75*time.Second, 1
	if os.Getenv("FPROM_BAD_EVENTS") == "long" {
		bad = map[string]int{"refused": 200, "hangs": 20, "fails": 20}
		from, to, least = 5*time.Minute, 7*time.Minute, 2*usual
	}
	fake := fpromtest.NewServer(t) // for its credentials: the answers are those of calls
	begin := time.Now()
	replicas := func() (calls *badCalls, put func(kind string, n int), queue *riverqueue.Queue) {
		calls = &badCalls{begin: begin}
		trackers, queues := fleet(t, 3, fake, func(c *fprom.Config) {
			c.RequestsPerMinute, c.Burst, c.HTTPClient = limit, 0, &http.Client{Transport: calls}
		})
		return calls, func(kind string, n int) {
			for i := range n {
				id := fmt.Sprint(kind, "-", i)
				enqueue(t, trackers[i%3], sale(id, id, 100))
			}
		}, queues[0]
	}
	beside, put, queue := replicas()
	without, putWithout, _ := replicas()
	for kind, n := range bad {
		put(kind, n)
	}
	for second := 0; time.Since(begin) < to; second += 15 {
		for _, put := range []func(string, int){put, putWithout} {
			put(fmt.Sprint("good", second), usual/4+20) // more than can be sent
		}
		time.Sleep(time.Until(begin.Add(time.Duration(second+15) * time.Second)))
	}
	good, all := beside.between(from, to)
	most, _ := without.between(from, to)
	most = max(most, least)
	t.Logf("from %v to %v: %d good events in %d calls beside %v, and %d without them", from, to, good, all, bad, most)
	if good*10 < most*8 {
		t.Errorf("%d good events beside bad ones, want at least 80 %% of %d", good, most)
	}
	if s, err := queue.Stats(t.Context()); err != nil || s.Dead != 0 {
		t.Errorf("Stats: %+v, %v; want nothing given up", s, err)
	}
}

// badCalls is a FirstPromoter that tracks good events after 100 ms, and answers the bad ones as their names say.
type badCalls struct {
	begin time.Time
	mu    sync.Mutex
	all   []time.Duration
	good  []time.Duration
}

func (b *badCalls) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	since := time.Since(b.begin)
	is := func(kind string) bool { return strings.Contains(string(body), `"event_id":"`+kind) }
	b.mu.Lock()
	if b.all = append(b.all, since); is("good") {
		b.good = append(b.good, since)
	}
	b.mu.Unlock()
	status, text := http.StatusOK, `{"id":1}`
	switch {
	case is("hangs"):
		<-r.Context().Done()
		return nil, r.Context().Err()
	case is("refused"):
		status, text = http.StatusForbidden, `{"message":"You don't have enough rights to perform this action","code":"forbidden"}`
	case is("fails"):
		status, text = http.StatusInternalServerError, ""
	}
	time.Sleep(100 * time.Millisecond)
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

// between counts the calls that began in that time.
func (b *badCalls) between(from, to time.Duration) (good, all int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := func(at []time.Duration) (n int) {
		for _, d := range at {
			if d >= from && d < to {
				n++
			}
		}
		return n
	}
	return count(b.good), count(b.all)
}
