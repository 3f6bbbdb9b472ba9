package memory_test

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"github.com/sluicehq/sluice/internal/memory"
)

const (
	v2      = "sys/fs/cgroup/memory.max"
	v1      = "sys/fs/cgroup/memory/memory.limit_in_bytes"
	meminfo = "proc/meminfo"
)

func root(files map[string]string) fstest.MapFS {
	fs := fstest.MapFS{}
	for name, text := range files {
		fs[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fs
}

func TestAvailable(t *testing.T) {
	t.Parallel()
	machine := "MemFree: 10 kB\nMemTotal:       24000000 kB\n"
	cases := []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"a machine", map[string]string{meminfo: machine}, 24_000_000 * 1024},
		{"a container", map[string]string{meminfo: machine, v2: "536870912\n"}, 512 << 20},
		{"a container of the older kind", map[string]string{meminfo: machine, v1: "268435456\n"}, 256 << 20},
		{"a container without a limit", map[string]string{meminfo: machine, v2: "max\n"}, 24_000_000 * 1024},
		{"no limit, as the older kind says it", map[string]string{meminfo: machine, v1: "9223372036854771712\n"}, 24_000_000 * 1024},
		{"files that say nothing", map[string]string{meminfo: "MemTotal: lots\n", v2: "-1", v1: "x"}, math.MaxInt64},
		{"no files", nil, math.MaxInt64},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := memory.Available(root(c.files)); got != c.want {
				t.Errorf("%d bytes, want %d", got, c.want)
			}
		})
	}
}

// Not parallel: the collector is the process's.
func TestTune(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	container := root(map[string]string{v2: "1073741824"})
	none := func(string) string { return "" }
	if got := memory.Tune(memory.Settings{GCPercent: 400}, container, none); got != 768<<20 {
		t.Errorf("three quarters of a GiB are %d", got)
	}
	if got := debug.SetGCPercent(100); got != 400 {
		t.Errorf("the heap grows by %d %%", got)
	}
	if got := memory.Tune(memory.Settings{Limit: 1 << 30, GCPercent: 400}, container, none); got != 1<<30 {
		t.Errorf("a limit that was set is %d", got)
	}
	operator := func(string) string { return "set" }
	debug.SetGCPercent(50)
	if got := memory.Tune(memory.Settings{Limit: 1 << 20, GCPercent: 400}, container, operator); got != 1<<30 || debug.SetGCPercent(100) != 50 {
		t.Error("what the operator set has changed")
	}
}
