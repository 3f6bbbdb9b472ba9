//go:build !linux

package app

import (
	"syscall"
	"time"
)

// unacknowledged keeps the default of the system.
func unacknowledged(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }
