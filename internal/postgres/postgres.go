// Package postgres runs a private PostgreSQL server for tests, benchmarks and examples: in a directory of its own, on a
// free port of the loopback interface, as an unprivileged user, until Stop or the end of the process.
package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// ErrMissing says that there is no PostgreSQL server on this machine, and what to do.
var ErrMissing = errors.New("postgres: no PostgreSQL server found: install one (Debian: apt-get install -y postgresql), or name a running one in the environment variable FPROM_TEST_POSTGRES as a URL")

const (
	startTime = 2 * time.Minute
	stopTime  = time.Minute
)

// Server is a running server. Its methods are not for concurrent use.
type Server struct {
	// URL is what clients connect to; the role and the database are both called fprom and need no password.
	URL string

	bin, dir string
	port     int
	process  *os.Process
	ended    chan struct{} // closed when process has ended
}

// Start initializes and starts a server. settings are further lines of postgresql.conf, such as "max_connections=50".
func Start(ctx context.Context, settings ...string) (*Server, error) {
	bin, err := find()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "fprom-postgres-")
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	s := &Server{bin: bin, dir: dir}
	if err := s.begin(ctx, settings); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) begin(ctx context.Context, settings []string) error {
	if err := own(s.dir); err != nil {
		return fmt.Errorf("postgres: give the data directory to an unprivileged user: %w", err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "-D", s.data(), "-A", "trust", "-U", "fprom", "-E", "UTF8", "--locale=C", "--no-sync") //nolint:gosec // found by find
	cmd.Dir, cmd.SysProcAttr = s.dir, attributes()
	if out, err := cmd.CombinedOutput(); errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("postgres: initdb: %w: as root, set TMPDIR to a directory that the user postgres may enter, such as /tmp", err)
	} else if err != nil {
		return fmt.Errorf("postgres: initdb: %w\n%s", err, out)
	}
	conf, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	defer conf.Close()
	for _, line := range settings {
		if _, err := fmt.Fprintln(conf, line); err != nil {
			return fmt.Errorf("postgres: %w", err)
		}
	}
	for try := 1; ; try++ { // another process may take the port in between
		if s.port, err = freePort(ctx); err != nil {
			return err
		}
		if err = s.launch(ctx); err == nil || try == 3 {
			break
		}
	}
	if err != nil {
		return err
	}
	s.URL = fmt.Sprintf("postgres://fprom@127.0.0.1:%d/fprom?sslmode=disable", s.port)
	return s.createDatabase(ctx)
}

func (s *Server) createDatabase(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "createdb"), "-h", "127.0.0.1", "-p", strconv.Itoa(s.port), "-U", "fprom", "fprom") //nolint:gosec // found by find
	cmd.Dir, cmd.SysProcAttr = s.dir, attributes()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("postgres: createdb: %w\n%s", err, out)
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// launch starts the server process and waits until it takes connections.
func (s *Server) launch(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), "-D", s.data(), "-p", strconv.Itoa(s.port), //nolint:gosec,noctx // found by find; Stop ends it
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
	cmd.Dir, cmd.SysProcAttr, cmd.Stdout, cmd.Stderr = s.dir, attributes(), log, log
	started := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		// The kernel signals the server when the thread that started it ends: keep that thread as long as the server.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ends does not matter
			close(ended)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	s.process, s.ended = cmd.Process, ended
	return s.await(ctx)
}

func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		ready := exec.CommandContext(ctx, filepath.Join(s.bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(s.port)) //nolint:gosec // found by find
		ready.Dir, ready.SysProcAttr = s.dir, attributes()
		if ready.Run() == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("postgres: the server ended: %s", s.logTail())
		case <-ctx.Done():
			return fmt.Errorf("postgres: the server does not take connections: %w: %s", ctx.Err(), s.logTail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *Server) logTail() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(b[max(0, len(b)-2000):]))
}

// Crash ends the server as a power failure would, as far as PostgreSQL can tell. Continue starts it again.
func (s *Server) Crash() error { return s.end(syscall.SIGQUIT) }

// Continue starts a server that was ended by Crash, with its data, on the same port. If a connection of another process has that
// port, it tries again.
func (s *Server) Continue(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		err := s.launch(limited)
		if err == nil {
			return nil
		}
		select {
		case <-limited.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Stop ends the server and removes its directory. It may be called more than once. Nothing is left that a checkpoint, which may take
// long on a busy disk, would be for.
func (s *Server) Stop() error {
	err := s.end(syscall.SIGQUIT)
	return errors.Join(err, os.RemoveAll(s.dir))
}

func (s *Server) end(sig syscall.Signal) error {
	if s.process == nil {
		return nil
	}
	p := s.process
	s.process = nil
	if err := p.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("postgres: stop: %w", err)
	}
	select {
	case <-s.ended:
		return nil
	case <-time.After(stopTime):
		_ = p.Kill() // its children notice
		return errors.New("postgres: the server did not stop and was killed")
	}
}

// programs are what a directory must hold to be taken.
var programs = []string{"initdb", "postgres", "pg_isready", "createdb"}

// find returns the directory of the server's programs: those of the PATH, else the newest of the usual places.
func find() (string, error) {
	var dirs []string
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		slices.Reverse(found)
		dirs = append(dirs, found...)
	}
	for _, dir := range dirs {
		if !slices.ContainsFunc(programs, func(name string) bool {
			_, err := os.Stat(filepath.Join(dir, name))
			return err != nil
		}) {
			return dir, nil
		}
	}
	return "", ErrMissing
}

func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("postgres: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
