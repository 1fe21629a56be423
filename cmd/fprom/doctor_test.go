package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	root "github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
)

type checks struct {
	Checks []struct{ Name, Status, Detail, Fix string }
}

// account is the environment for a fake.
func account(s *fpromtest.Server) env {
	return env{"FIRSTPROMOTER_API_KEY": s.APIKey, "FIRSTPROMOTER_ACCOUNT_ID": s.AccountID, "FIRSTPROMOTER_API_URL": s.URL}
}

// emptyOutbox is the path of one without events.
func emptyOutbox(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fprom.db")
	q, err := boltqueue.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// answering is a site with one answer.
func answering(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/api/v2/track"
}

func status(code int, header http.Header, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for k := range header {
			w.Header().Set(k, header.Get(k))
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}
}

// campaigns answers with n campaigns in pages; the 21st has links of its own.
func campaigns(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		page, size := 1, 20
		_, _ = fmt.Sscan(r.FormValue("page"), &page)
		_, _ = fmt.Sscan(r.FormValue("per_page"), &size)
		list := []map[string]any{}
		for i := (page-1)*size + 1; i <= min(page*size, n); i++ {
			list = append(list, map[string]any{"id": i, "name": fmt.Sprint("Campaign ", i), "ref_token_param": map[bool]string{true: "aff", false: "fpr"}[i == 21], "visitor_cookie_life": 60})
		}
		_ = json.NewEncoder(w).Encode(list)
	}
}

var html = http.Header{"Content-Type": {"text/html"}}

// closedPort is an address where nothing listens. A free port would not do: another test may get it.
const closedPort = "127.0.0.1:1"

// silentPort is an address that accepts connections, and never says a word.
func silentPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func TestDoctorNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t)
	good := account(fake)
	campaign := func(param string, days string) string {
		return answering(t, status(200, nil, `[{"id":1,"name":"Main","ref_token_param":"`+param+`","visitor_cookie_life":`+days+`}]`))
	}
	dated := func(off time.Duration) string {
		return answering(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
			status(200, nil, `[{"id":1,"ref_token_param":"fpr","visitor_cookie_life":60}]`)(w, r)
		})
	}
	at := func(u string) env { return env{"FIRSTPROMOTER_API_URL": u} }
	secret := strings.Repeat("k3y", 8)
	for _, c := range []struct {
		name  string
		env   env
		args  []string
		exit  int
		check string // that is not ok
		says  string
	}{
		{name: "no key", env: env{"FIRSTPROMOTER_API_KEY": ""}, exit: 3, check: "api_key", says: `missing.*set \$FIRSTPROMOTER_API_KEY`},
		{name: "the key under another name", env: env{"FIRSTPROMOTER_API_KEY": "", "FIRST_PROMOTER_API_KEY": secret}, exit: 3, check: "api_key", says: `rename`},
		{name: "the key under a short name", env: env{"FIRSTPROMOTER_API_KEY": "", "FP_API_KEY": secret}, exit: 3, check: "api_key", says: `\$FP_API_KEY is set`},
		{name: "no account id", env: env{"FIRSTPROMOTER_ACCOUNT_ID": ""}, exit: 3, check: "account_id", says: `missing`},
		{name: "quotes", env: env{"FIRSTPROMOTER_API_KEY": `"` + secret + `"`}, exit: 3, check: "api_key", says: `quotes`},
		{name: "one typographic quote", env: env{"FIRSTPROMOTER_API_KEY": secret + "’"}, exit: 3, check: "api_key", says: `quotes|character that no`},
		{name: "a blank", env: env{"FIRSTPROMOTER_API_KEY": " " + secret}, exit: 3, check: "api_key", says: `white space`},
		{name: "white space only", env: env{"FIRSTPROMOTER_ACCOUNT_ID": " \t"}, exit: 3, check: "account_id", says: `is only white space`},
		{name: "a line end", env: env{"FIRSTPROMOTER_API_KEY": secret + "\r\n"}, exit: 3, check: "api_key", says: `line end`},
		{name: "Bearer", env: env{"FIRSTPROMOTER_API_KEY": "Bearer " + secret}, exit: 3, check: "api_key", says: `Bearer`},
		{name: "a placeholder", env: env{"FIRSTPROMOTER_API_KEY": "${SECRET_KEY}"}, exit: 3, check: "api_key", says: `placeholder`},
		{name: "an e-mail address as account id", env: env{"FIRSTPROMOTER_ACCOUNT_ID": "ann@example.com"}, exit: 3, check: "account_id", says: `e-mail`},
		{name: "key and account id the same", env: env{"FIRSTPROMOTER_API_KEY": secret, "FIRSTPROMOTER_ACCOUNT_ID": secret}, exit: 3, check: "account_id", says: `same`},
		{name: "wrong key", env: env{"FIRSTPROMOTER_API_KEY": secret}, exit: 4, check: "credentials", says: `does not know the API key`},
		{name: "v1 key", env: env{"FIRSTPROMOTER_API_KEY": "0f8fad5bd9cb469fa16570867728950e"}, exit: 4, check: "credentials", says: `v1`},
		{name: "another account", env: env{"FIRSTPROMOTER_ACCOUNT_ID": "acc_2"}, exit: 4, check: "credentials", says: `403.*FIRSTPROMOTER_ACCOUNT_ID`},
		{name: "v1 path", env: at("https://api.firstpromoter.com/api/v1/track"), exit: 3, check: "api_url", says: `v1.*unset`},
		{name: "v1 host", env: at("https://firstpromoter.com/api/v2/track"), exit: 3, check: "api_url", says: `v1`},
		{name: "plain http", env: at("http://api.firstpromoter.com/api/v2/track"), exit: 3, check: "api_url", says: `https`},
		{name: "no scheme", env: at("api.firstpromoter.com/api/v2/track"), exit: 3, check: "api_url", says: `https://`},
		{name: "a key in the address", env: at("https://api.firstpromoter.com/api/v2/track?key=" + secret), exit: 3, check: "api_url", says: `query`},
		{name: "an address in quotes", env: at(`"https://api.firstpromoter.com/api/v2/track"`), exit: 3, check: "api_url", says: `quotes`},
		{name: "an endpoint as address", env: at(fake.URL + "/sale"), exit: 3, check: "api_url", says: `/track`},
		{name: "a proxy with a path of its own", env: at("https://proxy.example.com/" + secret), exit: 3, check: "api_url", says: `credentials cannot be checked.*unset.*end in /track`},
		{name: "a path before /track", env: at("http://" + closedPort + "/" + secret + "/track"), exit: 5, check: "api_url", says: `right only for a proxy of your own`},
		{name: "a portal behind a path", env: at(strings.Replace(answering(t, status(200, html, "")), "/api/v2", "/"+secret, 1)), exit: 5, check: "credentials", says: `portal.*answers at 127`},
		{name: "another site behind a path", env: at(strings.Replace(answering(t, status(404, html, "")), "/api/v2", "/"+secret, 1)), exit: 5, check: "credentials", says: `404 with HTML from 127`},
		{name: "another path of FirstPromoter's host", env: at("https://api.firstpromoter.com/v2/track"), exit: 3, check: "api_url", says: `not the address.*unset`},
		{name: "wrong path", env: at(strings.Replace(fake.URL, "/api/v2", "/wrong", 1)), exit: 5, check: "credentials", says: `404 with HTML.*FIRSTPROMOTER_API_URL`},
		{name: "portal", env: at(answering(t, status(200, html, "<html>please sign in"))), exit: 5, check: "credentials", says: `HTML.*portal`},
		{name: "redirect", env: at(answering(t, status(302, http.Header{"Location": {"https://sso.example.com/in?key=1"}}, ""))), exit: 5, check: "credentials", says: `redirect \(302\) to sso.example.com`},
		{name: "429", env: at(answering(t, status(429, nil, "Retry later"))), exit: 0, check: "credentials", says: `429`},
		{name: "429 behind the credentials", env: at(answering(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/commissions") {
				w.WriteHeader(http.StatusTooManyRequests)
			} else {
				campaigns(1)(w, r)
			}
		})), args: []string{"--timeout", "8s"}, exit: 0, check: "others", says: `not checked: .*no answer within 8s`},
		{name: "an odd answer", env: at(answering(t, status(418, nil, `{"message":"tea"}`))), exit: 5, check: "credentials", says: `418 with JSON`},
		{name: "500", env: at(answering(t, status(500, nil, `{"message":"boom"}`))), exit: 5, check: "credentials", says: `fails \(500\)`},
		{name: "nothing listens", env: at("http://" + closedPort + "/api/v2/track"), exit: 5, check: "connection", says: `refused`},
		{name: "no such name", env: at("https://api.firstpromoter.invalid/api/v2/track"), exit: 5, check: "dns", says: `not found`},
		{name: "no answer", env: at(answering(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })), args: []string{"--timeout", "8s"}, exit: 5, check: "connection", says: `within 8s`},
		{name: "TLS hangs", env: at("https://" + silentPort(t) + "/api/v2/track"), args: []string{"--timeout", "8s"}, exit: 5, check: "tls", says: `no TLS handshake within 8s`},
		{name: "the proxy hangs", env: env{"FIRSTPROMOTER_API_URL": "", "HTTPS_PROXY": "http://" + silentPort(t)}, args: []string{"--timeout", "8s"}, exit: 5, check: "connection", says: `the proxy .* does not answer within 8s`},
		{name: "connection cut", env: at(answering(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })), exit: 5, check: "connection", says: `cut`},
		{name: "proxy away", env: env{"FIRSTPROMOTER_API_URL": "", "HTTPS_PROXY": "http://" + closedPort}, exit: 5, check: "connection", says: `refused.*HTTPS_PROXY`},
		{name: "proxy with password", env: env{"FIRSTPROMOTER_API_URL": "", "HTTPS_PROXY": strings.TrimSuffix(answering(t, status(407, nil, "")), "/api/v2/track")}, exit: 5, check: "connection", says: `407`},
		{name: "clock behind", env: at(dated(10 * time.Minute)), exit: 3, check: "clock", says: `(59\d|60\d) s\) behind.*NTP`},
		{name: "clock ahead", env: at(dated(-10 * time.Minute)), exit: 3, check: "clock", says: `ahead`},
		{name: "clock a little ahead", env: at(dated(-45 * time.Second)), exit: 0, check: "clock", says: `ahead`},
		{name: "an own parameter", env: at(campaign("aff", "60")), exit: 0, check: "campaigns", says: `\?aff=.*WithQueryParams\("aff"\)`},
		{name: "cookie life", env: at(campaign("via", "30")), exit: 0, check: "campaigns", says: `30 days.*60`},
		{name: "the 21st campaign", env: at(answering(t, campaigns(30))), exit: 0, check: "campaigns", says: `campaign "Campaign 21".*\?aff=`},
		{name: "no campaign", env: at(answering(t, status(200, nil, `[]`))), exit: 0, check: "campaigns", says: `no campaign`},
		{name: "no outbox named", env: env{"FPROM_OUTBOX": ""}, exit: 0, check: "outbox", says: `FPROM_OUTBOX`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := good.with(env{"FPROM_OUTBOX": emptyOutbox(t)}).with(c.env)
			r := fprom(t, e, append([]string{"doctor", "-o", "json"}, c.args...)...).want(t, c.exit)
			r.names(t, c.check, c.says)
			if key := e["FIRSTPROMOTER_API_KEY"]; strings.Contains(r.out+r.err, secret) || key != "" && strings.Contains(r.out+r.err, strings.TrimSpace(key)) {
				t.Errorf("the key is shown: %s", r)
			}
		})
	}
}

// names fails unless the check warns or fails and says what matches, with a way to mend it.
func (r ran) names(t *testing.T, check, says string) {
	t.Helper()
	var v checks
	r.object(t, &v)
	for _, c := range v.Checks {
		if c.Status == "ok" || c.Name != check {
			continue
		}
		if c.Fix == "" {
			t.Errorf("%s says no way to mend it: %s", check, c.Detail)
		}
		if regexp.MustCompile(says).MatchString(c.Detail + " " + c.Fix) {
			return
		}
	}
	t.Errorf("check %s does not say %s: %s", check, says, r)
}

func TestDoctorNamesWhatIsWrongWithTheOutbox(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t)
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole, err := os.ReadFile(emptyOutbox(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, where, says string
		exit              int
	}{
		{"missing", filepath.Join(dir, "such.db"), `there is no such file.*FPROM_OUTBOX`, 3},
		{"no directory", filepath.Join(dir, "no", "such.db"), `neither the file nor its directory`, 3},
		{"a directory", dir, `is a directory`, 3},
		{"a percent sign", filepath.Join(dir, "100%d.db"), `100%d\.db: there is no such file`, 3},
		{"a password among the parameters", "postgres://shop@" + closedPort + "/shop?password=geheim123", `PostgreSQL cannot be reached`, 5},
		{"foreign", file("foreign.db", strings.Repeat("this is no outbox\n", 500), 0o644), `^[^:]*foreign\.db: is no outbox of fprom[^;]*name the outbox's file`, 3},
		{"truncated", file("short.db", string(whole[:len(whole)/2]), 0o600), `damaged.*backup`, 3},
		{"read-only", file("ro.db", string(whole), 0o400), `ro\.db: permission denied.*user of the service`, 3},
		{"open to others", file("open.db", string(whole), 0o644), `chmod 600`, 0},
		{"replaceable by others", inShared(t, whole), `other users can write the directory`, 0},
		{"another database", "mysql://root@127.0.0.1/shop", `postgres://`, 3},
		{"no PostgreSQL", "postgres://shop:geheim123@" + closedPort + "/shop", `PostgreSQL cannot be reached`, 5},
		{"no such database", withPath(t, database, "/nowhere"), `no such database.*name in the address`, 3},
		{"no such schema", database + "&schema=nowhere", `tables are missing.*Migrate`, 3},
		{"a schema that cannot be one", database + "&schema=No-Where", `tables are missing.*schema=`, 3},
		{"read-only PostgreSQL", readOnly(t), `replica or a read-only.*primary`, 3},
		{"a user that may only read", mayOnly(t, "SELECT"), `may not store and change.*grant it the rights`, 0},
		{"a user that may only add", mayOnly(t, "SELECT, INSERT"), `may not store and change.*grant it the rights`, 0},
		{"a user that may nothing", mayOnly(t, "TRIGGER"), `permission denied.*grant the user`, 3},
		{"a parameter that cannot be read", database + "&schema=a;b", `cannot be read as an address.*%3B`, 3},
		{"an address that is none", "postgres://shop:ge%heim123@127.0.0.1/shop", `escaped, such as %23 for #`, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			before := files(t, dir)
			r := fprom(t, account(fake), "doctor", "-o", "json", "--outbox", c.where).want(t, c.exit)
			r.names(t, "outbox", c.says)
			if strings.Contains(r.out+r.err, "heim123") {
				t.Errorf("a password is shown: %s", r)
			}
			if c.exit != 0 && strings.Contains(r.out, "chmod") {
				t.Errorf("advice for a file that is no outbox: %s", r)
			}
			if after := files(t, dir); c.exit != 0 && !slices.Equal(before, after) {
				t.Errorf("files before %q, after %q", before, after)
			}
		})
	}
}

// inShared is an outbox in a directory like /tmp.
func inShared(t *testing.T, content []byte) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "fprom.db")
	if err := errors.Join(os.WriteFile(path, content, 0o600), os.Chmod(dir, 0o777|os.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	return path
}

// A file that another process has, and does not show.
func TestDoctorNamesAHeldOutbox(t *testing.T) {
	t.Parallel()
	path := emptyOutbox(t)
	q, err := boltqueue.Open(path, boltqueue.WithoutSocket())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	e := account(fpromtest.NewServer(t)).with(env{"FPROM_OUTBOX": path})
	fprom(t, e, "doctor", "-o", "json").want(t, 3).names(t, "outbox", `does not answer on the socket.*WithoutSocket.*98 bytes`)
	fprom(t, e, "status").want(t, 1)
}

// The service of a file that broke while it was open answers, and says why: nobody needs to look at its socket.
func TestOutboxOutOfUse(t *testing.T) {
	t.Parallel()
	path := emptyOutbox(t)
	q, err := boltqueue.Open(path, boltqueue.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	m, err := root.NewMessage(sale("ch_1", "jane@example.com", 1999, "USD"))
	if err := errors.Join(err, os.Truncate(path, 4096)); err != nil {
		t.Fatal(err)
	}
	if err := q.Put(t.Context(), m); !errors.Is(err, boltqueue.ErrDamaged) {
		t.Fatal(err)
	}
	e := account(fpromtest.NewServer(t)).with(env{"FPROM_OUTBOX": path})
	fprom(t, e, "doctor", "-o", "json").want(t, 3).names(t, "outbox", `cannot use it any more: the file is damaged.*restart the service`)
	if r := fprom(t, e, "status").want(t, 1); !strings.Contains(r.String(), "restart the service") || strings.Contains(r.String(), "socket") {
		t.Error(r)
	}
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if info, err := f.Info(); err == nil && !strings.Contains(f.Name(), "open.db") {
			names = append(names, f.Name()+info.ModTime().String())
		}
	}
	return names
}

func withPath(t *testing.T, address, path string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = path
	return u.String()
}

// readOnly is an outbox in a database whose transactions are read-only.
func readOnly(t *testing.T) string {
	t.Helper()
	p, _ := migrated(t)
	return p.where + "&default_transaction_read_only=on"
}

// mayOnly is an outbox in a database for a user with these rights on its tables.
func mayOnly(t *testing.T, rights string) string {
	t.Helper()
	p, schema := migrated(t)
	role, exec := newRole(t, "")
	exec(fmt.Sprintf("GRANT USAGE ON SCHEMA %[1]s TO %[2]s; GRANT %[3]s ON ALL TABLES IN SCHEMA %[1]s TO %[2]s", schema, role, rights))
	return asRole(t, p, role)
}
