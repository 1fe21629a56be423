//go:build !linux

package boltqueue

import (
	"errors"
	"os"
	"syscall"
)

func allocate(*os.File, int64, int64) error { return errors.ErrUnsupported }

func onlyOwner(string, string, syscall.RawConn) error { return nil }
