package fprom

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/fprom-go/fprom/internal/loopback"
)

// DefaultBaseURL is FirstPromoter's tracking API, version 2.
const DefaultBaseURL = "https://api.firstpromoter.com/api/v2/track"

// Config configures a Tracker. Only the key and the account id are needed, and they may come from the environment. A zero
// field means its default. A Config that is printed or logged does not show the key; it cannot be encoded as JSON.
type Config struct {
	// APIKey and AccountID are FirstPromoter's credentials (Settings → Integrations → Manage API keys).
	// Default: $FIRSTPROMOTER_API_KEY and $FIRSTPROMOTER_ACCOUNT_ID. A durable queue is for one account: what waits in it goes to this one.
	APIKey, AccountID string
	// BaseURL is the address of the API, without the kind of event, such as "/sale". http is allowed for loopback hosts only. If the host
	// is FirstPromoter's, the path must be that of DefaultBaseURL.
	// Default: $FIRSTPROMOTER_API_URL, else DefaultBaseURL.
	BaseURL string
	// HTTPClient: only its Transport is used, and redirects are never followed. Default: a copy of http.DefaultTransport, or
	// http.DefaultTransport itself if the program has replaced it by another type.
	HTTPClient *http.Client
	// Timeout bounds one attempt. At least 1 ms; default 10 s.
	Timeout time.Duration
	// RequestsPerMinute is the limit of the account over all its keys, endpoints and processes. If several processes share
	// the account without a shared queue, give each its part. This Tracker makes at most so many calls in any 60 seconds. At least 2;
	// default 400, which is FirstPromoter's limit.
	RequestsPerMinute int
	// Burst is how many calls may be made at once after a quiet time; a backlog goes a little slower than RequestsPerMinute - Burst.
	// A new Tracker begins without a burst, since the process before it may have used up the minute. At least 1 and less than
	// RequestsPerMinute; default 20, or a twentieth of RequestsPerMinute if that is less.
	Burst int
	// Workers is the number of deliveries at once. It matters only if calls take long; otherwise the rate limit decides.
	// Default 64.
	Workers int
	// Queue holds accepted events. The Tracker owns it and closes it in Shutdown; if New fails, the caller still owns it.
	// Default NewMemoryQueue(0), which does not outlive the process.
	Queue   Queue
	Breaker BreakerConfig // when delivery stops because FirstPromoter fails
	Dedupe  DedupeConfig  // how many event ids this process remembers
	Retry   RetryConfig   // when an event is sent again
	// Logger gets what an operator must know; never the API key, never a whole e-mail address. It is called in requests, too, so
	// it must not block. Default slog.Default().
	Logger *slog.Logger
	// Observer is called for every step of every event, on the goroutine that makes the step. It must be quick and safe for
	// concurrent use, and must not call Record, or the Tracker's Enqueue, Flush or Shutdown. Default none.
	Observer func(context.Context, Step)
}

func (c Config) withDefaults() Config {
	c.APIKey = cmp.Or(c.APIKey, os.Getenv("FIRSTPROMOTER_API_KEY"))
	c.AccountID = cmp.Or(c.AccountID, os.Getenv("FIRSTPROMOTER_ACCOUNT_ID"))
	c.BaseURL = strings.TrimRight(cmp.Or(c.BaseURL, os.Getenv("FIRSTPROMOTER_API_URL"), DefaultBaseURL), "/")
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.RequestsPerMinute = cmp.Or(c.RequestsPerMinute, 400)
	c.Burst = cmp.Or(c.Burst, max(min(20, c.RequestsPerMinute/20), 1))
	c.Workers = cmp.Or(c.Workers, 64)
	c.Breaker.Failures = cmp.Or(c.Breaker.Failures, 5)
	c.Breaker.OpenFor = cmp.Or(c.Breaker.OpenFor, time.Second)
	c.Dedupe.TTL = cmp.Or(c.Dedupe.TTL, 24*time.Hour)
	c.Dedupe.MaxEntries = cmp.Or(c.Dedupe.MaxEntries, 1<<18)
	c.Retry.Base = cmp.Or(c.Retry.Base, time.Second)
	c.Retry.Max = cmp.Or(c.Retry.Max, max(time.Minute, c.Retry.Base))
	if c.Retry.NotFound == nil {
		c.Retry.NotFound = []time.Duration{30 * time.Second, 5 * time.Minute, time.Hour}
	}
	c.Queue = cmp.Or(c.Queue, NewMemoryQueue(0))
	c.Logger = cmp.Or(c.Logger, slog.Default())
	return c
}

// validate names the first field that is wrong.
func (c Config) validate() error {
	if c.APIKey == "" && c.AccountID == "" {
		return ErrNoCredentials
	}
	times := c.Retry.NotFound
	return cmp.Or(
		validCredential("Config.APIKey", "$FIRSTPROMOTER_API_KEY", c.APIKey),
		validCredential("Config.AccountID", "$FIRSTPROMOTER_ACCOUNT_ID", c.AccountID),
		validBaseURL(c.BaseURL),
		invalid(c.Timeout < time.Millisecond, "Config.Timeout", "is negative or less than a millisecond: it needs a unit, as in 10 * time.Second"),
		invalid(c.RequestsPerMinute < 2, "Config.RequestsPerMinute", "must be at least 2"),
		invalid(c.Burst < 1 || c.Burst >= c.RequestsPerMinute, "Config.Burst", "must be between 1 and RequestsPerMinute-1"),
		invalid(c.Workers < 0, "Config.Workers", "is negative"),
		invalid(isPointer(c.Queue) && reflect.ValueOf(c.Queue).IsNil(), "Config.Queue", "is a nil pointer: look at the error of the function that opened the queue"),
		invalid(c.Breaker.Failures < 0, "Config.Breaker.Failures", "is negative"),
		invalid(c.Breaker.OpenFor < 0, "Config.Breaker.OpenFor", "is negative"),
		invalid(c.Dedupe.TTL < 0, "Config.Dedupe.TTL", "is negative"),
		invalid(c.Dedupe.MaxEntries < 0, "Config.Dedupe.MaxEntries", "is negative"),
		invalid(c.Retry.Base < 0, "Config.Retry.Base", "is negative"),
		invalid(c.Retry.Max < c.Retry.Base, "Config.Retry.Max", "is less than Base"),
		invalid(!slices.IsSorted(times) || len(times) > 0 && times[0] < 0, "Config.Retry.NotFound", "is negative or out of order: list times since the first answer, the lowest first"),
	)
}

// isPointer reports whether q can be nil, and a key of queuesInUse: equal pointers are the same queue, equal structs need not be.
func isPointer(q Queue) bool { return reflect.TypeOf(q).Kind() == reflect.Pointer }

func validCredential(field, variable, s string) error {
	wrong := func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"'<>{}$", r) }
	return cmp.Or(
		invalid(s == "", field, "is missing: set it or "+variable),
		invalid(strings.ContainsFunc(s, wrong), field, "contains white space, a quote or another character that no credential has: set it to what FirstPromoter shows under Settings → Integrations → Manage API keys, without \"Bearer\"; trim it if it was read from a file"),
	)
}

func validBaseURL(s string) error {
	const (
		field = "Config.BaseURL"
		from  = "; $FIRSTPROMOTER_API_URL sets it if Config does not; the default is " + DefaultBaseURL
	)
	u, _ := url.Parse(s)
	u = cmp.Or(u, &url.URL{}) // not a URL at all
	return cmp.Or(
		invalid(u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "", field, "must begin with https://, or http:// for a loopback host, and then have a host"+from),
		invalid(u.User != nil || strings.ContainsAny(s, "?# "), field, "must have no user, query, fragment or space"+from),
		invalid(strings.HasSuffix("."+strings.ToLower(u.Hostname()), ".firstpromoter.com") && u.Path != "/api/v2/track", field, "is not the address of FirstPromoter's tracking API, version 2"+from),
		invalid(u.Scheme == "http" && !loopback.Is(u.Hostname()), field, "must be https, since plain http would show the API key to the network (only a loopback host may have it)"+from),
	)
}

// Format prints the Config without the key, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) {
	type printable Config // without this method
	c.APIKey = "[redacted]"
	_, _ = fmt.Fprintf(f, "%+v", printable(c))
}
