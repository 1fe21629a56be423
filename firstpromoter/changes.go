package firstpromoter

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// Changes is a file of what FirstPromoter's webhooks said about commissions: one JSON object a line, about 150 bytes, without
// personal data. An event of ours names its commissions (fprom.Entry.CommissionIDs); Status says what became of them. It is
// safe for concurrent use; one process writes it, others may read it (ReadChanges).
type Changes struct {
	mu      sync.Mutex
	file    *os.File // nil: only read
	size    int64    // of the whole lines
	latest  map[int64]Change
	webhook map[string]bool
}

// Change is one line.
type Change struct {
	Webhook    string    `json:"webhook"`
	Type       string    `json:"type"`
	Commission int64     `json:"commission,omitempty"`
	Status     string    `json:"status,omitempty"`
	At         time.Time `json:"at"`
}

// OpenChanges opens the file, and makes it if it does not exist. A last line that was torn off by a crash is cut away:
// FirstPromoter delivers that webhook again. Another file is refused, and not changed.
func OpenChanges(path string) (*Changes, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the path is the caller's
	if err != nil {
		return nil, fmt.Errorf("fprom: the file of changes: %w", err)
	}
	c := &Changes{file: f, latest: map[int64]Change{}, webhook: map[string]bool{}}
	whole, err := c.read(f)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	c.size = whole
	if err != nil {
		return nil, errors.Join(fmt.Errorf("fprom: the file of changes: %w", err), f.Close())
	}
	return c, nil
}

// ReadChanges reads the file as it is now. Nothing can be added.
func ReadChanges(path string) (*Changes, error) {
	f, err := os.Open(path) //nolint:gosec // the path is the caller's
	if err != nil {
		return nil, fmt.Errorf("fprom: the file of changes: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	c := &Changes{latest: map[int64]Change{}, webhook: map[string]bool{}}
	if _, err := c.read(f); err != nil {
		return nil, fmt.Errorf("fprom: the file of changes: %w", err)
	}
	return c, nil
}

// begin is how every line begins.
const begin = `{"webhook":`

// read takes in whole lines, and returns how many bytes they are.
func (c *Changes) read(r io.Reader) (whole int64, err error) {
	buf := bufio.NewReader(r)
	if b, err := buf.Peek(len(begin)); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	} else if !strings.HasPrefix(begin, string(b)) {
		return 0, errors.New("it is another file, which OpenChanges did not write; nothing was changed")
	}
	for {
		line, err := buf.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		if err != nil {
			return whole, err
		}
		whole += int64(len(line))
		var x Change
		if json.Unmarshal(bytes.TrimSpace(line), &x) == nil {
			c.note(x)
		}
	}
}

func (c *Changes) note(x Change) {
	if x.Webhook != "" {
		c.webhook[x.Webhook] = true
	}
	was := c.latest[x.Commission]
	if x.Commission == 0 || was.Status == StatusDeleted || was.At.After(x.At) { // webhooks may come in any order
		return
	}
	c.latest[x.Commission] = x
}

// Add notes a webhook, and returns when it is on disk. Webhooks of other things than commissions are left out.
func (c *Changes) Add(w Webhook) error {
	if !strings.HasPrefix(w.Type, "commission.") {
		return nil
	}
	if w.At.IsZero() {
		w.At = time.Now()
	}
	x := Change{Webhook: w.ID, Type: w.Type, Commission: w.EntityID, Status: w.Commission.Status, At: w.At}
	line, err := json.Marshal(x)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file == nil {
		return errors.New("fprom: the file of changes was opened for reading")
	}
	n, err := c.file.Write(append(line, '\n'))
	if err == nil {
		err = c.file.Sync()
	}
	if err != nil { // half a line must not spoil the next one
		_, serr := c.file.Seek(c.size, io.SeekStart)
		return fmt.Errorf("fprom: the file of changes: %w", errors.Join(err, c.file.Truncate(c.size), serr))
	}
	c.size += int64(n)
	c.note(x)
	return nil
}

func (c *Changes) seen(webhook string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return webhook != "" && c.webhook[webhook]
}

// Status is what became of a commission: "pending", "approved", "denied", "deleted"; empty if no webhook said.
func (c *Changes) Status(commission int64) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.latest[commission].Status
}

// Close closes the file.
func (c *Changes) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file == nil {
		return nil
	}
	err := c.file.Close()
	c.file = nil
	return err
}
