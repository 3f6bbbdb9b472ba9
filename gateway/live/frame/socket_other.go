//go:build !unix

package frame

import "syscall"

// descriptor has all go by the queue.
func descriptor(uintptr) int { return noDescriptor }

// writeSome is not called.
func writeSome(int, []byte) (int, error) { return 0, nil }

// awaitReadable leaves it to the read to wait.
func awaitReadable(syscall.RawConn) {}
