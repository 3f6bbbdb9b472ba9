//go:build !unix

package frame

import "syscall"

func directDescriptor(uintptr) int { return noDescriptor }

func writeAvailable(int, []byte) (int, error) { return 0, nil }

func awaitReadable(syscall.RawConn) {}
