//go:build unix

package frame

import "syscall"

// directDescriptor returns the descriptor for writeAvailable, which is valid until the Writer closes the connection
// under its lock.
func directDescriptor(fd uintptr) int { return int(fd) }

// writeAvailable writes as many bytes as the kernel accepts at once, possibly none.
func writeAvailable(fd int, p []byte) (n int, err error) {
	for n < len(p) {
		written, err := send(fd, p[n:])
		switch {
		case written > 0:
			n += written
		case err == syscall.EINTR:
		case err == syscall.EAGAIN, err == nil:
			return n, nil
		default:
			return n, err
		}
	}
	return n, nil
}

// awaitReadable blocks until the connection has bytes to read, is at its end, or passes its read deadline. It reads
// nothing.
func awaitReadable(raw syscall.RawConn) {
	_ = raw.Read(peek) // the next read returns the error
}

func peek(fd uintptr) bool {
	var b [1]byte
	_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err != syscall.EAGAIN && err != syscall.EINTR
}
