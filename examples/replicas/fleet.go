package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// process is a running replica.
type process struct {
	cmd  *exec.Cmd
	in   io.Closer // closing it ends the process
	addr string
}

// fleet is three replicas and a simple load balancer for them.
type fleet struct {
	env    []string
	client http.Client

	mu       sync.Mutex
	replicas [3]*process
}

// start starts replica i. It ends at the latest with this process.
func (f *fleet) start(i int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), f.env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return fmt.Errorf("replica %d did not start: %w", i+1, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replicas[i] = &process{cmd, in, strings.TrimSpace(addr)}
	return nil
}

func (f *fleet) take(i int) *process {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.replicas[i]
	f.replicas[i] = nil
	return p
}

// kill ends replica i as a crash would.
func (f *fleet) kill(i int) {
	if p := f.take(i); p != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait() // the error is that of the kill
	}
}

// stop lets all replicas shut down.
func (f *fleet) stop() error {
	var failed error
	for i := range f.replicas {
		p := f.take(i)
		if p == nil {
			continue
		}
		_ = p.in.Close()
		if err := p.cmd.Wait(); err != nil {
			failed = fmt.Errorf("replica %d: %w", i+1, err)
		}
	}
	return failed
}

// send posts a webhook to replica i and then to the next ones, until one answers 200. It returns the number of posts.
func (f *fleet) send(ctx context.Context, i int, form url.Values) (sent int) {
	for ; ; i++ {
		if addr := f.addr(i % len(f.replicas)); addr != "" {
			sent++
			if f.post(ctx, addr, form) {
				return sent
			}
		}
		if sleep(ctx, 50*time.Millisecond) != nil {
			return sent
		}
	}
}

// addr returns the address of replica i, or "" if it does not run.
func (f *fleet) addr(i int) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.replicas[i] == nil {
		return ""
	}
	return f.replicas[i].addr
}

func (f *fleet) post(ctx context.Context, addr string, form url.Values) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/webhook", strings.NewReader(form.Encode()))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := f.client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
