package firstpromoter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/safelog"
)

const (
	maxBody      = 16 << 20 // bytes of an answer; a page of 100 commissions has about 130 KiB
	maxThrottled = 10       // 429s in a row for one call
	minWait      = time.Second
	maxWait      = 15 * time.Minute
	noRetryAfter = time.Minute // the wait after a 429 without Retry-After
)

// answer is what FirstPromoter answered to one call.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// get makes a call, repeats it where a retry can help, and returns an answer whose body begins as JSON.
func (c *Client) get(ctx context.Context, path string, query url.Values) (answer, error) {
	throttled := 0
	for attempt := 1; ; attempt++ {
		a, wait, err := c.once(ctx, path, query)
		if err == nil {
			return a, nil
		}
		switch {
		case ctx.Err() != nil:
			return answer{}, ctx.Err()
		case wait == 0, attempt >= c.cfg.Attempts && a.status != http.StatusTooManyRequests, throttled == maxThrottled:
			return answer{}, fmt.Errorf("fprom: GET /company/%s: %w", label(path), err)
		case a.status == http.StatusTooManyRequests: // does not count as an attempt
			throttled++
			attempt--
		default:
			wait = max(wait, time.Second<<min(attempt-1, 5))
		}
		if err := sleep(ctx, wait); err != nil {
			return answer{}, err
		}
	}
}

// label is the path without the part that names a person.
func label(path string) string {
	name, _, _ := strings.Cut(path, "/")
	return name
}

// once makes one call. wait is the shortest wait before a retry; 0 if a retry cannot help.
func (c *Client) once(ctx context.Context, path string, query url.Values) (a answer, wait time.Duration, err error) {
	if c.cfg.Admit != nil {
		if err := c.cfg.Admit(ctx); err != nil {
			return a, 0, err
		}
	}
	if err := c.pace.wait(ctx); err != nil {
		return a, 0, err
	}
	c.calls.Add(1)
	if c.cfg.Observer != nil {
		defer func() { c.cfg.Observer(Call{a.status, wait}) }()
	}
	attempt, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	a, err = c.roundTrip(attempt, path, query)
	if err != nil {
		if attempt.Err() != nil {
			err = fmt.Errorf("no answer within %v (Config.Timeout)", c.cfg.Timeout)
		}
		return a, minWait, fmt.Errorf("%w: %s", ErrUnreachable, safelog.Foreign(err.Error(), c.cfg.APIKey))
	}
	wait, err = c.judge(a)
	return a, wait, err
}

// roundTrip uses the transport without an http.Client. So it follows no redirect, and no other host gets the Account-ID.
func (c *Client) roundTrip(ctx context.Context, path string, query url.Values) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.cfg.BaseURL+"/"+path+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return answer{}, errors.New("the address cannot be called")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Account-Id", c.cfg.AccountID)
	req.Header.Set("Authorization", "Bearer "+c.cfg.APIKey)
	req.Header.Set("User-Agent", "fprom-go")
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return answer{}, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > maxBody {
		return answer{}, errors.New("the answer is larger than 16 MiB")
	}
	return answer{resp.StatusCode, resp.Header, body}, nil
}

// judge returns the error that an answer means, and the shortest wait before a retry.
func (c *Client) judge(a answer) (wait time.Duration, err error) {
	status := a.status
	if status == http.StatusOK {
		if isJSON(a.body) {
			return 0, nil
		}
		return 0, fmt.Errorf("%w: 200 without JSON", ErrNotFirstPromoter)
	}
	var said struct{ Code, Message text }
	ours := isJSON(a.body) && json.Unmarshal(a.body, &said) == nil
	apiErr := &fprom.APIError{StatusCode: status, Code: safelog.Foreign(string(said.Code), c.cfg.APIKey), Message: safelog.Foreign(string(said.Message), c.cfg.APIKey)}
	asked, isAsked := retryAfter(a.header, time.Now())
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return 0, fmt.Errorf("%w: %w", fprom.ErrUnauthorized, apiErr)
	case status == http.StatusNotFound && ours:
		return 0, fmt.Errorf("%w: %w", ErrNotFound, apiErr)
	case status == http.StatusTooManyRequests:
		if !isAsked {
			asked = noRetryAfter
		}
		apiErr.RetryAfter = asked
		return asked, fmt.Errorf("the account's limit of calls is used up; try again in a minute, or let other programs make fewer: %w", apiErr)
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		wait = minWait
		if status == http.StatusServiceUnavailable && isAsked {
			apiErr.RetryAfter, wait = asked, asked
		}
		return wait, fmt.Errorf("FirstPromoter, or a proxy before it, fails; try again in a minute: %w", apiErr)
	case status >= 400 && ours:
		return 0, apiErr
	default:
		return 0, fmt.Errorf("%w: status %d", ErrNotFirstPromoter, status)
	}
}

// isJSON reports whether the body begins as an object or a list. What is behind is seen when it is decoded.
func isJSON(body []byte) bool {
	b := bytes.TrimSpace(body)
	return len(b) > 0 && (b[0] == '{' || b[0] == '[')
}

// hasNext reports whether a Link header names a next page. FirstPromoter documents no such header; one integration saw it.
func hasNext(h http.Header) bool {
	links := strings.ToLower(strings.Join(h.Values("Link"), ","))
	return strings.Contains(strings.ReplaceAll(links, `"`, ""), "rel=next")
}

// retryAfter reads the Retry-After header, which has seconds or a date. The result is between 1 s and 15 min.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	s := strings.TrimSpace(h.Get("Retry-After"))
	d := time.Duration(0)
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if t, err := http.ParseTime(s); err == nil {
		d = t.Sub(now)
	} else {
		return 0, false
	}
	return min(max(d, minWait), maxWait), true
}
