// Package subscriptions tests that subscriptions have no holes: clients resume by cursor after restarts and kills.
package subscriptions

import (
	"os"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
