// Package lifecycle tests how the program starts, stops, fails and recovers, alone and as separate processes.
package lifecycle

import (
	"os"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
