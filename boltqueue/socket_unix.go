//go:build unix

package boltqueue

import "syscall"

// onlyOwner lets nobody else connect from the beginning, where the system has it so: the socket gets the mode that it has
// before it is bound.
func onlyOwner(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
}
