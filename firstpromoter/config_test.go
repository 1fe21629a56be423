package firstpromoter_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
)

// A wrong Config is an error that names the field, before a call is made.
func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		field  string // empty: it is right
		change func(*firstpromoter.Config)
	}{
		{"", func(*firstpromoter.Config) {}},
		{"", func(c *firstpromoter.Config) { c.Rate, c.Attempts, c.Timeout, c.APIKey = 1, 1, 1, "!~" }},
		{"APIKey", func(c *firstpromoter.Config) { c.APIKey = "key\n" }},
		{"APIKey", func(c *firstpromoter.Config) { c.APIKey = "a key" }},
		{"APIKey", func(c *firstpromoter.Config) { c.APIKey = "key\x7f" }},
		{"APIKey", func(c *firstpromoter.Config) { c.APIKey = "kéy" }},
		{"APIKey", func(c *firstpromoter.Config) { c.APIKey = "<your key>" }},
		{"APIKey", func(c *firstpromoter.Config) { c.APIKey = `"key"` }},
		{"AccountID", func(c *firstpromoter.Config) { c.AccountID = "${ACCOUNT}" }},
		{"BaseURL", func(c *firstpromoter.Config) { c.BaseURL = "https://api.firstpromoter.com/" }},
		{"Timeout", func(c *firstpromoter.Config) { c.Timeout = -1 }},
		{"Rate", func(c *firstpromoter.Config) { c.Rate = -1 }},
		{"Attempts", func(c *firstpromoter.Config) { c.Attempts = -1 }},
	} {
		cfg := firstpromoter.Config{APIKey: "key", AccountID: "account", BaseURL: fprom.DefaultBaseURL}
		c.change(&cfg)
		_, err := firstpromoter.New(cfg)
		field := ""
		if v, ok := errors.AsType[*fprom.ValidationError](err); ok {
			field = v.Field
		}
		if (err == nil) != (c.field == "") || c.field != "" && field != "Config."+c.field {
			t.Errorf("%+v: %v, want an error of %q", cfg, err, c.field)
		}
	}
}

// The zero Config takes everything from the environment, and what is missing there is an error. It is not parallel, since it sets the environment.
func TestEnvironment(t *testing.T) {
	var got *http.Request
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		_, _ = w.Write([]byte("[]"))
	}))
	defer s.Close()
	env := map[string]string{"FIRSTPROMOTER_API_KEY": "env-key", "FIRSTPROMOTER_ACCOUNT_ID": "env-account", "FIRSTPROMOTER_API_URL": s.URL + "/api/v2/track"}
	for name, value := range env {
		t.Setenv(name, value)
	}
	client, err := firstpromoter.New(firstpromoter.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Campaigns(t.Context()); err != nil || got.URL.Path != "/api/v2/company/campaigns" {
		t.Fatalf("%v %+v", err, got)
	}
	for name, want := range map[string]string{"Authorization": "Bearer env-key", "Account-Id": "env-account", "Accept": "application/json", "User-Agent": "fprom-go"} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.Header.Get(name), want)
		}
	}
	if _, _ = client.Promoter(t.Context(), 7); got.URL.Path != "/api/v2/company/promoters/7" || got.URL.Query().Has("find_by") {
		t.Errorf("by id: %v", got.URL)
	}
	for name, field := range map[string]string{"FIRSTPROMOTER_API_KEY": "Config.APIKey", "FIRSTPROMOTER_ACCOUNT_ID": "Config.AccountID"} {
		t.Setenv(name, "")
		_, err := firstpromoter.New(firstpromoter.Config{})
		if v, ok := errors.AsType[*fprom.ValidationError](err); !ok || v.Field != field {
			t.Errorf("without $%s: %v", name, err)
		}
		t.Setenv(name, env[name])
	}
}
