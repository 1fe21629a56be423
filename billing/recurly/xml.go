package recurly

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// maxDepth bounds the nesting of elements.
const maxDepth = 32

// decode parses a notification to {"name": root element, "content": its content}. An element with children becomes an object; if
// children have the same name, the last one counts. Another element becomes its text. JSON is parsed too,
// so that convert can say what is wrong.
func decode(body []byte) (map[string]any, error) {
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		var object map[string]any
		err := json.Unmarshal(body, &object)
		return object, err
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	for {
		t, err := d.Token()
		if err != nil {
			return nil, errors.New("there is no XML element")
		}
		start, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		content, err := element(d, 0)
		if err != nil {
			return nil, err
		}
		for { // comments and white space may follow
			switch t, err := d.Token(); {
			case errors.Is(err, io.EOF):
				return map[string]any{"name": start.Name.Local, "content": content}, nil
			case err != nil:
				return nil, err
			default:
				if _, more := t.(xml.StartElement); more {
					return nil, errors.New("there are two XML elements")
				}
			}
		}
	}
}

func element(d *xml.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("the XML elements are nested too deep")
	}
	var text strings.Builder
	var object map[string]any
	for {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			v, err := element(d, depth+1)
			if err != nil {
				return nil, err
			}
			if object == nil {
				object = map[string]any{}
			}
			object[t.Name.Local] = v
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			if object != nil {
				return object, nil
			}
			return strings.TrimSpace(text.String()), nil
		}
	}
}
