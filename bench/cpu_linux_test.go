package bench

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// processCPU returns the CPU time that a process has used, in user and kernel mode. It reads the CPU-time
// clock of the process, as clock_getcpuclockid(3) defines it.
func processCPU(b *testing.B, pid int) time.Duration {
	b.Helper()
	const schedulerClock = 2
	var spent unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|schedulerClock, &spent); err != nil {
		b.Fatal(err)
	}
	return time.Duration(spent.Nano())
}
