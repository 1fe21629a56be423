package socket

import "syscall"

// The socket has mode 0600 before it is bound, so that no other user can connect at any moment.
func init() {
	config.Control = func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
	}
}
