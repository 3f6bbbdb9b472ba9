//go:build linux && (amd64 || arm64)

package frame

import (
	"syscall"
	"unsafe"
)

// send writes what the kernel accepts at once. The call never blocks, so it bypasses the scheduler's bookkeeping of
// system calls, which costs a tenth of the call and more under load.
func send(fd int, p []byte) (int, error) {
	n, _, failure := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
		syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
	if failure != 0 {
		return -1, failure
	}
	return int(n), nil
}
