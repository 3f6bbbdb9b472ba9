package imports

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

// What a command has imported is in the next response, also of a gateway that had cached the one before.
func TestImportIsInTheNextResponse(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := harness.Start(t, harness.DemoArgs(data)...)
	operator := p.SignIn(t, "operator")
	count := func() int {
		t.Helper()
		return harness.Query[struct{ Devices struct{ TotalCount int } }](t, p, operator, "{ devices { totalCount } }", nil).Devices.TotalCount
	}
	for i := range 5 {
		before := count()
		file := filepath.Join(t.TempDir(), "devices.csv")
		if err := os.WriteFile(file, []byte(fmt.Sprintf("key,name,kind\nnew-%d,New %d,SENSOR\n", i, i)), 0o600); err != nil {
			t.Fatal(err)
		}
		count() // is cached
		harness.MustRun(t, "import", "devices", file, "--data", data)
		if after := count(); after != before+1 {
			t.Errorf("import %d: there are %d devices, want %d", i, after, before+1)
		}
	}
}
