package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// override sets the value at a path of a JSON document: names and positions with dots between. A value that is JSON is
// taken as such, everything else as text. Objects that are missing on the way are made.
func override(doc []byte, path, value string) ([]byte, error) {
	root, err := decode(doc)
	if err != nil {
		return nil, err
	}
	v, err := decode([]byte(value))
	if err != nil {
		v = value
	}
	if root, err = setAt(root, strings.Split(path, "."), v); err != nil {
		return nil, err
	}
	return json.Marshal(root)
}

func decode(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err = d.Decode(&v); err == nil && d.More() {
		err = errors.New("more than one value")
	}
	return v, err
}

func setAt(node any, path []string, v any) (any, error) {
	if len(path) == 0 {
		return v, nil
	}
	name := path[0]
	if name == "" {
		return nil, errors.New("the path has an empty name")
	}
	switch n := node.(type) {
	case []any:
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= len(n) {
			return nil, errors.New(strconv.Quote(name) + " is no position in the list, which has " + strconv.Itoa(len(n)))
		}
		n[i], err = setAt(n[i], path[1:], v)
		return n, err
	case map[string]any:
		child, err := setAt(n[name], path[1:], v)
		n[name] = child
		return n, err
	case nil:
		child, err := setAt(nil, path[1:], v)
		return map[string]any{name: child}, err
	default:
		return nil, errors.New(strconv.Quote(name) + ": its parent has no fields")
	}
}
