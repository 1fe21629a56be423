package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

const secret = "whsec_demo"

// process is the shop: this program again, with envOutbox in its environment.
type process struct {
	url   string
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{}
	err   error // of Wait; read it after ended is closed
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// startProcess starts a shop and waits until it listens.
func startProcess(ctx context.Context, log io.Writer, env ...string) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the shop: %w", err)
	}
	p := &process{cmd: cmd, stdin: stdin, ended: make(chan struct{})}
	line, err := bufio.NewReader(stdout).ReadString('\n') // ends at the latest with the process
	go func() {
		defer close(p.ended)
		p.err = cmd.Wait()
	}()
	if err != nil {
		return nil, fmt.Errorf("the shop did not start: %w (its log is shown with -v)", errors.Join(err, p.kill()))
	}
	p.url = strings.TrimSpace(line)
	return p, nil
}

// kill sends SIGKILL, or the equivalent of the operating system. p may be nil.
func (p *process) kill() error {
	if p == nil {
		return errors.New("it is down")
	}
	err := p.cmd.Process.Kill()
	<-p.ended
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// stop lets the process deliver its events and end. p may be nil.
func (p *process) stop() error {
	if p == nil {
		return errors.New("it is down")
	}
	_ = p.stdin.Close() // fails only if the process has ended already
	select {
	case <-p.ended:
		return p.err
	case <-time.After(30 * time.Second):
		return errors.Join(errors.New("the shop does not end"), p.kill())
	}
}
