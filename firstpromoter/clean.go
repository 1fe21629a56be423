package firstpromoter

import (
	"strings"
	"unicode"
)

const maxMessage = 200 // of a text that is kept from an answer

// clean makes a text of an answer or a transport fit for logs and errors: short, printable, without the key and without
// e-mail addresses.
func (c *Client) clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		default:
			return r
		}
	}, strings.ToValidUTF8(s, "?"))
	words := strings.Fields(strings.ReplaceAll(s, c.cfg.APIKey, "[API key]"))
	for i, w := range words {
		if strings.Contains(w, "@") || strings.Contains(w, "%40") {
			words[i] = "[address]"
		}
	}
	s = strings.Join(words, " ")
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + "…"
	}
	return s
}
