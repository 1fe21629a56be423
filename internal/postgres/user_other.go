//go:build !linux

package postgres

import "syscall"

// attributes are those of a process of the server. Only Linux can tie it to the life of this one.
func attributes() *syscall.SysProcAttr { return nil }

func own(string) error { return nil }
