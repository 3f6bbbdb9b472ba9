// Package devices tests devices over MQTT: messages, commands, cameras, trips of vehicles, and restarts.
package devices

import (
	"os"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
