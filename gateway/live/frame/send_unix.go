//go:build unix && !(linux && (amd64 || arm64))

package frame

import "syscall"

// send writes what the kernel accepts at once. The descriptor is in non-blocking mode.
func send(fd int, p []byte) (int, error) { return syscall.Write(fd, p) }
