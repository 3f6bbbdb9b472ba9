//go:build unix && !(linux && (amd64 || arm64))

package frame

import "syscall"

// send writes what the kernel takes at once. The descriptor is one that does not block.
func send(fd int, p []byte) (int, error) { return syscall.Write(fd, p) }
