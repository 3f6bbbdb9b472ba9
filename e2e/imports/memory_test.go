//go:build unix

package imports

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

// Ten times the rows must not take ten times the memory: what an import holds does not grow with the file.
func TestImportMemoryIsIndependentOfRows(t *testing.T) {
	t.Parallel()
	small, large := importMemory(t, 10_000), importMemory(t, 100_000)
	t.Logf("most memory: %d for 10,000 rows, %d for 100,000", small, large)
	if float64(large) > 1.6*float64(small) {
		t.Errorf("an import of ten times the rows took %.1f times the memory", float64(large)/float64(small))
	}
}

// importMemory is the most memory that the import of n readings had resident, in the system's unit.
func importMemory(t *testing.T, n int) int64 {
	t.Helper()
	o := harness.Run(t, "import", "telemetry", writeReadings(t, n), "--data", t.TempDir())
	if want := fmt.Sprintf("%d rows: %d new, 0 there already, 0 bad", n, n); o.Code != 0 || !strings.Contains(o.Stdout, want) {
		t.Fatalf("the import ended with %d and said %q, want %q", o.Code, o.Stdout+o.Stderr, want)
	}
	return int64(o.State.SysUsage().(*syscall.Rusage).Maxrss)
}
