package app

import (
	"errors"
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7), in milliseconds.
const tcpUserTimeout = 18

// unacknowledged bounds how long what is sent may stay without an answer of the other machine: connections
// inherit it. Without it one to a client that has vanished lives for a quarter of an hour on what the
// kernel sends again and again; an event stream has no other way of knowing.
func unacknowledged(most time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var failure error
		err := c.Control(func(fd uintptr) {
			failure = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(most.Milliseconds()))
		})
		return errors.Join(err, failure)
	}
}
