package fprom

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fprom-go/fprom/internal/safelog"
)

// Version is the version of this module, as in the User-Agent of every call. With "-dev" it is not released yet.
const Version = "0.2.0-dev"

const (
	userAgent   = "fprom-go/" + Version + " (+https://github.com/fprom-go/fprom)"
	maxResponse = 256 << 10 // bytes of an answer's body; FirstPromoter's have about 1 KiB per commission
)

// client makes one HTTP call and says what the answer means. It does without http.Client, which would follow redirects.
type client struct {
	cfg       Config
	transport http.RoundTripper
	closeIdle func()
}

func newClient(cfg Config) *client {
	c := &client{cfg: cfg, transport: http.DefaultTransport, closeIdle: func() {}}
	standard, ok := http.DefaultTransport.(*http.Transport)
	switch {
	case cfg.HTTPClient != nil && cfg.HTTPClient.Transport != nil:
		c.transport = cfg.HTTPClient.Transport
	case ok:
		t := standard.Clone()
		t.MaxIdleConnsPerHost = cfg.Workers // over HTTP/1.1 each worker has its own connection
		t.MaxResponseHeaderBytes = 64 << 10
		t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second} // so that a dead connection is closed
		c.transport, c.closeIdle = t, t.CloseIdleConnections
	}
	return c
}

func (c *client) post(ctx context.Context, m Message) verdict {
	attempt, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	address := c.cfg.BaseURL + "/" + url.PathEscape(m.Kind) // a queue may return any Kind
	req, _ := http.NewRequestWithContext(attempt, http.MethodPost, address, bytes.NewReader(m.Body))
	req.Header = http.Header{
		"Accept":          {"application/json"},
		"Accept-Encoding": {"identity"}, // so that no answer grows by decompression
		"Account-Id":      {c.cfg.AccountID},
		"Authorization":   {"Bearer " + c.cfg.APIKey},
		"Content-Type":    {"application/json"},
		"User-Agent":      {userAgent},
	}
	start := time.Now()
	v := c.roundTrip(req, m)
	v.sent, v.elapsed = true, time.Since(start)
	switch {
	case v.class != classTransient:
	case ctx.Err() != nil:
		v.class, v.err = classUnknown, ctx.Err()
	case attempt.Err() != nil:
		v.err = fmt.Errorf("no answer within %v (Config.Timeout): %w", c.cfg.Timeout, v.err)
	}
	if v.err != nil {
		v.err = fmt.Errorf("fprom: %s: %w", SafeKey(m.Key), v.err)
	}
	return v
}

// roundTrip makes the call. The transport may be foreign code.
func (c *client) roundTrip(req *http.Request, m Message) verdict {
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return transient(fmt.Errorf("%w; check the network, DNS and any proxy, and Config.BaseURL ($FIRSTPROMOTER_API_URL)", c.scrub(err)))
	}
	if resp.Body == nil { // a fake transport may leave it out
		resp.Body = http.NoBody
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		_ = resp.Body.Close() // this body may never end, and no context ends a read of it
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	return c.classify(m, resp, body, err)
}

// scrub makes an error of the transport fit for logs. It also removes answers: net/http quotes a malformed line, which may be the
// rest of FirstPromoter's last answer.
func (c *client) scrub(err error) error {
	s := strings.SplitAfter(err.Error(), "malformed")[0]
	return &scrubbed{safelog.Foreign(s, c.cfg.APIKey), err}
}

// scrubbed is an error with another text. It has no Unwrap, since some loggers print the error inside, too.
type scrubbed struct {
	text string
	err  error
}

func (e *scrubbed) Error() string        { return e.text }
func (e *scrubbed) Is(target error) bool { return errors.Is(e.err, target) }
func (e *scrubbed) As(target any) bool   { return errors.As(e.err, target) }
