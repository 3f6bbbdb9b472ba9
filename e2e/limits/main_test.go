// Package limits tests what a caller may spend: budgets, breakers per caller and loop detection.
package limits

import (
	"os"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
