package fprom

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// SafeKey returns a Message.Key in a form that may be shown and kept: if the key contains an e-mail address, a hash replaces
// all that follows the kind. Other keys do not change, nor does a SafeKey.
func SafeKey(key string) string {
	kind, id, _ := strings.Cut(key, ":")
	if !strings.Contains(id, "@") {
		return key
	}
	sum := sha256.Sum256([]byte(id))
	return kind + ":sha256-" + hex.EncodeToString(sum[:16])
}

// MaskEmail keeps the first letter of each side of an e-mail address: "j***@e***". Text without "@" stays as it is.
func MaskEmail(s string) string {
	if local, host, ok := strings.Cut(s, "@"); ok {
		s = fmt.Sprintf("%.1s***@%.1s***", local, host)
	}
	return s
}
