package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// override sets the value at a path of a JSON document: names and positions with dots between. A value that is JSON is taken as such,
// everything else as text. Objects that are missing on the way are made.
func override(doc []byte, path, value string) ([]byte, error) {
	names := strings.Split(path, ".")
	for i, name := range names[1:] {
		at := strings.Join(names[:i+1], ".")
		switch parent := gjson.GetBytes(doc, at); {
		case !parent.Exists():
		case !parent.IsObject() && !parent.IsArray():
			return nil, fmt.Errorf("%q has no fields", at)
		case parent.IsArray() && !parent.Get(name).Exists():
			return nil, fmt.Errorf("%q is no position in the list, which has %d", name, len(parent.Array()))
		}
	}
	if json.Valid([]byte(value)) {
		return sjson.SetRawBytes(doc, path, []byte(value))
	}
	return sjson.SetBytes(doc, path, value)
}
