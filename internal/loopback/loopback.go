// Package loopback says which hosts are this machine itself.
package loopback

import (
	"net"
	"strings"
)

// Is reports whether host, without a port, is localhost or a loopback address.
func Is(host string) bool {
	return strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") || net.ParseIP(host).IsLoopback()
}
