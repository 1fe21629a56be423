// Package safelog makes a caller's Logger safe to call from goroutines of one's own, since its handler is foreign code, and
// says how an error stands in a line.
package safelog

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// Text is the text of err, an error or what panicked, without the name of the library: the line that it stands in begins
// with that.
func Text(err any) string { return strings.ReplaceAll(fmt.Sprint(err), "fprom: ", "") }

// Error is the attribute "error" of a line, with the Text of err.
func Error(err any) slog.Attr { return slog.String("error", Text(err)) }

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
