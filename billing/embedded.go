package billing

import (
	"net/url"
	"strings"
)

// Embedded reads the string at path as an object: JSON ({"a":"1"}) or a query string (a=1&b=2). It is for providers whose
// metadata is one string. In a query string a text with a broken escape, such as 50%, stands for itself. If the string is neither, the
// node is absent.
func (n Node) Embedded(path string) Node {
	at := n.At(path)
	s := strings.TrimSpace(at.text().S)
	if strings.HasPrefix(s, "{") {
		at.v, _ = parse([]byte(s))
		return at
	}
	at.v = nil
	if strings.Contains(s, "=") {
		object := map[string]any{}
		for part := range strings.SplitSeq(s, "&") {
			name, value, _ := strings.Cut(part, "=")
			if name = unescape(name); object[name] == nil { // the first one counts
				object[name] = unescape(value)
			}
		}
		at.v = object
	}
	return at
}

// unescape leaves a text with a broken escape as it is: somebody has written it by hand.
func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}
