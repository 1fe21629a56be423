package fpromtest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// TestWebhookSecret signs the webhooks of tests that name no other secret. It has a form that every provider's handler takes.
const TestWebhookSecret = "whsec_ZnByb210ZXN0IHdlYmhvb2s=" //nolint:gosec // of tests, and public

// WebhookSample names a webhook that Webhook can make.
type WebhookSample struct {
	Provider string // as the package below billing, such as "stripe"
	Event    string // the provider's name for it, such as "invoice.paid"
	Variant  string // another shape of the same event, such as that of an older API version; empty: the usual one
}

// String is the sample as one writes it: "stripe invoice.paid", or "stripe invoice.paid@2024-06-20" with its variant.
func (s WebhookSample) String() string {
	if s.Variant == "" {
		return s.Provider + " " + s.Event
	}
	return s.Provider + " " + s.Event + "@" + s.Variant
}

// WebhookConfig is what a webhook says. The zero value is a payment of $24.00, of which $4.00 are tax, by jane@example.com.
type WebhookConfig struct {
	URL    string // of the endpoint; default http://localhost/webhooks/<provider>
	Secret string // that the endpoint has; default TestWebhookSecret
	// ID is what the ids of the payment, the refund and the customer are made of: with one ID the refund is that of the
	// sale. Letters and digits; default random, so that each webhook is another payment.
	ID              string
	Email           string    // default jane@example.com
	UID, TID, RefID string    // in the provider's metadata, as fp_uid, fp_tid and fp_ref; empty: not there
	Plan            string    // the provider's plan, price or product; default plan_pro
	Amount, Tax     int64     // before taxes, and the taxes on it, in hundredths; default 2000 and 400
	Currency        string    // one with hundredths; default usd
	TestMode        bool      // of the provider's test mode, where its payloads say so
	At              time.Time // when it is signed; default now
}

// Webhook is a webhook of a billing provider, signed as the provider signs it, for the tests of an endpoint:
//
//	r, err := fpromtest.Webhook("stripe", "invoice.paid", fpromtest.WebhookConfig{Secret: secret, TID: "b1a2"})
//	…
//	handler.ServeHTTP(recorder, r)
//
// Webhooks lists what there is. event may have a variant: "invoice.paid@2024-06-20". The samples hold what the packages
// below billing read, not all that the provider sends. To send one over the network, set URL. PayPal's certificates are
// replaced: see PayPalCertificates.
func Webhook(provider, event string, c WebhookConfig) (*http.Request, error) {
	body, err := WebhookBody(provider, event, c)
	if err != nil {
		return nil, err
	}
	address := cmp.Or(c.URL, "http://localhost/webhooks/"+provider)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("fprom: %w", err)
	}
	_, format := webhookPath(provider, event)
	r.Header.Set("Content-Type", "application/"+format)
	if c.At.IsZero() {
		c.At = time.Now()
	}
	return r, SignWebhook(provider, r.Header, body, cmp.Or(c.Secret, TestWebhookSecret), c.At)
}

//go:embed webhooks
var webhookFiles embed.FS

// Webhooks are the samples, sorted by provider and event.
func Webhooks() []WebhookSample {
	var out []WebhookSample
	for _, path := range webhookPaths() {
		provider, file, _ := strings.Cut(path, "/")
		name, _ := webhookFile(file)
		event, variant, _ := strings.Cut(name, "@")
		out = append(out, WebhookSample{provider, event, variant})
	}
	return out
}

// webhookFile splits the name of a sample's file: <event>[@<variant>].json.tmpl or .xml.tmpl.
func webhookFile(file string) (name, format string) {
	name = strings.TrimSuffix(file, ".tmpl")
	i := strings.LastIndexByte(name, '.')
	return name[:i], name[i+1:]
}

// webhookPaths are the files of samples, as <provider>/<event>[@<variant>].<format>.tmpl.
func webhookPaths() []string {
	var out []string
	dirs, _ := webhookFiles.ReadDir("webhooks")
	for _, d := range dirs {
		files, _ := webhookFiles.ReadDir("webhooks/" + d.Name())
		for _, f := range files {
			out = append(out, d.Name()+"/"+f.Name())
		}
	}
	slices.Sort(out)
	return out
}

// webhookPath is the file of a sample, and its format; empty if there is none.
func webhookPath(provider, event string) (path, format string) {
	for _, path := range webhookPaths() {
		dir, file, _ := strings.Cut(path, "/")
		if name, format := webhookFile(file); dir == provider && name == event {
			return path, format
		}
	}
	return "", ""
}

// webhookFuncs are what the templates call.
var webhookFuncs = template.FuncMap{
	"json": func(v any) (string, error) {
		b, err := json.Marshal(v)
		return string(b), err
	},
	"decimal": webhookDecimal,
	"xml": func(s string) (string, error) {
		var b strings.Builder
		err := xml.EscapeText(&b, []byte(s))
		return b.String(), err
	},
	"lower": strings.ToLower,
	"upper": strings.ToUpper,
}

// WebhookBody is the body of Webhook.
func WebhookBody(provider, event string, c WebhookConfig) ([]byte, error) {
	path, _ := webhookPath(provider, event)
	source, err := webhookFiles.ReadFile("webhooks/" + path)
	if err != nil {
		return nil, fmt.Errorf("fprom: no sample of a webhook %q of %q: Webhooks lists what there is", event, provider)
	}
	t, err := template.New(path).Funcs(webhookFuncs).Parse(string(source))
	if err != nil {
		return nil, fmt.Errorf("fprom: the sample of the webhook: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, webhookValues(c)); err != nil {
		return nil, fmt.Errorf("fprom: the sample of the webhook: %w", err)
	}
	return b.Bytes(), nil
}

// webhookData is what the templates read.
type webhookData struct {
	WebhookConfig
	Total    int64
	Metadata map[string]string // fp_uid, fp_tid, fp_ref
	Contact  map[string]string // Metadata with fp_email, where the payload has no address
	Custom   string            // Contact and the tax, as PayPal's custom_id
	TaxShare float64           // of Total
	Unix     string
	Time     string
}

func webhookValues(c WebhookConfig) webhookData {
	if c.At.IsZero() {
		c.At = time.Now()
	}
	c.ID = cmp.Or(c.ID, rand.Text()[:16])
	c.Email, c.Plan, c.Currency = cmp.Or(c.Email, "jane@example.com"), cmp.Or(c.Plan, "plan_pro"), cmp.Or(c.Currency, "usd")
	if c.Amount == 0 {
		c.Amount, c.Tax = 2000, cmp.Or(c.Tax, 400)
	}
	d := webhookData{
		WebhookConfig: c, Total: c.Amount + c.Tax, Metadata: map[string]string{}, Contact: map[string]string{"fp_email": c.Email},
		Unix: strconv.FormatInt(c.At.Unix(), 10), Time: c.At.UTC().Format("2006-01-02T15:04:05Z"),
	}
	for name, value := range map[string]string{"fp_uid": c.UID, "fp_tid": c.TID, "fp_ref": c.RefID} {
		if value != "" {
			d.Metadata[name], d.Contact[name] = value, value
		}
	}
	custom := url.Values{"fp_total": {webhookDecimal(d.Total)}, "fp_tax": {webhookDecimal(d.Tax)}}
	for name, value := range d.Contact {
		custom.Set(name, value)
	}
	d.Custom, d.TaxShare = custom.Encode(), float64(d.Tax)/float64(d.Total)
	return d
}

func webhookDecimal(hundredths int64) string {
	return fmt.Sprintf("%d.%02d", hundredths/100, hundredths%100)
}
