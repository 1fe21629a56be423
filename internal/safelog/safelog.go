// Package safelog makes loggers and texts that are foreign safe: a handler may panic, a text may contain the key, an address or
// control characters.
package safelog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"unicode"
)

// address matches a word with an e-mail address.
var address = regexp.MustCompile(`\S*(@|%40)\S*`)

// WithoutName is a text of the library without its name, for where that is known.
func WithoutName(s string) string { return strings.ReplaceAll(s, "fprom: ", "") }

// Reason is why the event with the key waits or is dead, without the key and the name of the library, for where both are known.
func Reason(reason, key string) string { return strings.TrimPrefix(WithoutName(reason), key+": ") }

// Text is the text of err, an error or what panicked, without e-mail addresses, and without the name of the library: the line
// that it stands in begins with that.
func Text(err any) string {
	return address.ReplaceAllString(WithoutName(fmt.Sprint(err)), "[address]")
}

// Error is the attribute "error" of a line, with the Text of err.
func Error(err any) slog.Attr { return slog.String("error", Text(err)) }

const maxForeign = 200 // bytes

// Foreign makes a text of a server, a transport or a panic fit for logs and errors: short, in one line, printable, without
// the secret and without e-mail addresses.
func Foreign(s, secret string) string {
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
	if secret != "" {
		s = strings.ReplaceAll(s, secret, "[API key]")
	}
	return Shorten(address.ReplaceAllString(strings.Join(strings.Fields(s), " "), "[address]"), maxForeign)
}

// Shorten returns s, cut off after n bytes.
func Shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// New returns a Logger like l, in which a panic of the handler ends. What was to be logged is lost then.
func New(l *slog.Logger) *slog.Logger { return slog.New(handler{l.Handler()}) }

type handler struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h handler) Enabled(ctx context.Context, l slog.Level) (ok bool) {
	defer func() { _ = recover() }()
	return h.Handler.Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("fprom: the Logger panicked: %v", p)
		}
	}()
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }

// ErrRecovered is the error of a call that panicked.
var ErrRecovered = errors.New("fprom: a panic was recovered: see the log")
