//go:build !linux

package boltqueue

import (
	"errors"
	"os"
	"syscall"

	"go.etcd.io/bbolt"
)

func allocate(*os.File, int64, int64) error { return errors.ErrUnsupported }

func onlyOwner(string, string, syscall.RawConn) error { return nil }

func keepOwner(*os.File, string) error { return nil }

func releasePages(*bbolt.Tx) error { return nil }
