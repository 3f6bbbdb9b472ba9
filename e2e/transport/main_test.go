// Package transport tests GraphQL over HTTP and WebSocket: connections, invalid requests and persisted documents.
package transport

import (
	"os"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
