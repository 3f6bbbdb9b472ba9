package imports

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
)

// importing is a program that serves while files are imported into its data folder.
type importing struct {
	p           *harness.Program
	key         string
	data, files string
}

func startImporting(t *testing.T) *importing {
	t.Helper()
	in := &importing{data: t.TempDir(), files: t.TempDir()}
	in.key = harness.CreateAPIKey(t, in.data, "OPERATOR", "trip:read", "device:read", "activity:read")
	in.p = harness.Start(t, "serve", "--addr", "127.0.0.1:0", "--data", in.data)
	return in
}

// file writes a file to be imported.
func (in *importing) file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(in.files, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load imports a file and wants this exit code and these words in what is printed.
func (in *importing) load(t *testing.T, kind, path string, code int, words ...string) {
	t.Helper()
	o := harness.Run(t, "import", kind, path, "--data", in.data)
	if o.Code != code {
		t.Errorf("the import of %s ended with %d, want %d:\n%s%s", path, o.Code, code, o.Stdout, o.Stderr)
	}
	for _, word := range words {
		if !strings.Contains(o.Stdout+o.Stderr, word) {
			t.Errorf("the import of %s does not say %q:\n%s%s", path, word, o.Stdout, o.Stderr)
		}
	}
	if strings.Contains(o.Stderr, "panic") || strings.Contains(o.Stderr, "goroutine") {
		t.Errorf("the import panics:\n%s", o.Stderr)
	}
}

// fixes counts the fixes of the only trip of a vehicle.
func (in *importing) fixes(t *testing.T, vehicle string) int {
	t.Helper()
	const query = `query($vehicles: [ID!]) { trips(filter: {vehicleIds: $vehicles}) { nodes { track(maxPoints: 500) { counted } } } }`
	trips := harness.Query[harness.TripPage](t, in.p, in.key, query, harness.Vars{"vehicles": []string{harness.DeviceByName(t, in.p, in.key, vehicle)}}).Trips.Nodes
	if len(trips) != 1 {
		t.Fatalf("%s has %d trips, want 1", vehicle, len(trips))
	}
	return len(trips[0].Track)
}

func (in *importing) devices(t *testing.T) int {
	t.Helper()
	return harness.Query[struct{ Devices harness.Count }](t, in.p, in.key, `{ devices(first: 1) { totalCount } }`, nil).Devices.TotalCount
}

// Files are imported beside a program that serves: what is good in them is there at once.
func TestImportBesideRunningProgramIsVisible(t *testing.T) {
	t.Parallel()
	in := startImporting(t)
	t.Run("a GPX that is cut short", func(t *testing.T) { testCutShort(t, in) })
	t.Run("a CSV with bad rows", func(t *testing.T) { testBadRows(t, in) })
	t.Run("files that are none", func(t *testing.T) { testNoFiles(t, in) })
	in.p.StopCleanly(t)
}

func testCutShort(t *testing.T, in *importing) {
	whole, err := os.ReadFile("../../testdata/trips/around-visnjan-with-car.gpx")
	if err != nil {
		t.Fatal(err)
	}
	path := in.file(t, "drive.gpx", string(whole[:9000]))
	in.load(t, "trips", path, 1, "unexpected end of file", "good rows before it are kept", " 0 bad")
	some := in.fixes(t, "drive")
	if some == 0 || some >= 104 {
		t.Errorf("%d fixes were kept of the part, want some of 104", some)
	}
	in.file(t, "drive.gpx", string(whole))
	in.load(t, "trips", path, 0, fmt.Sprintf("104 rows: %d new, %d there already, 0 bad", 104-some, some))
	in.load(t, "trips", path, 0, "104 rows: 0 new, 104 there already, 0 bad")
	if got := in.fixes(t, "drive"); got != 104 {
		t.Errorf("the track has %d fixes, want 104", got)
	}
}

func testBadRows(t *testing.T, in *importing) {
	path := in.file(t, "van.csv", `time,lat,lon,vehicle
2026-01-01T00:00:00Z,48.1,11.5,van
2026-01-01T00:00:10Z,NaN,11.5,van
2026-01-01T00:00:20Z,48.101,11.5,van
yesterday,48.102,11.5,van
2026-01-01T00:00:40Z,148.102,11.5,van
2026-01-01T00:00:50Z,48.103
2026-01-01T00:01:00Z,48.104,11.5,van
`)
	in.load(t, "trips", path, 0, "van.csv:3: latitude is NaN", "van.csv:5: time", "van.csv:6: latitude", "van.csv:7:", "7 rows: 3 new, 0 there already, 4 bad")
	in.load(t, "trips", path, 0, "7 rows: 0 new, 3 there already, 4 bad")
	if got := in.fixes(t, "van"); got != 3 {
		t.Errorf("the track has %d fixes, want 3", got)
	}
}

func testNoFiles(t *testing.T, in *importing) {
	before := in.devices(t)
	good := in.file(t, "good.csv", "timestamp,value\n2026-01-01 00:00:00,1\n")
	in.load(t, "stars", good, 1, `must be one of "trips","telemetry"`)
	in.load(t, "trips", filepath.Join(in.files, "nowhere.csv"), 1, "nowhere.csv: no such file")
	in.load(t, "trips", in.file(t, "empty.csv", ""), 1, "empty.csv")
	in.load(t, "trips", in.file(t, "noise.gpx", "\x00\x01\x02"), 1, "noise.gpx")
	in.load(t, "hydration", good, 1, "good.csv")
	in.load(t, "observations", in.file(t, "bad.sls", "not a schedule"), 1, "bad.sls")
	in.load(t, "telemetry", in.file(t, "bad.csv", "timestamp,value\n2026-01-01 00:00:00,NaN\n"), 1, "none of its 1 rows is good")
	if after := in.devices(t); after != before {
		t.Errorf("files without a good row have made %d devices", after-before)
	}
}

// writeReadings writes a CSV of n readings.
func writeReadings(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "readings.csv")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(file)
	fmt.Fprintln(w, "timestamp,value")
	begin := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range n {
		fmt.Fprintf(w, "%s,%d\n", begin.Add(time.Duration(i)*time.Second).Format(time.DateTime), i%977)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}
