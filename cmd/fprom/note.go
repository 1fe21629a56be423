package main

import (
	"encoding/json"
	"fmt"
)

// note writes a message to stderr.
func (a *app) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if a.shown != nil {
		a.shown.clear()
	}
	if isJSON(a.format) {
		_ = json.NewEncoder(a.errs).Encode(struct {
			Type string `json:"type"`
			Note string `json:"note"`
		}{"note", text})
		return
	}
	_, _ = fmt.Fprintln(a.errs, clean(text))
}
