// Package security tests that callers see and change only what they may: credentials, and ids of other callers' entities.
package security

import (
	"os"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
