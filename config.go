package fprom

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// DefaultBaseURL is FirstPromoter's tracking API, version 2.
const DefaultBaseURL = "https://api.firstpromoter.com/api/v2/track"

// Config configures a Tracker. Only the key and the account id are needed, and they may come from the environment.
// Printed or encoded as JSON a Config does not show the key.
type Config struct {
	// APIKey and AccountID are FirstPromoter's credentials (Settings → Integrations → Manage API keys).
	// Default: $FIRSTPROMOTER_API_KEY and $FIRSTPROMOTER_ACCOUNT_ID.
	APIKey, AccountID string
	// BaseURL is the address that "/sale" and so on are appended to. http is taken for loopback hosts only.
	// Default: $FIRSTPROMOTER_API_URL, else DefaultBaseURL.
	BaseURL string
	// HTTPClient lends its Transport; its other fields are not used, and redirects are never followed. Default: a
	// transport of the Tracker's own, like http.DefaultTransport; that itself if it is not an *http.Transport.
	HTTPClient *http.Client
	// Timeout bounds one attempt. At least 1 ms; default 10 s.
	Timeout time.Duration
	// RequestsPerMinute is the limit of the account over all its keys, endpoints and processes: where several processes
	// share the account without a shared queue, give each its part. No 60-second window, however placed, gets more
	// calls from this Tracker. Default 400, which is FirstPromoter's limit.
	RequestsPerMinute int
	// Burst is how many calls may follow each other without a pause, after a rest: a new Tracker begins without any, since
	// nobody knows what the process before sent. Default 20, or a twentieth of RequestsPerMinute if that is less.
	Burst int
	// Workers is the number of concurrent deliveries. The limit paces them, and so do workers only where calls take long.
	// Default 64.
	Workers int
	// Queue holds accepted events. The Tracker owns it from New on and closes it in Shutdown; after an error of New it is
	// still the caller's.
	// Default NewMemoryQueue(DefaultQueueSize), which does not outlive the process.
	Queue   Queue
	Breaker BreakerConfig
	Dedupe  DedupeConfig
	Retry   RetryConfig
	// Logger gets what an operator must know; never the API key, never a whole e-mail address. Default slog.Default().
	Logger *slog.Logger
	// Observer is called for every step of every event, on the goroutine that makes the step: it must be quick, safe
	// for concurrent use, and must not call the Tracker's Enqueue, Flush or Shutdown. Default none.
	Observer func(context.Context, Step)
}

// withDefaults fills in what is zero. The error names the field that is wrong.
func (c Config) withDefaults() (Config, error) {
	c.APIKey = cmp.Or(c.APIKey, os.Getenv("FIRSTPROMOTER_API_KEY"))
	c.AccountID = cmp.Or(c.AccountID, os.Getenv("FIRSTPROMOTER_ACCOUNT_ID"))
	c.BaseURL = cmp.Or(c.BaseURL, os.Getenv("FIRSTPROMOTER_API_URL"), DefaultBaseURL)
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.RequestsPerMinute = cmp.Or(c.RequestsPerMinute, 400)
	c.Burst = cmp.Or(c.Burst, max(min(20, c.RequestsPerMinute/20), 1))
	c.Workers = cmp.Or(c.Workers, 64)
	c.Breaker, c.Dedupe, c.Retry = c.Breaker.withDefaults(), c.Dedupe.withDefaults(), c.Retry.withDefaults()
	if c.Queue == nil {
		c.Queue = NewMemoryQueue(DefaultQueueSize)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	base, err := checkBaseURL(c.BaseURL)
	c.BaseURL = base
	if c.APIKey == "" && c.AccountID == "" {
		return c, errNoCredentials
	}
	return c, first(
		checkCredential("Config.APIKey", "FIRSTPROMOTER_API_KEY", c.APIKey),
		checkCredential("Config.AccountID", "FIRSTPROMOTER_ACCOUNT_ID", c.AccountID),
		err,
		c.checkNumbers(),
		c.Breaker.validate(), c.Dedupe.validate(), c.Retry.validate(),
	)
}

// errNoCredentials is a *ValidationError and ErrNoCredentials.
var errNoCredentials error = credentialError{&ValidationError{
	"Config.APIKey", "is missing, and so is Config.AccountID: set them or $FIRSTPROMOTER_API_KEY and $FIRSTPROMOTER_ACCOUNT_ID, or use a nil *Tracker in development",
}}

type credentialError struct{ *ValidationError }

func (e credentialError) Unwrap() []error { return []error{ErrNoCredentials, e.ValidationError} }

func (c Config) checkNumbers() error {
	switch {
	case c.Timeout < time.Millisecond:
		return &ValidationError{"Config.Timeout", "is negative or less than a millisecond: it needs a unit, as in 10 * time.Second"}
	case c.RequestsPerMinute < 2:
		return &ValidationError{"Config.RequestsPerMinute", "must be at least 2"}
	case c.Burst < 1 || c.Burst >= c.RequestsPerMinute:
		return &ValidationError{"Config.Burst", "must be between 1 and RequestsPerMinute-1"}
	case c.Workers < 0:
		return &ValidationError{"Config.Workers", "is negative"}
	}
	return nil
}

func checkCredential(field, env, s string) error {
	switch {
	case s == "":
		return &ValidationError{field, "is missing: set it or $" + env}
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return &ValidationError{field, "contains white space, a line end or another character that no credential has: trim it if it was read from a file, and leave out \"Bearer\""}
	case strings.ContainsAny(s, "\"'<>{}$"):
		return &ValidationError{field, "contains quotes or is a placeholder: set it to what FirstPromoter shows under Settings → Integrations → Manage API keys"}
	}
	return nil
}

func checkBaseURL(s string) (string, error) {
	bad := func(reason string) (string, error) { return "", &ValidationError{"Config.BaseURL", reason} }
	u, err := url.Parse(s)
	switch {
	case err != nil || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return bad("is not a URL; the default is " + DefaultBaseURL)
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Hostname() == "":
		return bad("must begin with https:// and a host; the default is " + DefaultBaseURL)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return bad("must have no user, query or fragment")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return bad("must be https: plain http would show the API key to the network; it is taken for loopback hosts only")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// redacted is what may be shown of a Config.
type redacted struct {
	APIKey, AccountID, BaseURL        string
	Timeout                           time.Duration
	RequestsPerMinute, Burst, Workers int
	Queue                             string
	Breaker                           BreakerConfig
	Dedupe                            DedupeConfig
	Retry                             RetryConfig
}

func (c Config) redact() redacted {
	key := ""
	if c.APIKey != "" {
		key = "[redacted]"
	}
	return redacted{
		key, c.AccountID, c.BaseURL, c.Timeout, c.RequestsPerMinute, c.Burst, c.Workers,
		fmt.Sprintf("%T", c.Queue), c.Breaker, c.Dedupe, c.Retry,
	}
}

// Format prints the Config without the key, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, fmt.Sprintf("%+v", c.redact())) }

// MarshalJSON encodes the Config without the key.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.redact()) }

// LogValue shows the Config without the key.
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%+v", c.redact())) }
