package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/fprom-go/fprom/fpromtest"
)

// demo is everything outside of the shop: its buyers, its billing provider, and FirstPromoter.
type demo struct {
	sizes
	out, shopLog io.Writer
	start        time.Time
	fake         *fpromtest.Server
	outbox       string
	transport    http.Transport // of the buyers and the billing provider
	sold         []string       // events that must earn a commission

	mu   sync.Mutex
	shop *process // nil while it does not run
}

func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.out, "%5.1f s  %s\n", time.Since(d.start).Seconds(), fmt.Sprintf(format, args...))
}

func (d *demo) startShop(ctx context.Context) error {
	shop, err := startProcess(
		ctx, d.shopLog,
		envOutbox+"="+d.outbox,
		envSecret+"="+secret,
		"FIRSTPROMOTER_API_URL="+d.fake.URL,
		"FIRSTPROMOTER_API_KEY="+d.fake.APIKey,
		"FIRSTPROMOTER_ACCOUNT_ID="+d.fake.AccountID,
	)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shop = shop
	return nil
}

// takeShop returns the shop's process, or nil. The caller must end it.
func (d *demo) takeShop() *process {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.shop
	d.shop = nil
	return p
}

func (d *demo) cleanUp() {
	if p := d.takeShop(); p != nil {
		_ = p.kill() // an error means that it has ended
	}
}

// post sends a request to the shop. It repeats it after a 503, which means that the shop could not store a sale.
func (d *demo) post(ctx context.Context, path string, body []byte, header http.Header) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		status, err = d.postOnce(ctx, path, body, header)
		if err != nil || status != http.StatusServiceUnavailable || wait(ctx) != nil {
			return status, err
		}
	}
}

func (d *demo) postOnce(ctx context.Context, path string, body []byte, header http.Header) (status int, err error) {
	d.mu.Lock()
	shop := d.shop
	d.mu.Unlock()
	if shop == nil {
		return 0, errors.New("the shop is down")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, shop.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header = header
	resp, err := d.transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// send posts an order. tid is the visitor's cookie, or empty if no promoter brought them.
func (d *demo) send(ctx context.Context, path string, o order, tid string) (status int, err error) {
	body, err := json.Marshal(o)
	if err != nil {
		return 0, err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if tid != "" {
		header.Set("Cookie", "_fprom_tid="+tid)
	}
	return d.post(ctx, path, body, header)
}

// expect posts an order and checks the status.
func (d *demo) expect(ctx context.Context, want int, path string, o order, tid string) error {
	status, err := d.send(ctx, path, o, tid)
	if err != nil {
		return fmt.Errorf("%s of %s: %w", path, o.ID, err)
	}
	if status != want {
		return fmt.Errorf("%s of %s: the shop answered %d instead of %d", path, o.ID, status, want)
	}
	return nil
}

// insist posts the same order until the shop accepts it, as a buyer does who presses the button again.
func (d *demo) insist(ctx context.Context, o order, tid string) error {
	for {
		if status, err := d.send(ctx, "/checkout", o, tid); err == nil && status == http.StatusOK {
			return nil
		}
		if err := wait(ctx); err != nil {
			return fmt.Errorf("order %s: %w", o.ID, err)
		}
	}
}

// wait waits before something is tried again.
func wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(50 * time.Millisecond):
		return nil
	}
}

const webhookPayment = "pi_demo" // in the webhook

// deliver posts the billing provider's webhook, signed with key at a time.
func (d *demo) deliver(ctx context.Context, key string, at time.Time) (status int, err error) {
	r, err := fpromtest.Webhook("stripe", "checkout.session.completed", fpromtest.WebhookConfig{
		Secret: key, ID: "demo", TID: visitor, Amount: 10000, Tax: 2100, At: at,
	})
	if err != nil {
		return 0, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, err
	}
	return d.post(ctx, r.URL.Path, body, r.Header)
}
