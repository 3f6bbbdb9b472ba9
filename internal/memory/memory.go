// Package memory configures Go's garbage collector for the memory of the process: it runs seldom while memory is
// plentiful, and often near the limit (https://go.dev/doc/gc-guide#Memory_limit). GOGC and GOMEMLIMIT precede all
// settings. If neither the control group nor the machine reports a limit, the process has none.
package memory

import (
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// Settings configure the collector.
type Settings struct {
	Limit     int64 // bytes; 0 selects a share of the available memory
	GCPercent int   // as GOGC
}

// share is the part of the available memory for the heap. The rest is for the kernel's buffers and for memory that Go
// does not count.
const share = 0.75

// Tune configures the collector and returns the limit in bytes. available reports the memory; environment returns a
// variable, or "".
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

func automatic(available memlimit.Provider) int64 {
	limit, err := memlimit.ApplyRatio(available, share)()
	if err != nil {
		return math.MaxInt64 // unlimited, or unknown
	}
	return int64(min(limit, math.MaxInt64))
}

// Available reports the bytes that this process may use: the smaller of the control group's limit (version 1 or 2,
// with its parents) and the memory of the machine.
func Available() (uint64, error) { return Least(memlimit.FromCgroup, memlimit.FromSystem)() }

// Least returns a provider of the smallest reported limit. It fails if none is reported.
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
