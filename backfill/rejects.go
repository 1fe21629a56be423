package backfill

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// rejects writes the rows that need a person. The first of them creates the file.
type rejects struct {
	path   string
	input  os.FileInfo // the input, which must not be overwritten; nil if it is no file
	header []string    // of CSV; nil: JSONL
	keep   []int       // indexes of the input's columns that are written
	comma  rune

	file *os.File
	buf  *bufio.Writer
	csv  *csv.Writer
}

// The columns that are added. They replace those of an earlier rejects file.
const lineColumn, reasonColumn = "line", "reason"

func newRejects(path string, input any, in *Reader) (*rejects, error) {
	w := &rejects{path: path, header: in.header}
	if f, ok := input.(*os.File); ok {
		w.input, _ = f.Stat() // after an error the check below is left out
	}
	for i, name := range in.header {
		if name != lineColumn && name != reasonColumn {
			w.keep = append(w.keep, i)
		}
	}
	if in.csv != nil {
		w.comma = in.csv.Comma
	}
	if path == "" {
		return w, nil
	}
	for name, to := range in.format.Map {
		if plain := strings.ToLower(strings.TrimSpace(name)); namedField(to) != noField && (plain == lineColumn || plain == reasonColumn) {
			return nil, headerError("the rejects file has columns line and reason of its own: rename the file's column %q", name)
		}
	}
	switch was, err := os.Stat(path); {
	case err == nil && was.IsDir():
		return nil, errors.New("fprom: the rejects file is a directory: name a file in it")
	case err == nil && w.input != nil && os.SameFile(was, w.input):
		return nil, errors.New("fprom: the rejects file is the file that is read: name another one")
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil { // checked now, since the first row for it may come late
		return nil, fmt.Errorf("fprom: the directory of the rejects file: %w", err)
	}
	return w, nil
}

func (w *rejects) open() error {
	f, err := os.OpenFile(w.path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("fprom: the rejects file: %w", err)
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		_ = f.Chmod(0o600) // it may be an older file; that of another user keeps its mode
	}
	w.file, w.buf = f, bufio.NewWriter(f)
	if w.header == nil {
		return nil
	}
	w.csv = csv.NewWriter(w.buf)
	w.csv.Comma = w.comma
	return w.csv.Write(append(pick(w.header, w.keep), lineColumn, reasonColumn))
}

// add writes a row, which may have fewer or more fields than the header.
func (w *rejects) add(r Row, reason error) error {
	if w.path == "" {
		return nil
	}
	if w.file == nil {
		if err := w.open(); err != nil {
			return err
		}
	}
	text := strings.TrimPrefix(reason.Error(), "fprom: ")
	if w.csv != nil {
		fields := append(pick(r.Record, w.keep), strconv.Itoa(r.Line), text)
		if n := len(w.header); len(r.Record) > n {
			fields = append(fields, r.Record[n:]...) // fields without a column
		}
		return w.csv.Write(fields)
	}
	o, twice, err := members(r.JSON)
	if err != nil || len(twice) > 0 {
		o = map[string]json.RawMessage{"raw": quote(string(r.JSON))}
	}
	o[lineColumn], o[reasonColumn] = json.RawMessage(strconv.Itoa(r.Line)), quote(text)
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = w.buf.Write(append(b, '\n'))
	return err
}

func quote(s string) json.RawMessage {
	b, _ := json.Marshal(s) // a string has no error
	return b
}

func pick(record []string, columns []int) []string {
	out := make([]string, 0, len(columns)+2)
	for _, i := range columns {
		s := ""
		if i < len(record) {
			s = record[i]
		}
		out = append(out, s)
	}
	return out
}

// flush writes the buffered rows to the file.
func (w *rejects) flush() error {
	if w.file == nil {
		return nil
	}
	if w.csv != nil {
		w.csv.Flush() // buf keeps its error
	}
	if err := w.buf.Flush(); err != nil {
		return fmt.Errorf("fprom: the rejects file: %w", err)
	}
	return nil
}

func (w *rejects) close() error {
	if w.file == nil {
		return nil
	}
	err := w.flush()
	if cerr := w.file.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("fprom: the rejects file: %w", cerr)
	}
	return err
}

// copied is r with copies of Record and JSON.
func (r Row) copied() Row {
	r.Record, r.JSON = slices.Clone(r.Record), slices.Clone(r.JSON)
	return r
}
