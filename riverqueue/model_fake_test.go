package riverqueue_test

import (
	"context"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// modelFake is a FirstPromoter that answers each event as its plan says, and then as it should.
type modelFake struct {
	seed     uint64
	mu       sync.Mutex
	calls    map[string][]modelCall // by Message.Key
	accepted map[string][]modelCall // of calls, those that registered the event
	under    map[string]int         // calls of a customer under way
	late     map[string]int         // calls whose answer a slow machine gave after their time
	overlaps []string               // keys of calls that began while another call of their customer was under way
}

type modelCall struct {
	at     time.Time
	answer string
	amount int64
}

// wrongAnswers are of a FirstPromoter, or of a proxy, that has not registered the event; but for "lost", whose answer is lost.
var wrongAnswers = []string{"rejected", "rejected", "unknown", "unknown", "hangs", "lost", "lost", "500", "500", "refused", "proxy", "429", "503", "no JSON"}

var modelReplies = map[string]struct {
	status     int
	body       string
	retryAfter string
}{
	"good": {200, `{"id":1}`, ""}, "known": {409, `{"message":"The event already exists."}`, ""}, "rejected": {400, `{"message":"Error. Amount blank or invalid."}`, ""},
	"unknown": {404, `{"code":"not_found"}`, ""}, "500": {500, "", ""}, "refused": {403, `{"code":"forbidden"}`, ""}, "proxy": {409, "<html>", ""},
	"429": {429, "", "1"}, "503": {503, "", "1"}, "no JSON": {200, "<html>", ""},
}

// plan returns the wrong answers to the first calls of an event.
func (f *modelFake) plan(key string) (answers []string) {
	for r := rand.New(rand.NewPCG(f.seed, uint64(crc32.ChecksumIEEE([]byte(key))))); r.IntN(2) == 0 && len(answers) < 4; {
		answers = append(answers, wrongAnswers[r.IntN(len(wrongAnswers))])
	}
	return answers
}

// met reports whether an event got an answer.
func (f *modelFake) met(key, answer string) bool {
	return slices.ContainsFunc(f.calls[key], func(c modelCall) bool { return c.answer == answer })
}

func (f *modelFake) RoundTrip(r *http.Request) (*http.Response, error) {
	var b struct {
		EventID string `json:"event_id"`
		Email   string `json:"email"`
		Amount  int64  `json:"amount"`
	}
	if err := errors.Join(json.NewDecoder(r.Body).Decode(&b), travel(r.Context())); err != nil {
		return nil, err
	}
	kind := path.Base(r.URL.Path)
	key := kind + ":" + b.EventID
	if kind == fprom.KindCancellation {
		key = kind + ":" + b.Email
	}
	answer := f.begin(key, b.Email, b.Amount)
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.under[b.Email]--
	}()
	if answer == "hangs" {
		<-r.Context().Done()
	}
	if err := travel(r.Context()); err != nil {
		if answer != "hangs" && errors.Is(err, context.DeadlineExceeded) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.late[key]++
		}
		return nil, err
	}
	if answer == "lost" {
		return nil, errors.New("connection reset")
	}
	reply := modelReplies[answer]
	return &http.Response{StatusCode: reply.status, Header: http.Header{"Retry-After": {reply.retryAfter}}, Body: io.NopCloser(strings.NewReader(reply.body)), Request: r}, nil
}

// begin notes a call and chooses its answer.
func (f *modelFake) begin(key, customer string, amount int64) (answer string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	answer = "good"
	if plan := f.plan(key); len(f.calls[key]) < len(plan) {
		answer = plan[len(f.calls[key])]
	}
	if len(f.accepted[key]) > 0 && strings.HasPrefix(key, fprom.KindSale) && slices.Contains([]string{"good", "lost", "rejected", "unknown"}, answer) {
		answer = "known"
	}
	c := modelCall{time.Now(), answer, amount}
	f.calls[key] = append(f.calls[key], c)
	if answer == "good" || answer == "lost" {
		f.accepted[key] = append(f.accepted[key], c)
	}
	if f.under[customer]++; f.under[customer] > 1 {
		f.overlaps = append(f.overlaps, key)
	}
	return answer
}

func travel(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(rand.N(10 * time.Millisecond)):
		return nil
	}
}

// modelReplica is a process. If it is killed, its ways to the database and to FirstPromoter end.
type modelReplica struct {
	hole    *hole
	pool    *pgxpool.Pool
	queue   *riverqueue.Queue
	tracker *fprom.Tracker
	alive   context.Context //nolint:containedctx // ends with the process
	die     context.CancelFunc
	fake    *modelFake
}

func newModelReplica(t *testing.T, cfg riverqueue.Config, fake *modelFake) *modelReplica {
	t.Helper()
	r := &modelReplica{hole: newHole(t), fake: fake}
	r.alive, r.die = context.WithCancel(context.Background())
	r.pool = newPool(t, withQuery(t, withQuery(t, r.hole.url, "pool_ping_timeout", "100ms"), "application_name", cfg.Schema))
	cfg.Logger = slog.New(slog.DiscardHandler)
	var err error
	if r.queue, err = riverqueue.New(r.pool, cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.alive, 2*time.Second)
	defer cancel()
	_ = r.queue.Migrate(ctx) // changes nothing
	r.tracker, err = fprom.New(fprom.Config{
		APIKey: "a-key", AccountID: "1", Queue: r.queue, HTTPClient: &http.Client{Transport: r}, Timeout: 400 * time.Millisecond, RequestsPerMinute: 60_000,
		Workers: 8, Logger: cfg.Logger, Breaker: fprom.BreakerConfig{OpenFor: 100 * time.Millisecond},
		Retry: fprom.RetryConfig{Base: 20 * time.Millisecond, Max: 200 * time.Millisecond, NotFound: []time.Duration{50 * time.Millisecond, 200 * time.Millisecond}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// RoundTrip is the way to FirstPromoter.
func (r *modelReplica) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	defer context.AfterFunc(r.alive, cancel)()
	resp, err := r.fake.RoundTrip(req.WithContext(ctx))
	if r.alive.Err() != nil {
		return nil, r.alive.Err()
	}
	return resp, err
}

func (r *modelReplica) stop(bound time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	_ = r.tracker.Shutdown(ctx)
	r.pool.Close()
	r.die()
}

func (r *modelReplica) kill() {
	r.hole.down.Store(true)
	r.die()
	r.hole.end()
	go r.stop(0)
}
