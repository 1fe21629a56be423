//go:build !linux

package boltqueue

import (
	"errors"
	"os"

	"go.etcd.io/bbolt"
)

func allocate(*os.File, int64, int64) error { return errors.ErrUnsupported }

func keepOwner(*os.File, string) error { return nil }

func releasePages(*bbolt.Tx) error { return nil }
