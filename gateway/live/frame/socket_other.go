//go:build !unix

package frame

import "syscall"

// directDescriptor returns noDescriptor: every message goes through the queue.
func directDescriptor(uintptr) int { return noDescriptor }

// writeAvailable is not called without a descriptor.
func writeAvailable(int, []byte) (int, error) { return 0, nil }

// awaitReadable returns at once: the read itself waits.
func awaitReadable(syscall.RawConn) {}
