// Package outages tests what callers see while a part that Sluice depends on is away, and that all recovers by itself.
package outages

import (
	"os"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
