//go:build unix

package frame

import "syscall"

// descriptor is what writeSome writes to. It is good until the connection is closed, which only its
// socket does, under the same lock as its writes.
func descriptor(fd uintptr) int { return int(fd) }

// writeSome writes as much as the kernel takes at once, which may be nothing.
func writeSome(fd int, p []byte) (n int, err error) {
	for n < len(p) {
		took, err := send(fd, p[n:])
		switch {
		case took > 0:
			n += took
		case err == syscall.EINTR:
		case err == syscall.EAGAIN, err == nil:
			return n, nil
		default:
			return n, err
		}
	}
	return n, nil
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
