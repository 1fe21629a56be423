package backfill

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

func (in *Reader) readLines(r *bufio.Reader) {
	in.lines = bufio.NewScanner(r)
	in.lines.Buffer(make([]byte, 0, 64<<10), maxRecord)
	in.known = map[string]field{}
}

func (in *Reader) jsonRow() (Row, error) {
	in.limit.n = 0
	for in.lines.Scan() {
		in.line++
		line := bytes.TrimSpace(in.lines.Bytes())
		if len(line) > 0 {
			r := Row{Line: in.line, JSON: line}
			in.object(&r, line)
			return r, nil
		}
	}
	switch err := in.lines.Err(); {
	case err == nil:
		return Row{}, io.EOF
	case errors.Is(err, bufio.ErrTooLong), errors.Is(err, errTooLarge):
		return Row{}, fmt.Errorf("fprom: after line %d: %w", in.line, errTooLarge)
	default:
		return Row{}, fmt.Errorf("fprom: read the file: %w", err)
	}
}

// object reads one line of JSONL. Its names are treated as a header.
func (in *Reader) object(r *Row, line []byte) {
	o, twice, err := members(line)
	if err != nil {
		r.Err = err
		return
	}
	var missing bool
	for name := range o {
		if _, ok := in.known[name]; !ok {
			missing = true
		}
	}
	if missing || len(o) != len(in.known) {
		if r.Err = in.learn(o); r.Err != nil {
			return
		}
	}
	var v values
	for name, raw := range o {
		if is := in.known[name]; is != noField {
			text, ok := scalar(raw)
			if !ok {
				r.Err = fmt.Errorf("fprom: the member for %s is no text and no number", is)
				return
			}
			v[is] = strings.TrimSpace(text)
		}
	}
	r.EventID = v[eventIDField]
	for _, name := range twice {
		if is := in.known[name]; is != noField {
			r.Err = fmt.Errorf("fprom: the line has the member for %s twice: remove one", is)
			return
		}
	}
	in.format.fill(r, &v)
}

// members returns the members of a JSON object, and the names that it has more than once.
func members(line []byte) (o map[string]json.RawMessage, twice []string, err error) {
	if !json.Valid(line) || !bytes.HasPrefix(bytes.TrimSpace(line), []byte("{")) {
		return nil, nil, errors.New("fprom: the line is no JSON object")
	}
	o = map[string]json.RawMessage{}
	d := json.NewDecoder(bytes.NewReader(line))
	_, _ = d.Token() // it is valid
	for d.More() {
		token, _ := d.Token()
		name, _ := token.(string)
		if _, again := o[name]; again {
			twice = append(twice, name)
		}
		var value json.RawMessage
		_ = d.Decode(&value)
		o[name] = value
	}
	return o, twice, nil
}

// learn decides what the names of an object mean, for the lines with the same names.
func (in *Reader) learn(o map[string]json.RawMessage) error {
	names := slices.Sorted(maps.Keys(o))
	fields, err := in.format.columns(names, true)
	if err != nil {
		return err
	}
	clear(in.known)
	for i, name := range names {
		in.known[name] = fields[i]
	}
	return nil
}

// scalar is the text of a JSON string, number, boolean or null.
func scalar(raw json.RawMessage) (string, bool) {
	switch {
	case len(raw) == 0 || raw[0] == '{' || raw[0] == '[':
		return "", false
	case raw[0] != '"':
		return strings.TrimPrefix(string(raw), "null"), true
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}
