//go:build !linux

package safebolt

import (
	"errors"
	"os"

	"go.etcd.io/bbolt"
)

// Allocate does nothing on this system.
func (*File) Allocate(int64, int64) error { return errors.ErrUnsupported }

func keepOwner(*os.File, string) error { return nil }

// ReleasePages does nothing on this system.
func ReleasePages(*bbolt.Tx) error { return nil }
