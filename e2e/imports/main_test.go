// Package imports tests the import of recordings, and the figures of the recordings that the demo imports.
package imports

import (
	"os"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
