package safelog

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// Seldom logs what may come often: each kind at most once a minute, with the number of those since the line before. The zero value is
// ready. It is safe for concurrent use.
type Seldom struct {
	mu     sync.Mutex
	byKind map[string]*unsaid // the kinds of the last minute
}

// unsaid is what was not logged yet of one kind.
type unsaid struct {
	count int
	last  line
}

// line logs with the number of what it stands for.
type line func(ctx context.Context, count slog.Attr)

// Refused logs a webhook that a handler refuses, since anyone can send one that is not signed. err says more than the reason.
func (s *Seldom) Refused(ctx context.Context, log *slog.Logger, reason string, err error) {
	s.add(ctx, reason, func(ctx context.Context, count slog.Attr) {
		log.LogAttrs(ctx, slog.LevelWarn, "fprom: a webhook was refused (said at most once a minute)", slog.String("reason", reason), Error(err), count)
	})
}

// Recovered runs foreign code, whose panic would end the program. It logs a panic without the secret, and returns ErrRecovered
// then. A second panic, of the Logger, is ignored. It logs a runtime.Goexit, too, but cannot stop it.
func (s *Seldom) Recovered(ctx context.Context, log *slog.Logger, what, secret string, f func() error) (err error) {
	returned := false
	defer func() {
		p := recover()
		if returned {
			return
		}
		if err = ErrRecovered; p == nil {
			p = "runtime.Goexit"
		}
		defer func() { _ = recover() }()
		reason, stack := slog.String("error", Foreign(fmt.Sprint(p), secret)), slog.String("stack", string(debug.Stack()))
		s.add(ctx, what, func(ctx context.Context, count slog.Attr) {
			log.LogAttrs(ctx, slog.LevelError, "fprom: "+what+" panicked; the program goes on", reason, stack, count)
		})
	}()
	err = f()
	returned = true
	return err
}

// Recovered is Seldom.Recovered for what is not called often.
func Recovered(ctx context.Context, log *slog.Logger, what, secret string, f func() error) error {
	return new(Seldom).Recovered(ctx, log, what, secret, f)
}

// add counts one of a kind. It logs the first one at once.
func (s *Seldom) add(ctx context.Context, kind string, last line) {
	s.mu.Lock()
	u, waits := s.byKind[kind]
	if !waits {
		if s.byKind == nil {
			s.byKind = map[string]*unsaid{}
		}
		u = &unsaid{}
		s.byKind[kind] = u
	}
	u.count, u.last = u.count+1, last
	s.mu.Unlock()
	if !waits {
		s.log(ctx, kind)
	}
}

// log logs those of a kind since its last line, and looks again after a minute. A minute without one ends that. It logs without the
// lock: the Logger may block.
func (s *Seldom) log(ctx context.Context, kind string) {
	s.mu.Lock()
	u := s.byKind[kind]
	n, last := u.count, u.last
	if u.count = 0; n == 0 {
		delete(s.byKind, kind)
	}
	s.mu.Unlock()
	if n == 0 {
		return
	}
	time.AfterFunc(time.Minute, func() { //nolint:contextcheck // the request is long over
		defer func() { _ = recover() }() // a panic of the Logger must not end the process; during a request net/http recovers
		s.log(context.Background(), kind)
	})
	last(ctx, slog.Int("count", n))
}
