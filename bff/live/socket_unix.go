//go:build unix

package live

import (
	"errors"
	"syscall"
)

// writeSome writes as much as the kernel takes at once, which may be nothing.
func writeSome(raw syscall.RawConn, p []byte) (n int, err error) {
	var failure error
	err = raw.Write(func(fd uintptr) bool {
		for n < len(p) {
			took, err := syscall.Write(int(fd), p[n:])
			if took > 0 {
				n += took
			}
			switch {
			case err == nil && took > 0:
			case errors.Is(err, syscall.EINTR):
			case errors.Is(err, syscall.EAGAIN):
				return true
			case err == nil:
				return true
			default:
				failure = err
				return true
			}
		}
		return true
	})
	if err == nil {
		err = failure
	}
	return n, err
}

// awaitReadable waits until there is something to read, the end of the stream, or the read deadline. It
// looks without taking anything.
func awaitReadable(raw syscall.RawConn) {
	_ = raw.Read(peek) // whoever reads then sees the error
}

func peek(fd uintptr) bool {
	var b [1]byte
	_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err != syscall.EAGAIN && err != syscall.EINTR
}
