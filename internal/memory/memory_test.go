package memory_test

import (
	"errors"
	"math"
	"runtime/debug"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/sluicehq/sluice/internal/memory"
)

func absent() (uint64, error) { return 0, memlimit.ErrNoLimit }

func TestLeastOfSeveralLimitsIsTheSmallest(t *testing.T) {
	t.Parallel()
	const machine, container = 24_000_000 * 1024, 512 << 20
	unlimited := memlimit.Limit(math.MaxUint64)
	for _, c := range []struct {
		name      string
		providers []memlimit.Provider
		want      uint64 // 0 for no limit
	}{
		{"a machine", []memlimit.Provider{absent, memlimit.Limit(machine)}, machine},
		{"a container", []memlimit.Provider{memlimit.Limit(container), memlimit.Limit(machine)}, container},
		{"a container with more than the machine", []memlimit.Provider{memlimit.Limit(math.MaxInt64 - 4095), memlimit.Limit(machine)}, machine},
		{"a container without a limit", []memlimit.Provider{unlimited, memlimit.Limit(machine)}, machine},
		{"a machine that reports nothing", []memlimit.Provider{absent, memlimit.Limit(0)}, 0},
		{"nothing", nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := memory.Least(c.providers...)()
			if got != c.want || errors.Is(err, memlimit.ErrNoLimit) != (c.want == 0) {
				t.Errorf("%d bytes, %v; want %d", got, err, c.want)
			}
		})
	}
}

func TestAvailableOnThisMachineIsPositive(t *testing.T) {
	t.Parallel()
	if got, err := memory.Available(); err != nil || got < 64<<20 {
		t.Errorf("%d bytes, %v", got, err)
	}
}

// Not parallel: the collector belongs to the process.
func TestTuneAppliesSettingsBelowTheEnvironment(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	container := memlimit.Limit(1 << 30)
	unset := func(string) string { return "" }
	if got := memory.Tune(memory.Settings{GCPercent: 400}, container, unset); got != 768<<20 {
		t.Errorf("three quarters of a GiB are %d", got)
	}
	if got := debug.SetGCPercent(100); got != 400 {
		t.Errorf("the heap grows by %d %%", got)
	}
	if got := memory.Tune(memory.Settings{GCPercent: 400}, absent, unset); got != math.MaxInt64 {
		t.Errorf("without a known limit it is %d", got)
	}
	if got := memory.Tune(memory.Settings{Limit: 1 << 30, GCPercent: 400}, container, unset); got != 1<<30 {
		t.Errorf("a configured limit is %d", got)
	}
	operator := func(string) string { return "set" }
	debug.SetGCPercent(50)
	if got := memory.Tune(memory.Settings{Limit: 1 << 20, GCPercent: 400}, container, operator); got != 1<<30 || debug.SetGCPercent(100) != 50 {
		t.Error("the operator's settings have changed")
	}
}
