package fprom

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	userAgent   = "fprom-go"
	maxResponse = 256 << 10 // of an answer's body; FirstPromoter's have about 1 KiB per commission
	maxMessage  = 200       // of a message that is kept from an answer
)

// client makes one HTTP attempt and says what the answer means. It calls the transport itself, without http.Client: so
// no redirect is ever followed and no cookie kept.
type client struct {
	transport http.RoundTripper
	own       bool // the transport is the Tracker's
	closeIdle func()
	base      string // without trailing slash
	key       string
	timeout   time.Duration
	templates map[string]*http.Request // by kind
}

func newClient(cfg Config) (*client, error) {
	c := &client{base: cfg.BaseURL, key: cfg.APIKey, timeout: cfg.Timeout, closeIdle: func() {}, templates: map[string]*http.Request{}}
	if cfg.HTTPClient != nil {
		c.transport = cfg.HTTPClient.Transport
	}
	if c.transport == nil {
		c.useDefaultTransport(cfg.Workers)
	}
	for _, kind := range []string{KindSale, KindRefund, KindSignup, KindCancellation} {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, c.base+"/"+kind, http.NoBody)
		if err != nil {
			return nil, &ValidationError{"Config.BaseURL", "is not a URL: " + err.Error()}
		}
		req.Header = http.Header{
			"Accept":          {"application/json"},
			"Accept-Encoding": {"identity"},
			"Account-Id":      {cfg.AccountID},
			"Authorization":   {"Bearer " + cfg.APIKey},
			"Content-Type":    {"application/json"},
			"User-Agent":      {userAgent},
		}
		c.templates[kind] = req
	}
	return c, nil
}

// useDefaultTransport takes a copy of http.DefaultTransport, or that itself if the program has replaced it.
func (c *client) useDefaultTransport(workers int) {
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		c.transport = http.DefaultTransport
		return
	}
	t := standard.Clone()
	t.MaxIdleConnsPerHost = max(workers, t.MaxIdleConnsPerHost)
	t.MaxIdleConns = max(workers, t.MaxIdleConns)
	t.MaxResponseHeaderBytes = 64 << 10
	t.DisableCompression = true // no answer grows when it is read
	c.transport, c.own, c.closeIdle = t, true, t.CloseIdleConnections
}

// request makes the request for m.
func (c *client) request(ctx context.Context, m Message) (*http.Request, error) {
	template := c.templates[m.Kind]
	if template == nil {
		return nil, fmt.Errorf("unknown kind %q", m.Kind)
	}
	req := template.WithContext(ctx)
	if !c.own { // a transport must not change a request, but some do
		req.Header = template.Header.Clone()
	}
	req.ContentLength = int64(len(m.Body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m.Body)), nil }
	req.Body, _ = req.GetBody()
	return req, nil
}

// post sends m once. brief: nobody will look at the commissions in the answer.
func (c *client) post(ctx context.Context, m Message, brief bool) verdict {
	attempt, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := c.request(attempt, m)
	if err != nil {
		return verdict{Result: Result{Outcome: Undelivered}, class: classRejected, err: fmt.Errorf("fprom: %s: %w", m.name(), err)}
	}
	start := time.Now()
	v := c.roundTrip(req, m, brief)
	v.sent, v.elapsed = true, time.Since(start)
	switch {
	case v.class != classTransient:
	case ctx.Err() != nil:
		v.class, v.err = classInterrupted, ctx.Err()
	case attempt.Err() != nil:
		v.err = fmt.Errorf("no answer within %v (Config.Timeout): %w", c.timeout, v.err)
	}
	if v.err != nil {
		v.err = fmt.Errorf("fprom: %s: %w", m.name(), v.err)
	}
	return v
}

func (c *client) roundTrip(req *http.Request, m Message, brief bool) verdict {
	resp, err := c.transport.RoundTrip(req)
	switch {
	case err != nil:
		return transient(0, c.scrub(err))
	case resp == nil:
		return transient(0, errors.New("the transport gave neither an answer nor an error"))
	case resp.Body == nil: // a stand-in for a transport may leave it out
		resp.Body = http.NoBody
	}
	defer resp.Body.Close()
	buf := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buf)
	buf.Reset()
	_, err = buf.ReadFrom(&io.LimitedReader{R: resp.Body, N: maxResponse + 1})
	if err != nil || buf.Len() > maxResponse {
		return c.unreadable(m, resp, err)
	}
	return c.classify(m, resp, buf.Bytes(), brief) // which keeps nothing of the bytes
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// unreadable is the verdict on an answer whose body broke off with err, or is too long if err is nil. What concerns the
// account says so by its status alone.
func (c *client) unreadable(m Message, resp *http.Response, err error) verdict {
	v := c.classify(m, resp, nil, true)
	switch {
	case v.class == classRefused, v.class == classThrottled, resp.StatusCode >= 300 && resp.StatusCode < 400:
		return v
	case err != nil:
		return transient(resp.StatusCode, fmt.Errorf("read the answer: %w", c.scrub(err)))
	default:
		return transient(resp.StatusCode, &APIError{StatusCode: resp.StatusCode, foreign: true})
	}
}

// clean makes text of an answer fit for logs and errors: short, printable, without key and addresses.
func (c *client) clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		default:
			return r
		}
	}, strings.ToValidUTF8(s, "?"))
	words := strings.Fields(strings.ReplaceAll(s, c.key, "[API key]"))
	for i, w := range words {
		if strings.Contains(w, "@") {
			words[i] = MaskEmail(w)
		}
	}
	s = strings.Join(words, " ")
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + "…"
	}
	return s
}

// scrub keeps the key and addresses out of an error of the transport, whose text may quote what a server sent.
func (c *client) scrub(err error) error {
	if s := err.Error(); strings.Contains(s, c.key) || strings.Contains(s, "@") {
		return errors.New(c.clean(s))
	}
	return err
}
