package imports

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

func TestImportOfDevicesAfterFailureCanBeRepeated(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file, secrets, data := filepath.Join(folder, "devices.csv"), filepath.Join(folder, "secrets.csv"), filepath.Join(folder, "data")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("title of the file\n")
	if o := harness.Run(t, "import", "devices", file, "--secrets", secrets, "--data", data); o.Code != 1 {
		t.Fatalf("a file without columns ended with %d:\n%s%s", o.Code, o.Stdout, o.Stderr)
	}
	write("name,kind,label.site\nPress 4,SENSOR,north\n")
	harness.MustRun(t, "import", "devices", file, "--secrets", secrets, "--data", data)
	if text, err := os.ReadFile(secrets); err != nil || strings.Count(string(text), "\n") != 2 {
		t.Errorf("the secrets are %q, %v", text, err)
	}
}

func TestImportOfBadRowsWithStrictIsAnError(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "readings.csv")
	if err := os.WriteFile(file, []byte("time,value\n2026-01-01T00:00:00Z,1\n2026-01-01T00:01:00Z,NaN\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		args []string
	}{{0, nil}, {1, []string{"--strict"}}} {
		o := harness.Run(t, append([]string{"import", "telemetry", file, "--data", filepath.Join(folder, "data")}, c.args...)...)
		if o.Code != c.code || !strings.Contains(o.Stdout, "1 bad") {
			t.Errorf("%v ended with %d:\n%s%s", c.args, o.Code, o.Stdout, o.Stderr)
		}
	}
}
