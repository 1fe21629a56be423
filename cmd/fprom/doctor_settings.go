package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
)

const (
	envKey     = "FIRSTPROMOTER_API_KEY"
	envAccount = "FIRSTPROMOTER_ACCOUNT_ID"
	envURL     = "FIRSTPROMOTER_API_URL"

	keysPage = "FirstPromoter → Settings → Integrations → Manage API keys"
)

// settings checks the environment, without the network.
func (d *doctor) settings(ctx context.Context) {
	d.key = d.credential("api_key", envKey, "the API key")
	d.account = d.credential("account_id", envAccount, "the account id")
	if d.key != "" && d.key == d.account {
		d.key, d.account = "", ""
		d.fail("account_id", exitAttention, "set each to what "+keysPage+" shows", "$%s and $%s are the same", envKey, envAccount)
	}
	d.address(ctx)
}

// credential returns the value of the variable if it can be sent.
func (d *doctor) credential(check, env, what string) string {
	v := os.Getenv(env)
	if v == "" {
		fix := fmt.Sprintf("set $%s to what %s shows", env, keysPage)
		if other := similar(env); other != "" {
			fix = fmt.Sprintf("$%s is set, but nothing reads it: rename it to $%s", other, env)
		}
		d.fail(check, exitAttention, fix, "%s is missing: $%s is not set or empty", what, env)
		return ""
	}
	if problem, fix := malformed(v); problem != "" {
		d.fail(check, exitAttention, fix, "$%s %s", env, problem)
		return ""
	}
	d.ok(check, "$%s is set: %s", env, masked(v))
	return v
}

// masked shows just enough to tell two values apart.
func masked(v string) string {
	if len(v) < 16 {
		return count(len(v), "character")
	}
	return fmt.Sprintf("…%s, %s", v[len(v)-3:], count(len(v), "character"))
}

var placeholder = regexp.MustCompile(`(?i)[<>{}$*…]|^your|change.?me|^x+$|^(the.)?(api.?key|account.?id)$`)

// malformed says why a value cannot be a credential.
func malformed(v string) (problem, fix string) {
	const quotes = "\"'`“”‘’"
	odd := func(r rune) bool { return r <= ' ' || r >= 0x7f }
	switch trimmed := strings.TrimSpace(v); {
	case trimmed == "":
		return "is only white space", "set it to what " + keysPage + " shows"
	case strings.HasPrefix(strings.ToLower(trimmed), "bearer"):
		return `begins with "Bearer"`, `leave "Bearer" out: it is added`
	case strings.ContainsAny(trimmed[:1], quotes) || strings.ContainsAny(trimmed[len(trimmed)-1:], quotes):
		return "is in quotes, which are sent along", "remove the quotes: an env file of Docker or systemd keeps them"
	case strings.ContainsAny(v, "\r\n"):
		return "has a line end (white space)", `remove it: a file was read whole, or has the line ends of Windows (tr -d '\r\n')`
	case trimmed != v:
		return "has white space round it", "remove the blanks before and after the value"
	case strings.ContainsFunc(v, unicode.IsSpace):
		return "has white space in it", "copy it again, in one piece"
	case strings.ContainsFunc(v, odd):
		return "has a character that no credential has", "copy it again: an invisible or non-ASCII character came along"
	case placeholder.MatchString(v):
		return "is a placeholder", "set it to what " + keysPage + " shows; ${…} means that a variable was not filled in"
	case strings.Contains(v, "@"):
		return "is an e-mail address", "set it to what " + keysPage + " shows"
	}
	return "", ""
}

// similar finds a set variable whose name resembles env.
func similar(env string) string {
	flat := func(s string) string {
		s = strings.NewReplacer("_", "", "-", "").Replace(strings.ToUpper(s))
		return strings.NewReplacer("FIRSTPROMOTER", "FP", "FPROM", "FP", "APIKEY", "KEY", "ACCOUNTID", "ACCOUNT").Replace(s)
	}
	for _, kv := range os.Environ() {
		if name, value, _ := strings.Cut(kv, "="); name != env && value != "" && flat(name) == flat(env) {
			return name
		}
	}
	return ""
}

// address checks the API's address and derives the Company API's. No line quotes a wrong address: a key may be in it.
func (d *doctor) address(ctx context.Context) {
	v := cmp.Or(os.Getenv(envURL), fprom.DefaultBaseURL)
	company, err := firstpromoter.CompanyURL(v)
	u, _ := url.Parse(v)
	unset := "unset $" + envURL + ", or set it to " + fprom.DefaultBaseURL + ", without quotes or blanks"
	switch problem := refusedAddress(ctx, v); {
	case errors.Is(err, firstpromoter.ErrV1):
		d.fail("api_url", exitAttention, unset, "$%s: %v", envURL, firstpromoter.ErrV1)
	case problem != "":
		d.fail("api_url", exitAttention, unset, "$%s: %s", envURL, problem)
	case slices.Contains(kinds, path.Base(u.Path)):
		d.fail("api_url", exitAttention, unset, "$%s: must end in /track: the library adds /%s", envURL, path.Base(u.Path))
	case err != nil || path.Base(u.Path) != "track":
		d.fail("api_url", exitAttention, unset+"; the address of a proxy of your own must end in /track, and the proxy must also pass …/company on", "$%s: its path does not end in /track, so the address of the Company API is not known: the credentials cannot be checked, and fprom reconcile and fprom why do not work", envURL)
	case strings.TrimRight(u.Path, "/") != "/api/v2/track":
		d.warn("api_url", "FirstPromoter's is "+fprom.DefaultBaseURL, "$%s: its path is not FirstPromoter's /api/v2/track; right only for a proxy of your own", envURL)
		d.company = company
	case u.Hostname() == "v2.firstpromoter.com":
		d.warn("api_url", "unset $"+envURL, "%s is the older address", v)
		d.company = company
	default:
		d.ok("api_url", "%s%s", u, hint(os.Getenv(envURL) == "", " (the default)"))
		d.company = company
	}
}

// refusedAddress says why a service with this address does not start; empty: it does.
func refusedAddress(ctx context.Context, v string) string {
	t, err := fprom.New(fprom.Config{APIKey: "key", AccountID: "account", BaseURL: v, Logger: slog.New(slog.DiscardHandler)})
	if wrong, ok := errors.AsType[*fprom.ValidationError](err); ok {
		reason, _, _ := strings.Cut(wrong.Reason, "; ")
		return reason
	}
	_ = t.Shutdown(ctx) // nothing waits in it
	return ""
}
