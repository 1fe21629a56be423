package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/spf13/pflag"
)

// The values of --output.
const (
	formatText  = "text"
	formatJSON  = "json"
	formatJSONL = "jsonl"
)

// formatOf finds --output in args of which others are wrong: the error about them has this format, too.
func formatOf(args []string) string {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.ParseErrorsAllowlist.UnknownFlags = true
	f.BoolP("help", "h", false, "") // else it would end the parsing
	format := f.StringP("output", "o", formatText, "")
	_ = f.Parse(args)
	return *format
}

func isJSON(format string) bool { return format == formatJSON || format == formatJSONL }

// stdout remembers the first error of its writes, since not every writer of a result looks at it.
type stdout struct {
	w   io.Writer
	mu  sync.Mutex
	err error
}

func (s *stdout) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.w.Write(p)
	if s.err == nil {
		s.err = err
	}
	return n, err
}

func (s *stdout) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// show writes the result of a command: as one object, as one line, or by text.
func (a *app) show(v any, text func(w io.Writer)) error {
	switch a.format {
	case formatJSON:
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			return err
		}
		_, err := a.out.Write(escaped(b.Bytes()))
		return err
	case formatJSONL:
		return a.line("result", v)
	}
	var b bytes.Buffer
	text(&b)
	_, err := a.out.Write(b.Bytes())
	return err
}

// line writes the object v as a line of JSON with its type.
func (a *app) line(kind string, v any) error { return writeLine(a.out, kind, v) }

func writeLine(w io.Writer, kind string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	rest := bytes.TrimPrefix(b, []byte("{"))
	comma := ","
	if len(rest) == 1 {
		comma = ""
	}
	_, err = fmt.Fprintf(w, "{\"type\":%q%s%s\n", kind, comma, escaped(rest))
	return err
}

// escaped returns JSON in which every character that a terminal does not print (DEL, C1, a mark of direction) is a \u escape. It
// stays the same JSON.
func escaped(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for _, r := range string(b) {
		if r == '\n' || unicode.IsPrint(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, u := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, u)
		}
	}
	return out
}

// table writes rows in columns as they come, each thousand with its own widths.
type table struct {
	w       *tabwriter.Writer
	columns []string
	rows    int
}

func newTable(w io.Writer, columns []string) *table {
	return &table{w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0), columns: columns}
}

// add writes a row, behind the names of the columns if it is the first.
func (t *table) add(cells []string) error {
	if t.rows++; t.rows == 1 {
		_, _ = fmt.Fprintln(t.w, strings.Join(t.columns, "\t"))
	}
	for i, c := range cells {
		cells[i] = cmp.Or(clean(c), "-")
	}
	_, err := fmt.Fprintln(t.w, strings.Join(cells, "\t"))
	if t.rows%1000 == 0 {
		err = t.w.Flush()
	}
	return err
}

func (t *table) flush() { _ = t.w.Flush() }

// writeTable writes all rows.
func writeTable[E any](w io.Writer, columns []string, all []E, cells func(E) []string) {
	t := newTable(w, columns)
	for _, e := range all {
		_ = t.add(cells(e))
	}
	t.flush()
}

// note writes a message to stderr.
func (a *app) note(format string, args ...any) {
	if p := a.shown.Load(); p != nil {
		p.clear()
	}
	text := fmt.Sprintf(format, args...)
	if isJSON(a.format) {
		_ = writeLine(a.errs, "note", map[string]string{"note": text})
		return
	}
	_, _ = fmt.Fprintln(a.errs, clean(text))
}

// clean makes foreign text fit for a terminal: no escapes, no line ends.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '·'
		default:
			return r
		}
	}, strings.ToValidUTF8(s, "·"))
}

// stamp is t for a table, in UTC.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// span is d in at most two units.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d/time.Millisecond)
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
}

// utc is t for JSON; nil for the zero time.
func utc(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}

// count is "1 event" or "2 events".
func count[N int | int64](n N, what string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
