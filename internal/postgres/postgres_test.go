package postgres_test

import (
	"os"
	"testing"

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
	if err := s.Continue(t.Context()); err != nil {
		t.Fatalf("after a crash: %v", err)
	}
	if s.URL == "" {
		t.Error("the server has no URL")
	}
}
