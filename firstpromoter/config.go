package firstpromoter

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/loopback"
)

// DefaultRate is the default of Config.Rate, in calls a minute. It is less than a sixth of what FirstPromoter allows an
// account: tracking needs the rest.
const DefaultRate = 60

// Config configures a Client. The zero value takes everything from the environment, as fprom.Config does. A Config that is
// printed or logged does not show the key.
type Config struct {
	// APIKey and AccountID are FirstPromoter's credentials. Default: $FIRSTPROMOTER_API_KEY and $FIRSTPROMOTER_ACCOUNT_ID.
	APIKey, AccountID string
	// BaseURL is the address of the tracking API (as fprom.Config.BaseURL) or of the Company API; see CompanyURL. Plain http
	// is allowed for loopback hosts only. Default: $FIRSTPROMOTER_API_URL, else fprom.DefaultBaseURL.
	BaseURL string
	// HTTPClient provides the Transport; nothing else of it is used. Redirects are never followed. Default:
	// http.DefaultTransport.
	HTTPClient *http.Client
	// Timeout bounds one call. Default 30 s.
	Timeout time.Duration
	// Rate is the number of calls a minute, at least 1; no 60-second window gets more. Default DefaultRate.
	Rate int
	// Attempts is the largest number of attempts for a call that gets no answer or a 5xx, with backoff. Default 4.
	Attempts int
	// Admit, if set, is called before every call and may wait. It is for a rate limit that is shared with a Tracker's queue.
	Admit func(context.Context) error
	// Observer, if set, is called after every call, on the caller's goroutine.
	Observer func(Call)
}

// Format prints the Config without the key, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) {
	type printable Config // without this method
	if c.APIKey != "" {
		c.APIKey = "[redacted]"
	}
	_, _ = fmt.Fprintf(f, "%+v", printable(c))
}

// Call describes one call. It contains nothing of the answer's body.
type Call struct {
	Status int           // 0: no answer
	Wait   time.Duration // the shortest wait before a retry; 0: a retry cannot help
}

// Client reads the Company API. It is safe for concurrent use.
type Client struct {
	cfg       Config
	transport http.RoundTripper
	pace      *pacer
	calls     atomic.Int64
}

// New checks cfg and returns a Client. It makes no call. An error is a *fprom.ValidationError that names the field, or
// wraps ErrV1.
func New(cfg Config) (*Client, error) {
	cfg.APIKey = cmp.Or(cfg.APIKey, os.Getenv("FIRSTPROMOTER_API_KEY"))
	cfg.AccountID = cmp.Or(cfg.AccountID, os.Getenv("FIRSTPROMOTER_ACCOUNT_ID"))
	cfg.BaseURL = cmp.Or(cfg.BaseURL, os.Getenv("FIRSTPROMOTER_API_URL"), fprom.DefaultBaseURL)
	cfg.Timeout = cmp.Or(cfg.Timeout, 30*time.Second)
	cfg.Rate = cmp.Or(cfg.Rate, DefaultRate)
	cfg.Attempts = cmp.Or(cfg.Attempts, 4)
	base, err := CompanyURL(cfg.BaseURL)
	err = cmp.Or(
		checkCredential("Config.APIKey", "FIRSTPROMOTER_API_KEY", cfg.APIKey),
		checkCredential("Config.AccountID", "FIRSTPROMOTER_ACCOUNT_ID", cfg.AccountID),
		err, cfg.checkNumbers(),
	)
	if err != nil {
		return nil, err
	}
	cfg.BaseURL = base
	c := &Client{cfg: cfg, pace: newPacer(cfg.Rate)}
	if cfg.HTTPClient != nil {
		c.transport = cfg.HTTPClient.Transport
	}
	if c.transport == nil {
		c.transport = http.DefaultTransport
	}
	return c, nil
}

func (c Config) checkNumbers() error {
	switch {
	case c.Timeout < 0:
		return &fprom.ValidationError{Field: "Config.Timeout", Reason: "is negative"}
	case c.Rate < 1:
		return &fprom.ValidationError{Field: "Config.Rate", Reason: "must be at least 1 call a minute"}
	case c.Attempts < 1:
		return &fprom.ValidationError{Field: "Config.Attempts", Reason: "must be at least 1"}
	}
	return nil
}

// Calls is the number of calls so far, including failed ones and retries.
func (c *Client) Calls() int { return int(c.calls.Load()) }

// Rate is the Client's limit, in calls a minute.
func (c *Client) Rate() int { return c.cfg.Rate }

// Format prints the address and nothing else, whatever the verb.
func (c *Client) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "firstpromoter.Client("+c.cfg.BaseURL+")")
}

// CompanyURL derives the Company API's address from the tracking API's: …/track becomes …/company. An address that ends
// in /company is returned as it is. An address of API v1 is an error that wraps ErrV1; every other one is a
// *fprom.ValidationError of "Config.BaseURL".
func CompanyURL(base string) (string, error) {
	bad := func(reason string) (string, error) {
		return "", &fprom.ValidationError{Field: "Config.BaseURL", Reason: reason + "; the default is " + fprom.DefaultBaseURL}
	}
	u, err := url.Parse(base)
	switch {
	case err != nil || strings.Contains(base, " "): // Parse refuses the other control characters
		return bad("is not a URL")
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return bad("must begin with https:// and a host")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return bad("must have no user, query or fragment")
	case u.Scheme == "http" && !loopback.Is(u.Hostname()):
		return bad("must be https: plain http would show the API key to the network; it is taken for loopback hosts only")
	}
	path := strings.TrimRight(u.Path, "/")
	if isV1(u.Hostname(), path) {
		return "", fmt.Errorf("fprom: Config.BaseURL ($FIRSTPROMOTER_API_URL): %w", ErrV1)
	}
	switch {
	case strings.HasSuffix(path, "/company"):
	case strings.HasSuffix(path, "/track"):
		path = strings.TrimSuffix(path, "/track") + "/company"
	default:
		return bad("must end in /track, the tracking API's path")
	}
	u.Path, u.RawPath = path, ""
	return u.String(), nil
}

// isV1 reports whether an address is that of API v1: https://firstpromoter.com/api/v1/track, or its path on another host.
func isV1(host, path string) bool {
	return strings.Contains(path+"/", "/api/v1/") ||
		strings.EqualFold(strings.TrimPrefix(strings.ToLower(host), "www."), "firstpromoter.com")
}

func checkCredential(field, env, s string) error {
	switch {
	case s == "":
		return &fprom.ValidationError{Field: field, Reason: "is missing: set it or $" + env}
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return &fprom.ValidationError{Field: field, Reason: "contains white space, a line end or another character that no credential has: trim it"}
	case strings.ContainsAny(s, "\"'<>{}$"):
		return &fprom.ValidationError{Field: field, Reason: "contains quotes or is a placeholder: set it to what FirstPromoter shows under Settings → Integrations → Manage API keys"}
	}
	return nil
}
