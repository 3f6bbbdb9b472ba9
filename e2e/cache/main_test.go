// Package cache tests that gateways which share a cache never answer with stale data, also while Redis is away.
package cache

import (
	"os"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
