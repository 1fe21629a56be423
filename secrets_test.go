package fprom_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/fprom-go/fprom"
)

const secretEmail = "jane.doe@customer.example"

// secret events name a customer in every way.
func secretEvents() []fprom.Event {
	return []fprom.Event{
		fprom.Sale{EventID: "ch_1", Email: secretEmail, Amount: 1},
		fprom.Refund{EventID: "re_1", Email: secretEmail, Amount: 1},
		fprom.Signup{Email: secretEmail, TID: "tid"},
		fprom.Cancellation{Email: secretEmail},
		fprom.Cancellation{UID: secretEmail}, // some take the address for the uid
	}
}

// checkSecrets fails if text shows the key or an address in clear.
func checkSecrets(t *testing.T, what, text string) {
	t.Helper()
	for _, secret := range []string{apiKey, secretEmail, "jane.doe", "customer.example"} {
		if strings.Contains(text, secret) {
			at := strings.Index(text, secret)
			t.Fatalf("%s shows %q: …%s…", what, secret, text[max(0, at-60):min(len(text), at+80)])
		}
	}
}

// printed is v in every form that ends up in a log.
func printed(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		fmt.Fprintf(&b, verb+"\n", v)
	}
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		fmt.Fprintln(&b, err)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("x", "v", v)
	}
	return b.String()
}

func TestConfigDoesNotShowTheKey(t *testing.T) {
	t.Parallel()
	cfg := config(always(ok()))
	for name, v := range map[string]any{
		"Config": cfg, "*Config": &cfg, "slice": []fprom.Config{cfg}, "map": map[string]fprom.Config{"x": cfg},
		"struct": struct{ C fprom.Config }{cfg},
	} {
		text := printed(t, v)
		checkSecrets(t, name, text)
		if !strings.Contains(text, accountID) {
			t.Errorf("%s shows nothing at all: %s", name, text)
		}
	}
}

func TestTrackerDoesNotShowTheKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tracker := start(t, config(always(reply{status: 401, body: `{"message":"` + apiKey + secretEmail + `"}`})))
		enqueue(t, tracker, secretEvents()...)
		settle()
		text := printed(t, tracker)
		checkSecrets(t, "Tracker", text)
		if !strings.Contains(text, "fprom.Tracker(https://firstpromoter.test/api/v2/track)") {
			t.Errorf("Tracker shows no address: %s", text)
		}
		checkSecrets(t, "Stats", printed(t, tracker.Stats()))
	})
}

// buffer is a log that many write to.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Whatever a server or the network says, neither errors nor logs of any stage show the key or the customer.
func TestErrorsAndLogsShowNoSecret(t *testing.T) {
	echo := func(s string) string {
		return `{"code":"x ` + s + `","message":"no \"` + s + `\" <` + s + `> ` + s[:9] + `\u0001` + s[9:] + `"}`
	}
	replies := map[string]reply{
		"tracked":            ok(),
		"not a referral":     object(404, `{"code":"not_found","message":"`+secretEmail+`"}`),
		"rejected, key":      object(400, echo(apiKey)),
		"rejected, address":  object(400, echo(secretEmail)),
		"refused":            object(401, echo(apiKey+" "+secretEmail)),
		"endpoint":           object(404, echo(secretEmail)),
		"throttled":          object(429, echo(secretEmail)),
		"failed":             object(500, echo(apiKey+" "+secretEmail)),
		"another id":         object(409, `{"message":"The 'sale' event with the id '`+secretEmail+`' already exists."}`),
		"network, key":       {err: errors.New("bad header: Bearer " + apiKey)},
		"network, address":   {err: fmt.Errorf("bad answer: %w", errors.New("<"+secretEmail+">"))},
		"body, address":      {status: 200, stream: failingWith(errors.New("bad chunk: " + secretEmail))},
		"redirect to itself": {status: 302, header: header("Location", "https://x.test/?k="+apiKey+"&e="+secretEmail)},
	}
	for name, r := range replies {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var log buffer
				cfg := config(always(r))
				cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				var seen steps
				cfg.Observer = seen.observe
				tracker := start(t, cfg)
				for _, e := range secretEvents() {
					_, err := tracker.Track(t.Context(), e)
					for ; err != nil; err = errors.Unwrap(err) {
						if _, many := err.(interface{ Unwrap() []error }); many {
							break
						}
						checkSecrets(t, "error", printed(t, err))
					}
					time.Sleep(2 * time.Minute)
				}
				enqueue(t, tracker, secretEvents()...)
				time.Sleep(10 * time.Minute)
				conflict := fprom.Sale{EventID: "ch_1", Email: secretEmail, Amount: 2}
				_ = tracker.Enqueue(t.Context(), conflict)
				time.Sleep(10 * time.Minute)
				for _, step := range seen.sofar() {
					if step.Err != nil {
						checkSecrets(t, "step's error", step.Err.Error())
					}
				}
				checkSecrets(t, "log", log.String())
				if log.String() == "" {
					t.Error("nothing was logged")
				}
			})
		})
	}
}

func failingWith(err error) *failingBody { return &failingBody{err} }

type failingBody struct{ err error }

func (b *failingBody) Read([]byte) (int, error) { return 0, b.err }
func (*failingBody) Close() error               { return nil }

// What a server says is foreign: it may neither steer a terminal nor flood a log.
func TestMessagesAreMadeFit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		message := "a\u001b[31m\u009b31m\r\n\u0000b\u202ec \ufeff" + strings.Repeat("ü", 1000)
		body, err := json.Marshal(map[string]string{"message": message, "code": message})
		if err != nil {
			t.Fatal(err)
		}
		for name, r := range map[string]reply{
			"certificate": {err: errors.New("x509: certificate is valid for " + message + ", not api.firstpromoter.com")}, // it may be an attacker's
			"body":        {status: 200, stream: failingWith(errors.New(message))},
		} {
			_, err := start(t, config(always(r))).Track(t.Context(), sale("ch_1"))
			if s := err.Error(); len(s) > 500 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%s: %d bytes: %q", name, len(s), s)
			}
		}
		tracker := start(t, config(always(object(400, string(body)))))
		_, err = tracker.Track(t.Context(), sale("ch_1"))
		var api *fprom.APIError
		if !errors.As(err, &api) {
			t.Fatalf("Track: %v", err)
		}
		for _, s := range []string{api.Message, api.Code} {
			if len(s) > 210 || strings.ContainsFunc(s, func(r rune) bool { return r != ' ' && !strings.ContainsRune("a[31mbcü…", r) }) {
				t.Errorf("%d bytes: %q", len(s), s)
			}
		}
	})
}

func TestEnqueueErrorsShowNoAddress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newRecorder() // a full queue
		q.onPut = func([]fprom.Message, func() error) error { return fprom.ErrQueueFull }
		cfg := config(always(ok()))
		cfg.Queue = q
		tracker := start(t, cfg)
		for _, e := range secretEvents() {
			err := tracker.Enqueue(t.Context(), e)
			if !errors.Is(err, fprom.ErrQueueFull) {
				t.Errorf("Enqueue: %v", err)
			}
			checkSecrets(t, "error", printed(t, err))
		}
		far := time.FixedZone("far", 30*3600)
		for _, e := range []fprom.Event{
			fprom.Sale{EventID: "x", Email: secretEmail + "\x00", Amount: 1},
			fprom.Signup{Email: secretEmail, TID: "t", CreatedAt: time.Date(2026, 1, 1, 0, 0, 0, 0, far)},
			fprom.Signup{Email: secretEmail, TID: "t", IP: secretEmail},
		} {
			err := tracker.Enqueue(t.Context(), e)
			if _, invalid := errors.AsType[*fprom.ValidationError](err); !invalid {
				t.Errorf("Enqueue: %v is no *ValidationError", err)
			}
			checkSecrets(t, "error", printed(t, err))
		}
		left := &fprom.UndeliveredError{Events: secretEvents()}
		checkSecrets(t, "UndeliveredError", left.Error())
		_, err := fprom.Message{Key: "signup:" + secretEmail, Kind: "signup", Customer: secretEmail, Body: []byte("{")}.Event()
		checkSecrets(t, "stored message", err.Error())
		_, err = fprom.Message{Key: "signup:" + secretEmail, Kind: "unknown", Customer: secretEmail}.Event()
		checkSecrets(t, "stored message", err.Error())
	})
}

// A queue of one's own may quote the key of an event in its errors, as MySQL does of a duplicate entry.
func TestErrorsOfAQueueShowNoAddress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log buffer
		q := newRecorder()
		q.onPut = func(ms []fprom.Message, _ func() error) error {
			return fmt.Errorf("Duplicate entry '%s' for key 'PRIMARY'", ms[0].Key)
		}
		cfg := config(always(ok()))
		cfg.Queue, cfg.Logger = q, slog.New(slog.NewTextHandler(&log, nil))
		tracker := start(t, cfg)
		serve(t, fprom.NewHook(tracker), "_fprom_tid=abc", func(_ http.ResponseWriter, r *http.Request) {
			record(t, r, fprom.Signup{Email: secretEmail})
		})
		checkSecrets(t, "log", log.String())
		checkSecrets(t, "Stats", printed(t, tracker.Stats()))
		if !strings.Contains(log.String(), "LOST") || !strings.Contains(log.String(), "Duplicate entry [address] for key") {
			t.Errorf("the log says %q", log.String())
		}
	})
}

// Whatever the text of the transport's error, errors.Is and errors.As find it, and no print shows the text.
func TestErrorsOfTheTransport(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for name, text := range map[string]string{"short": "dial", "long": strings.Repeat("proxy ", 60), "control": "a\x1bb", "key": apiKey + secretEmail, "quotes": "malformed HTTP response " + secretEmail} {
			cause := fmt.Errorf("%s: %w", text, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
			_, err := start(t, config(always(reply{err: cause}))).Track(t.Context(), sale("x"))
			if _, isNet := errors.AsType[net.Error](err); !isNet || !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%s: the error is lost: %v", name, err)
			}
			checkSecrets(t, name, printed(t, err))
		}
	})
}
