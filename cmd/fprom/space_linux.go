package main

import "syscall"

// freeSpace is how many bytes of the file's disk are free for this user.
func freeSpace(file string) (uint64, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(file, &s); err != nil || s.Bsize <= 0 {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true
}
