package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// override sets the value at a path of a JSON document: names and positions with dots between. A value that is JSON is taken as such,
// everything else as text. Objects that are missing or null on the way are made.
func override(doc []byte, path, value string) ([]byte, error) {
	if !json.Valid(doc) {
		return nil, errors.New("the sample is not JSON, and has no such paths")
	}
	names := strings.Split(path, ".")
	for i, name := range names {
		at := strings.Join(names[:i], ".")
		names[i] = gjson.Escape(name) // else sjson takes a ? in it for a pattern, and changes nothing
		switch parent := gjson.GetBytes(doc, at); {
		case name == "":
			return nil, errors.New("the path has an empty name")
		case parent.Type == gjson.Null: // also if it is missing
		case !parent.IsObject() && !parent.IsArray():
			return nil, fmt.Errorf("%q has no fields", at)
		case parent.IsArray() && !parent.Get(names[i]).Exists():
			return nil, fmt.Errorf("%q is no position in the list, which has %d", name, len(parent.Array()))
		}
	}
	path = strings.Join(names, ".")
	if json.Valid([]byte(value)) {
		return sjson.SetRawBytes(doc, path, []byte(value))
	}
	return sjson.SetBytes(doc, path, value)
}
