// Package memory tells Go's garbage collector how much room there is, so that it runs seldom while
// there is plenty and often when it gets tight (https://go.dev/doc/gc-guide#Memory_limit).
//
// It promises that what an operator sets through GOGC and GOMEMLIMIT stays as it is.
package memory

import (
	"io/fs"
	"math"
	"runtime/debug"
	"strconv"
	"strings"
)

// Settings say how memory is used.
type Settings struct {
	Limit     int64 // bytes that the process may use; 0 means what the machine or its container has
	GCPercent int   // how much the heap may grow between collections, as GOGC says it
}

// share is how much of what there is the heap may take: the rest is for the kernel's buffers and for
// what Go does not count.
const share = 0.75

// Tune sets the collector of this process and gives the limit that holds, in bytes. root is the file
// system's root, environment gives a variable or "".
func Tune(settings Settings, root fs.FS, environment func(string) string) int64 {
	if environment("GOGC") == "" {
		debug.SetGCPercent(settings.GCPercent)
	}
	if environment("GOMEMLIMIT") == "" {
		limit := settings.Limit
		if limit == 0 {
			limit = int64(float64(Available(root)) * share)
		}
		debug.SetMemoryLimit(limit)
	}
	return debug.SetMemoryLimit(-1)
}

// Available is how many bytes the process may use: the least of its control group's limit, version 2
// or 1, and the machine's memory. Where nothing tells, it is math.MaxInt64.
func Available(root fs.FS) int64 {
	least := int64(math.MaxInt64)
	for _, limit := range []int64{
		number(root, "sys/fs/cgroup/memory.max"),
		number(root, "sys/fs/cgroup/memory/memory.limit_in_bytes"),
		machine(root),
	} {
		if limit > 0 {
			least = min(least, limit)
		}
	}
	return least
}

// number reads a file of one number; 0 when it says "max", or nothing.
func number(root fs.FS, path string) int64 {
	text, err := fs.ReadFile(root, path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// machine reads MemTotal, which proc(5) gives in KiB.
func machine(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "MemTotal:" {
			continue
		}
		kib, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil || kib > math.MaxInt64/1024 {
			return 0
		}
		return kib * 1024
	}
	return 0
}
