package postgres_test

import (
	"net"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/fprom-go/fprom/internal/postgres"
)

func TestServer(t *testing.T) {
	t.Parallel()
	if os.Getenv("FPROM_TEST_POSTGRES") != "" {
		return // a machine that brings its own server need not have the programs
	}
	s, err := postgres.Start(t.Context(), "max_connections=10")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.Crash(); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", u.Host) // as a connection that got the port meanwhile
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(time.Second, func() { _ = l.Close() })
	if err := s.Continue(t.Context()); err != nil {
		t.Fatalf("after a crash: %v", err)
	}
	if s.URL == "" {
		t.Error("the server has no URL")
	}
}
