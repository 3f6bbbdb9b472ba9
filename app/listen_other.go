//go:build !linux

package app

import (
	"syscall"
	"time"
)

// unacknowledged leaves it to the system how long what is sent may stay without an answer.
func unacknowledged(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }
