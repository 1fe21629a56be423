package billing

import (
	"net/url"
	"strings"
)

// Embedded reads the string at path as an object: JSON ({"a":"1"}) or a query string (a=1&b=2). It is for providers whose
// metadata is one string. If the string is neither, the node is absent.
func (n Node) Embedded(path string) Node {
	at := n.At(path)
	s := strings.TrimSpace(at.text().S)
	if strings.HasPrefix(s, "{") {
		at.v, _ = parse([]byte(s))
		return at
	}
	at.v = nil
	if q, err := url.ParseQuery(s); err == nil && strings.Contains(s, "=") {
		object := make(map[string]any, len(q))
		for name, values := range q {
			object[name] = values[0]
		}
		at.v = object
	}
	return at
}
