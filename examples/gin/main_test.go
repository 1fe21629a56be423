package main

import (
	"testing"

	"github.com/fprom-go/fprom/examples/internal/exampletest"
)

// TestRun does what the program tells a new user to do: the curl lines, and Ctrl-C.
func TestRun(t *testing.T) { exampletest.Shop(t, run) }

func TestRunSaysWhatIsWrong(t *testing.T) { exampletest.SaysWhatIsWrong(t, run) }
