package riverqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// TestModel does what chance says to three replicas, their database and River's jobs, and compares what reached FirstPromoter with what
// was accepted: nothing is lost, nothing is registered twice, events of a customer keep their order, and the ledger says what FirstPromoter
// has. FPROM_MODEL_SEEDS is the number of runs, and FPROM_MODEL_SEED the first. A seed decides what is done, and the machine when.
func TestModel(t *testing.T) {
	t.Parallel()
	first := intEnv(t, "FPROM_MODEL_SEED", 3)
	for i := range intEnv(t, "FPROM_MODEL_SEEDS", 2) {
		t.Run(strconv.Itoa(first+i), func(t *testing.T) {
			t.Parallel()
			cfg := riverqueue.Config{Schema: newSchema(t), Rescue: 6 * time.Second}
			q, pool := open(t, cfg)
			m := &model{
				T: t, seed: uint64(first + i), cfg: cfg, pool: pool, queue: q, operator: operator(t, pool, cfg.Schema), replicas: make([]*modelReplica, 3), did: map[string]int{},
				fake: &modelFake{seed: uint64(first + i), calls: map[string][]modelCall{}, accepted: map[string][]modelCall{}, under: map[string]int{}, late: map[string]int{}},
			}
			m.run()
		})
	}
}

type model struct {
	*testing.T

	seed     uint64
	cfg      riverqueue.Config
	pool     *pgxpool.Pool
	queue    *riverqueue.Queue // to look at the ledger; it delivers nothing
	operator *river.Client[pgx.Tx]
	fake     *modelFake

	mu       sync.Mutex
	replicas []*modelReplica
	did      map[string]int // what was done, how often
	log      bytes.Buffer
}

func (m *model) run() {
	for i := range m.replicas {
		m.replicas[i] = newModelReplica(m.T, m.cfg, m.fake)
	}
	ctx, cancel := context.WithTimeout(m.Context(), 8*time.Second)
	defer cancel()
	owners := make([]map[string]*modelEvent, 4)
	var wg sync.WaitGroup
	for i := range owners {
		owners[i] = map[string]*modelEvent{}
		wg.Go(func() { m.own(ctx, i, owners[i]) })
	}
	for r := m.rand(0); m.seed%4 != 0 && ctx.Err() == nil; { // every fourth seed is calm
		time.Sleep(time.Duration(200+r.IntN(800)) * time.Millisecond)
		m.trouble(r)
	}
	wg.Wait()
	m.settle()
	for _, r := range m.replicas {
		r.stop(10 * time.Second)
	}
	events := map[string]*modelEvent{}
	for _, o := range owners {
		for _, e := range o {
			events[fprom.SafeKey(e.key)] = e
		}
	}
	m.Logf("%d events, of which %d were sent, %v", len(events), len(m.fake.calls), m.did)
	m.verify(events)
	if m.Failed() {
		m.Log(m.log.String())
	}
}

func (m *model) rand(n int) *rand.Rand { return rand.New(rand.NewPCG(m.seed, uint64(n))) }

func (m *model) replica(i int) *modelReplica {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.replicas[i]
}

func (m *model) note(what string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.did[what]++
	fmt.Fprintln(&m.log, append([]any{time.Now().Format("05.000"), what}, args...)...)
}

// trouble does something to a replica, the database or the jobs.
func (m *model) trouble(r *rand.Rand) {
	ctx := context.Background()
	i, d := r.IntN(len(m.replicas)), []time.Duration{time.Second, 90 * time.Second, 2 * time.Hour}[r.IntN(3)]
	old := m.replica(i)
	var err error
	switch what := r.IntN(13); what {
	case 0, 1, 2:
		if m.note("ends", i, what); what == 0 {
			old.stop(10 * time.Second)
		} else {
			old.kill()
		}
		replacement := newModelReplica(m.T, m.cfg, m.fake)
		m.mu.Lock()
		m.replicas[i] = replacement
		m.mu.Unlock()
	case 3:
		m.note("connections end", i)
		old.hole.end()
	case 4:
		m.note("connections are silent", i)
		old.hole.silence()
		time.Sleep(2 * time.Second)
		old.hole.end()
	case 5:
		m.note("connections are terminated")
		_, err = m.pool.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND random() < 0.5`, m.cfg.Schema)
	case 6:
		m.note("clock back", d)
		m.step(d)
	case 7:
		m.note("clock forward", d)
		m.step(-d)
	case 8:
		name := []string{"fprom", "fprom_bulk"}[r.IntN(2)]
		m.note("pause", name)
		err = m.operator.QueuePause(ctx, name, nil)
		time.Sleep(time.Second)
		err = errors.Join(err, m.operator.QueueResume(ctx, name, nil))
	case 9:
		m.note("jobs deleted")
		_, err = m.pool.Exec(ctx, `DELETE FROM `+m.cfg.Schema+`.river_job WHERE state <> 'running' AND random() < 0.7`)
	case 10:
		m.note("schema of a later release")
		err = m.upgrade()
	case 11: // replicas that have begun go on as before
		m.note("schema that needs a later release")
		_, err = m.pool.Exec(ctx, `INSERT INTO `+m.cfg.Schema+`.fprom_migration (version, min_version) VALUES (98, 98)`)
		old.stop(10 * time.Second)
		replacement := newModelReplica(m.T, m.cfg, m.fake)
		time.Sleep(500 * time.Millisecond)
		_, undone := m.pool.Exec(ctx, `DELETE FROM `+m.cfg.Schema+`.fprom_migration WHERE version = 98`)
		err = errors.Join(err, undone)
		m.mu.Lock()
		m.replicas[i] = replacement
		m.mu.Unlock()
	case 12:
		m.note("indexes made anew")
		_, err = m.pool.Exec(ctx, `REINDEX TABLE CONCURRENTLY `+m.cfg.Schema+`.river_job`)
	}
	if err != nil && !errors.Is(err, river.ErrNotFound) { // a queue that has not run yet
		m.Error(err)
	}
}

// upgrade changes the tables as a later release may: the ledger gets a column, and the functions are made anew. Replicas of this release go on.
func (m *model) upgrade() error {
	rules, err := os.ReadFile("migrations/002_rules.sql")
	if err != nil {
		return err
	}
	m.did["versions"]++
	_, err = m.pool.Exec(context.Background(), strings.NewReplacer("CREATE ", "CREATE OR REPLACE ", "$schema", m.cfg.Schema, "$account", "1", "$n", strconv.Itoa(m.did["versions"])).Replace(`
		BEGIN; SET LOCAL deadlock_timeout = '1min';
		ALTER TABLE $schema.fprom_ledger ADD COLUMN later_$n text NOT NULL DEFAULT 'later'; `+string(rules)+`
		INSERT INTO $schema.fprom_migration (version, min_version) VALUES (10 + $n, 2); COMMIT`))
	return err
}

// step sets the database's clock back by d, as the times that are stored see it; forward if d is negative.
func (m *model) step(d time.Duration) {
	_, err := m.pool.Exec(context.Background(), strings.NewReplacer("$s", m.cfg.Schema, "$d", fmt.Sprintf("interval '%d seconds'", int(d.Seconds()))).Replace(`
		BEGIN; SET LOCAL deadlock_timeout = '1min'; -- so that another transaction ends by it
		LOCK TABLE $s.fprom_ledger, $s.fprom_account, $s.river_job, $s.river_leader IN ACCESS EXCLUSIVE MODE;
		UPDATE $s.fprom_ledger SET claimed_until = claimed_until + $d, next_attempt = next_attempt + $d, recorded_at = recorded_at + $d, settled_at = settled_at + $d;
		UPDATE $s.fprom_account SET next_slot = next_slot + $d, paused_until = paused_until + $d;
		UPDATE $s.river_job SET scheduled_at = scheduled_at + $d, attempted_at = attempted_at + $d, created_at = created_at + $d, finalized_at = finalized_at + $d;
		UPDATE $s.river_leader SET elected_at = elected_at + $d, expires_at = expires_at + $d; COMMIT`))
	if err != nil {
		m.Error(err)
	}
}

// settle waits until no event waits. If nothing moves, it lets an hour pass: an event that fails alone waits for minutes, and a time that
// was stored before the clock stepped back may be ahead.
func (m *model) settle() {
	last, moved := 0, time.Now()
	for steps := 0; ; time.Sleep(50 * time.Millisecond) {
		left := countRows(m.T, m.pool, `SELECT count(*) FROM `+m.cfg.Schema+`.fprom_ledger WHERE state = 'waiting'`)
		switch {
		case left == 0:
			return
		case left != last:
			last, moved = left, time.Now()
		case time.Since(moved) < patience/2:
		case steps == 3:
			m.Errorf("%d events wait, and nothing moves", left)
			return
		default:
			m.note("clock forward", time.Hour)
			m.step(-time.Hour)
			steps, moved = steps+1, time.Now()
		}
	}
}

// verify compares the ledger with the events that were put and with what FirstPromoter has.
func (m *model) verify(events map[string]*modelEvent) {
	f := m.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	late := m.did["clock forward"]+m.did["clock back"] > 0 // a claim may have ended before its delivery
	lanes := map[string][]modelCall{}
	for row, err := range m.queue.Entries(context.Background(), fprom.Filter{Personal: true}) {
		if err != nil {
			m.Fatal(err)
		}
		e := events[row.Key]
		if e == nil {
			m.Errorf("%s is in the ledger and was never put", row.Key)
			continue
		}
		delete(events, row.Key)
		sale, has := row.Kind == fprom.KindSale, f.accepted[e.key]
		done := row.State == fprom.StateDone
		for what, wrong := range map[string]bool{
			"waits":                           row.State == fprom.StateWaiting,
			"was dropped":                     e.dropped && !e.unsure,
			"has another amount than put":     row.Amount != e.amount && !e.unsure,
			"has another amount than sent":    done && sale && len(has) > 0 && row.Amount != has[0].amount,
			"is registered twice":             sale && len(has) > 1,
			"is dead without a reason":        row.State == fprom.StateDead && (!f.met(e.key, "rejected") || sale && len(has) > 0 && !late),
			"is no referral without reason":   done && row.Outcome == fprom.NotReferral && (!f.met(e.key, "unknown") || sale && len(has) > 0 && !late),
			"is not registered":               done && row.Outcome != fprom.NotReferral && len(has) == 0,
			"has a customer":                  row.Customer != "" && (done || e.forgotten && !e.unsure),
			"was sent more often than needed": m.seed%4 == 0 && sale && done && len(f.calls[e.key])-f.late[e.key] > len(f.plan(e.key))+1,
		} {
			if wrong {
				m.Errorf("%s %s: ledger %+v, put %+v, calls %v", row.Key, what, row, *e, f.calls[e.key])
			}
		}
		// An event that FirstPromoter did not know at first may be set aside, so that others pass it. One that was rejected may be sent
		// late by the owner of a claim that has ended.
		if done && sale && len(has) > 0 && !e.unsure && !f.met(e.key, "unknown") && (!late || !f.met(e.key, "rejected")) {
			lanes[e.customer] = append(lanes[e.customer], has[0]) // in the order of the ledger
		}
	}
	for _, e := range events {
		if !e.dropped && !e.unsure {
			m.Errorf("%s is lost: put %+v, calls %v", e.key, *e, f.calls[e.key])
		}
	}
	for customer, lane := range lanes {
		if !slices.IsSortedFunc(lane, func(a, b modelCall) int { return a.at.Compare(b.at) }) {
			m.Errorf("the sales of %s arrived in another order than put: %v", customer, lane)
		}
	}
	if len(f.overlaps) > 0 && !late {
		m.Errorf("calls that began beside another of their customer: %v", f.overlaps)
	}
}
