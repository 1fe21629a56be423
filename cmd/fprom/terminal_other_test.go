//go:build !linux

package main_test

import "testing"

func onTerminalAfter(t *testing.T, _ env, _ func(), _ string, _ ...string) (string, int) {
	t.Helper()
	t.Skip("the tests make terminals on Linux only")
	return "", 0
}
