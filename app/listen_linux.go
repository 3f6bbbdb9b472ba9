package app

import (
	"errors"
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7), in milliseconds.
const tcpUserTimeout = 18

// unacknowledged bounds the time that sent bytes may stay unacknowledged. Accepted connections inherit it. Without
// it, the kernel retransmits to a vanished client for a quarter of an hour, and an event stream would not notice.
func unacknowledged(most time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var failure error
		err := c.Control(func(fd uintptr) {
			failure = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(most.Milliseconds()))
		})
		return errors.Join(err, failure)
	}
}
