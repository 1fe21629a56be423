package boltqueue_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
)

// model is what the queue should hold, in memory.
type model struct {
	mu        sync.Mutex
	t         *testing.T
	rnd       *rand.Rand
	pending   []fprom.Message // in the order they were put
	attempts  map[string]int
	unsure    map[string]bool   // whether the last attempt counts: Run was about to end
	remember  map[string]uint64 // digest of what is done
	dead      map[string]fprom.Message
	conflicts map[string]bool
	under     map[string]bool // customers with a delivery under way
	left      int             // deliveries until stop
	stop      context.CancelFunc
	drain     bool // every delivery succeeds
}

// TestModel does random things to a queue and to a model of it, and compares: puts of new, known and changed events,
// deliveries with every kind of outcome, redrives and drops, clean restarts and crashes (the file as it is at some moment).
func TestModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := &model{
					t: t, rnd: rand.New(rand.NewPCG(seed, 1)), attempts: map[string]int{}, unsure: map[string]bool{}, remember: map[string]uint64{},
					dead: map[string]fprom.Message{}, conflicts: map[string]bool{}, under: map[string]bool{},
				}
				m.run(t.TempDir())
			})
		})
	}
}

func (m *model) run(dir string) {
	path := filepath.Join(dir, "0.db")
	q := m.open(path)
	for step := range 150 {
		switch m.rnd.IntN(10) {
		case 0, 1, 2, 3:
			m.put(q)
		case 4, 5, 6:
			m.deliver(q, 1+m.rnd.IntN(30))
		case 7:
			m.changeDead(q)
		case 8:
			m.close(q)
			q = m.open(path)
		case 9:
			path = m.crash(q, path, filepath.Join(dir, fmt.Sprint(step+1, ".db")))
			q = m.open(path)
		}
		m.compare(q, step)
	}
	m.drain = true
	m.deliver(q, 1<<30)
	m.compare(q, -1)
	if len(m.pending) > 0 {
		m.t.Errorf("%d messages are left after draining", len(m.pending))
	}
	m.close(q)
}

func (m *model) open(path string) *boltqueue.Queue {
	m.t.Helper()
	q, err := boltqueue.Open(path, boltqueue.WithoutSocket())
	for range 200 { // a process that another test begins has the file and its lock until it runs its program
		if !errors.Is(err, boltqueue.ErrLocked) {
			break
		}
		q, err = boltqueue.Open(path, boltqueue.WithoutSocket())
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = q.Close() }) // if the test fails
	workersOf.Store(q, 4)
	return q
}

func (m *model) close(q *boltqueue.Queue) {
	m.t.Helper()
	if err := q.Close(); err != nil {
		m.t.Fatalf("Close: %v", err)
	}
}

// crash leaves the file as it is and goes on with a copy.
func (m *model) crash(q *boltqueue.Queue, path, copied string) string {
	m.t.Helper()
	synctest.Wait() // a copy that is made while the file is written is no state of it
	b, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(copied, b, 0o600); err != nil {
		m.t.Fatal(err)
	}
	if err := boltqueue.CheckPages(copied); err != nil {
		m.t.Fatalf("the file of a running queue does not pass the check: %v", err)
	}
	m.close(q)
	return copied
}

func (m *model) message() fprom.Message {
	n := m.rnd.IntN(400)
	customer := fmt.Sprintf("c%d@example.com", n%23)
	var e fprom.Event = fprom.Sale{EventID: strconv.Itoa(n), Email: customer, Amount: 100 + int64(m.rnd.IntN(20)/19), Currency: "usd"}
	if n%23 == 7 {
		e = fprom.Cancellation{Email: customer}
	}
	msg, err := fprom.NewMessage(e)
	if err != nil {
		m.t.Fatal(err)
	}
	if n%23 == 8 {
		msg.Customer = "" // in no order
	}
	return msg
}

func (m *model) put(q *boltqueue.Queue) {
	m.t.Helper()
	var ms []fprom.Message
	conflict := false
	for range 1 + m.rnd.IntN(20) {
		msg := m.message()
		ms = append(ms, msg)
		conflict = m.accept(msg) || conflict
	}
	if err := q.Put(m.t.Context(), ms...); errors.Is(err, fprom.ErrConflict) != conflict || err != nil && !conflict {
		m.t.Fatalf("Put: %v, want a conflict: %v", err, conflict)
	}
}

func (m *model) accept(msg fprom.Message) (conflict bool) {
	digest, known := m.remember[msg.Key]
	if i := m.index(msg.Key); i >= 0 {
		digest, known = m.pending[i].Digest, true
	}
	if !known {
		delete(m.dead, msg.Key)
		m.pending = append(m.pending, msg)
		return false
	}
	pair := fmt.Sprint(msg.Key, " ", msg.Digest)
	if digest == msg.Digest {
		return false
	}
	m.conflicts[pair] = true
	return true
}

func (m *model) index(key string) int {
	return slices.IndexFunc(m.pending, func(p fprom.Message) bool { return p.Key == key })
}

// deliver lets the queue deliver at most n times and a little more, for at most a minute.
func (m *model) deliver(q *boltqueue.Queue, n int) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	m.left, m.stop = n, cancel
	if m.drain {
		go func() {
			if q.Flush(ctx) == nil {
				cancel()
			}
		}()
	}
	if err := run(ctx, q, m.answer); err != nil {
		m.t.Errorf("Run: %v", err)
	}
}

var errPermanent = &fprom.APIError{StatusCode: 400, Message: "Error."}

func (m *model) answer(ctx context.Context, msg fprom.Message) error {
	m.begin(msg)
	time.Sleep(time.Millisecond)
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.under, msg.Customer)
	if m.left--; m.left <= 0 {
		m.stop()
	}
	verdict := m.rnd.IntN(10)
	switch {
	case verdict < 6 || m.drain:
		m.end(msg)
		if msg.Kind != fprom.KindCancellation {
			m.remember[msg.Key] = msg.Digest
		}
		return nil
	case verdict < 7:
		m.end(msg)
		m.dead[msg.Key] = msg
		return errPermanent
	case ctx.Err() == nil:
		m.attempts[msg.Key]++
		m.unsure[msg.Key] = m.left <= 8
	}
	return errors.New("later")
}

func (m *model) begin(msg fprom.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.index(msg.Key)
	if i < 0 {
		m.t.Errorf("%s was delivered and is not pending", msg.Key)
		return
	}
	if m.unsure[msg.Key] && msg.Attempt == m.attempts[msg.Key] {
		m.attempts[msg.Key]--
	}
	delete(m.unsure, msg.Key)
	if want := m.pending[i]; want.Digest != msg.Digest || msg.Attempt != m.attempts[msg.Key]+1 {
		m.t.Errorf("%s was delivered as %s, attempt %d, want %s, attempt %d", msg.Key, msg.Body, msg.Attempt, want.Body, m.attempts[msg.Key]+1)
	}
	if msg.Customer == "" {
		return
	}
	first := slices.IndexFunc(m.pending, func(p fprom.Message) bool { return p.Customer == msg.Customer })
	if first != i || m.under[msg.Customer] {
		m.t.Errorf("%s was delivered before %s", msg.Key, m.pending[first].Key)
	}
	m.under[msg.Customer] = true
}

func (m *model) end(msg fprom.Message) {
	if i := m.index(msg.Key); i >= 0 {
		m.pending = slices.Delete(m.pending, i, i+1)
	}
	delete(m.attempts, msg.Key)
}

func (m *model) changeDead(q *boltqueue.Queue) {
	m.t.Helper()
	for d, err := range q.Entries(m.t.Context(), fprom.Filter{State: fprom.StateDead}) {
		if err != nil {
			m.t.Fatal(err)
		}
		change := q.Redrive
		drop := m.rnd.IntN(2) == 0
		if drop {
			change = q.Drop
		}
		if n, err := change(m.t.Context(), fprom.Filter{Keys: []string{d.Key}}); n != 1 || err != nil {
			m.t.Fatalf("redrive or drop of a dead letter: %d, %v", n, err)
		}
		for key, msg := range m.dead {
			if fprom.SafeKey(key) == d.Key {
				if !drop {
					m.pending = append(m.pending, msg)
				}
				delete(m.dead, key)
			}
		}
	}
}

func (m *model) compare(q *boltqueue.Queue, step int) {
	m.t.Helper()
	s, err := q.Stats(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	if s.Pending != len(m.pending) || s.Dead != len(m.dead) || s.Ledger != len(m.remember) || s.Conflicts != len(m.conflicts) {
		m.t.Fatalf("step %d: %+v, want %d pending, %d dead, %d remembered, %d conflicts", step, s, len(m.pending), len(m.dead), len(m.remember), len(m.conflicts))
	}
	keys := map[string]bool{}
	for d, err := range q.Entries(m.t.Context(), fprom.Filter{State: fprom.StateDead}) {
		if err != nil || !strings.Contains(d.Reason, "400") || d.Attempts == 0 {
			m.t.Errorf("dead letter %+v, %v", d, err)
		}
		keys[d.Key] = true
	}
	for k := range m.dead {
		if !keys[fprom.SafeKey(k)] {
			m.t.Errorf("step %d: no dead letter %s", step, k)
		}
	}
}
