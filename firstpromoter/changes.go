package firstpromoter

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// Changes is a file with the status of commissions, as FirstPromoter's webhooks report it: one JSON object a line, about 150
// bytes, no personal data. The commissions of an event are in fprom.Entry.CommissionIDs. Changes is safe for concurrent use.
// One process writes the file; others may read it (ReadChanges).
type Changes struct {
	mu      sync.Mutex
	file    *os.File         // nil after ReadChanges and Close
	latest  map[int64]Change // by commission
	webhook map[string]bool  // ids of the webhooks in the file
}

// Change is one line.
type Change struct {
	Webhook    string    `json:"webhook"`
	Type       string    `json:"type"`
	Commission int64     `json:"commission,omitempty"`
	Status     string    `json:"status,omitempty"`
	At         time.Time `json:"at"`
}

// OpenChanges opens the file, and creates it if it does not exist. It removes an incomplete last line, which a crash left:
// FirstPromoter sends that webhook again. A file that OpenChanges did not write is an error, and stays as it is.
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
	if err != nil {
		return nil, errors.Join(fmt.Errorf("fprom: the file of changes: %w", err), f.Close())
	}
	return c, nil
}

// ReadChanges reads the file once. Add returns an error then.
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

// linePrefix is the beginning of every line.
const linePrefix = `{"webhook":`

// read reads the complete lines, and returns their length in bytes.
func (c *Changes) read(r io.Reader) (whole int64, err error) {
	buf := bufio.NewReader(r)
	if b, _ := buf.Peek(len(linePrefix)); !strings.HasPrefix(linePrefix, string(b)) {
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
		if json.Unmarshal(line, &x) == nil {
			c.note(x)
		}
	}
}

func (c *Changes) note(x Change) {
	c.webhook[x.Webhook] = true
	was := c.latest[x.Commission]
	if x.Commission == 0 || was.Status == StatusDeleted || was.At.After(x.At) { // webhooks may come in any order
		return
	}
	c.latest[x.Commission] = x
}

// Add stores a webhook, and returns when it is on disk. It ignores webhooks that are not about commissions.
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
	if err != nil { // remove the incomplete line
		whole, serr := c.file.Seek(-int64(n), io.SeekCurrent)
		if serr == nil {
			serr = c.file.Truncate(whole)
		}
		return fmt.Errorf("fprom: the file of changes: %w", errors.Join(err, serr))
	}
	c.note(x)
	return nil
}

func (c *Changes) seen(webhook string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return webhook != "" && c.webhook[webhook]
}

// Status returns the last status of a commission: "pending", "approved", "denied" or "deleted"; empty if no webhook named it.
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
