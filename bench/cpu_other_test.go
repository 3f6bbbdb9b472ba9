//go:build !linux

package bench

import (
	"testing"
	"time"
)

// processCPU skips the benchmark: this system has no clock for the CPU time of another process.
func processCPU(b *testing.B, _ int) time.Duration {
	b.Helper()
	b.Skip("SKIP: no CPU-time clock of other processes on this system")
	return 0
}
