package backfill

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
)

// maxRecord is the largest row in bytes: an unclosed quote must not swallow the rest of the file.
const maxRecord = 1 << 20

// Reader reads rows as a stream. It is not safe for concurrent use.
type Reader struct {
	format Format
	csv    *csv.Reader
	raw    bytes.Buffer // the input of csv from the beginning of the row
	rawAt  int64        // offset of raw in the input
	limit  *limitedReader
	lines  *bufio.Scanner
	header []string
	fields []field
	known  map[string]field // fields of JSONL by name
	line   int              // number of the last row's line
	twins  *twins           // of event ids
}

// NewReader reads the beginning of a file and finds the field of each column. It accepts CSV with a comma, a semicolon or a tab
// between the fields, with or without a byte order mark, and JSONL: one object a line. The error is a *HeaderError, a
// *fprom.ValidationError of a field of f, or an error of r.
func NewReader(r io.Reader, f Format) (*Reader, error) {
	f, err := f.withDefaults()
	if err != nil {
		return nil, err
	}
	limit := &limitedReader{r: r}
	buf := bufio.NewReaderSize(limit, 64<<10)
	start, err := buf.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("fprom: read the file: %w", err)
	}
	switch {
	case bytes.HasPrefix(start, []byte{0xEF, 0xBB, 0xBF}):
		_, _ = buf.Discard(3) // they are in the buffer
	case bytes.HasPrefix(start, []byte{0xFF, 0xFE}), bytes.HasPrefix(start, []byte{0xFE, 0xFF}):
		return nil, headerError("the file is UTF-16: save it as UTF-8")
	}
	in := &Reader{format: f, limit: limit, twins: newTwins()}
	switch line := headline(buf); {
	case len(line) == 0:
		return nil, headerError("the file is empty")
	case line[0] == '{':
		in.readLines(buf)
		return in, nil
	case line[0] == '[':
		return nil, headerError("the file is a JSON array: write one object a line (JSONL)")
	case bytes.HasPrefix(line, []byte("sep=")):
		return nil, headerError("its first line is Excel's sep=: remove that line")
	default:
		return in, in.readHeader(buf)
	}
}

// headline is the first line that is not blank, or as much of it as fits into the buffer. It reads no further than it must:
// the file may be a pipe.
func headline(r *bufio.Reader) []byte {
	for {
		b, _ := r.Peek(r.Buffered())
		line, _, whole := bytes.Cut(bytes.TrimLeft(b, " \t\r\n"), []byte{'\n'})
		if whole {
			return line
		}
		if _, err := r.Peek(len(b) + 1); err != nil {
			return line
		}
	}
}

func (in *Reader) readHeader(r *bufio.Reader) error {
	in.csv = csv.NewReader(io.TeeReader(r, &in.raw))
	in.csv.Comma = separator(r)
	in.csv.FieldsPerRecord = -1
	in.csv.ReuseRecord = true
	record, err := in.csv.Read()
	if err != nil {
		return headerError("the header cannot be read: %v", err)
	}
	in.line, _ = in.csv.FieldPos(0)
	in.header = make([]string, len(record))
	for i, name := range record {
		if strings.Contains(name, "\r") {
			return headerError("its lines end with CR alone, as old Macintosh programs write them: save it as CSV with the line ends of Unix or Windows")
		}
		in.header[i] = strings.Clone(name)
	}
	in.fields, err = in.format.columns(in.header, false)
	return err
}

// separator is the most frequent of comma, semicolon and tab in the header.
func separator(r *bufio.Reader) rune {
	line := headline(r)
	best, most := ',', bytes.Count(line, []byte{','})
	for _, c := range []byte{';', '\t'} {
		if n := bytes.Count(line, []byte{c}); n > most {
			best, most = rune(c), n
		}
	}
	return best
}

// Columns returns the columns of a CSV file with their fields. It is nil for JSONL.
func (in *Reader) Columns() []Column {
	if in.csv == nil {
		return nil
	}
	c := make([]Column, len(in.header))
	for i, name := range in.header {
		c[i] = Column{name, in.fields[i].String()}
	}
	return c
}

// Rows ranges over the rows, once. A row that makes no event has an Err. The error beside the row ends the reading.
func (in *Reader) Rows() iter.Seq2[Row, error] {
	next := in.csvRow
	if in.csv == nil {
		next = in.jsonRow
	}
	return func(yield func(Row, error) bool) {
		for {
			r, err := next()
			if errors.Is(err, io.EOF) {
				return
			}
			if len(r.Record) > 0 && !slices.ContainsFunc(r.Record, filled) { // a spreadsheet writes its empty rows
				continue
			}
			if errors.Is(r.Err, ErrMixedAmounts) {
				err = fmt.Errorf("fprom: line %d: %w", r.Line, r.Err)
			}
			in.checkID(&r)
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func filled(s string) bool { return strings.TrimSpace(s) != "" }

// checkID refuses a row with the event id of another payment, and marks the copy of a row. One with another amount is left to the
// outbox.
func (in *Reader) checkID(r *Row) {
	if r.Event == nil || r.EventID == "" {
		return
	}
	other, differ := in.twins.id(*r)
	if r.twin = other > 0; differ {
		r.Event, r.Err = nil, fmt.Errorf("fprom: the row has the event id of line %d, and another customer or date: each payment needs an id of its own, not that of a subscription or a customer", other)
	}
}

func (in *Reader) csvRow() (Row, error) {
	in.limit.n = 0
	start := in.csv.InputOffset()
	in.raw.Next(int(start - in.rawAt))
	in.rawAt = start
	record, err := in.csv.Read()
	if err != nil {
		return in.badCSV(err)
	}
	r := Row{Record: record}
	r.Line, _ = in.csv.FieldPos(0)
	in.line = r.Line
	if len(record) != len(in.header) { // also if the last ones are empty: the amount 1,000 looks the same before a last column that is empty
		r.Err = fmt.Errorf("fprom: the row has %d fields, the header %d: is a field with a separator in it not quoted? If all rows end with separators, write as many behind the header", len(record), len(in.header))
		return r, nil
	}
	var v values
	for i, is := range in.fields {
		v[is] = strings.TrimSpace(record[i])
	}
	in.format.fill(&r, &v)
	return r, nil
}

// badCSV returns a row that is not valid CSV as a refused row with its whole text. Any other error ends the reading.
func (in *Reader) badCSV(err error) (Row, error) {
	p, ok := errors.AsType[*csv.ParseError](err)
	switch {
	case errors.Is(err, io.EOF):
		return Row{}, io.EOF
	case errors.Is(err, errTooLarge):
		return Row{}, fmt.Errorf("fprom: after line %d: %w", in.line, errTooLarge)
	case !ok:
		return Row{}, fmt.Errorf("fprom: read the file: %w", err)
	}
	lazy := csv.NewReader(bytes.NewReader(in.raw.Bytes()[:in.csv.InputOffset()-in.rawAt]))
	lazy.Comma, lazy.LazyQuotes = in.csv.Comma, true
	record, _ := lazy.Read() // LazyQuotes accepts a stray quote
	return Row{Line: p.StartLine, Record: record, Err: fmt.Errorf("fprom: the row is no CSV: %w", p.Err)}, nil
}

var errTooLarge = errors.New("a row is larger than 1 MiB: is a quote not closed?")

// limitedReader fails when a row is too large. n counts the bytes of the row: it is set to 0 before each.
type limitedReader struct {
	r io.Reader
	n int
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.n > maxRecord {
		return 0, errTooLarge
	}
	n, err := l.r.Read(p)
	l.n += n
	return n, err
}
