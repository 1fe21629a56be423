package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/fprom-go/fprom/internal/safelog"
)

// logger shows warnings of the libraries as notes, or as doctor wants them.
func (a *app) logger() *slog.Logger { return slog.New(warnings{a}) }

type warnings struct{ a *app }

// Enabled implements slog.Handler.
func (w warnings) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

// Handle implements slog.Handler.
func (w warnings) Handle(_ context.Context, r slog.Record) error {
	text := safelog.WithoutName(r.Message)
	r.Attrs(func(attr slog.Attr) bool {
		text += fmt.Sprintf("; %s: %v", attr.Key, attr.Value)
		return true
	})
	if w.a.warned != nil {
		w.a.warned(text)
	} else {
		w.a.note("%s", text)
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (w warnings) WithAttrs([]slog.Attr) slog.Handler { return w }

// WithGroup implements slog.Handler.
func (w warnings) WithGroup(string) slog.Handler { return w }
