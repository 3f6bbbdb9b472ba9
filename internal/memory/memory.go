// Package memory configures Go's garbage collector for the memory that the process may use: it runs seldom
// while memory is plentiful, and often near the limit (https://go.dev/doc/gc-guide#Memory_limit).
//
// It promises that the operator's GOGC and GOMEMLIMIT take precedence over all settings. Where neither the
// control group nor the machine reports a limit, the process has no limit.
package memory

import (
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// Settings configure the collector.
type Settings struct {
	Limit     int64 // bytes that the process may use; 0 selects a share of the available memory
	GCPercent int   // growth of the heap between two collections, as for GOGC
}

// share is the part of the available memory that the heap may use. The rest is for the kernel's buffers
// and for memory that Go does not count.
const share = 0.75

// Tune configures the collector of this process and returns the limit in force, in bytes. The provider
// reports the available memory; environment returns a variable, or "" when it is not set.
func Tune(settings Settings, available memlimit.Provider, environment func(string) string) int64 {
	if environment("GOGC") == "" {
		debug.SetGCPercent(settings.GCPercent)
	}
	if environment("GOMEMLIMIT") == "" {
		limit := settings.Limit
		if limit == 0 {
			limit = automatic(available)
		}
		debug.SetMemoryLimit(limit)
	}
	return debug.SetMemoryLimit(-1)
}

// automatic is the limit for a process without a configured limit.
func automatic(available memlimit.Provider) int64 {
	limit, err := memlimit.ApplyRatio(available, share)()
	if err != nil {
		return math.MaxInt64 // unlimited, or unknown
	}
	return int64(min(limit, math.MaxInt64))
}

// Available reports the bytes that this process may use: the smaller one of the control group's limit
// (version 1 or 2, with its parents) and the memory of the machine.
func Available() (uint64, error) { return Least(memlimit.FromCgroup, memlimit.FromSystem)() }

// Least returns a provider of the smallest limit that the providers report. It fails when none of them reports a limit.
func Least(providers ...memlimit.Provider) memlimit.Provider {
	return func() (uint64, error) {
		least := uint64(math.MaxUint64)
		for _, provider := range providers {
			if limit, err := provider(); err == nil && limit > 0 {
				least = min(least, limit)
			}
		}
		if least == math.MaxUint64 {
			return 0, memlimit.ErrNoLimit
		}
		return least, nil
	}
}
