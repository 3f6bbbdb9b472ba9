// Package chaos tests the promises of the device listener under abuse, the death of a process, an outage of the
// database, and an upgrade. In the form of CI each test takes seconds. With SLUICE_CHAOS=whole (make chaos) it has the
// number of devices and the time of the promise, and the latency of the devices at work is a bar.
package chaos

import (
	"os"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(abusersVariable); path != "" {
		os.Exit(abuse(path))
	}
	os.Exit(harness.Main(m))
}

func whole() bool { return os.Getenv("SLUICE_CHAOS") == "whole" }

// scaled is the first value in CI, and the second in the whole form.
func scaled[T any](short, long T) T {
	if whole() {
		return long
	}
	return short
}
