package open

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/readtest"
)

func TestTripsAreDetectedByContent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		path         string
		fixes, rides int
	}{
		{"trips/munich-drive-15s.json", 80, 0},
		{"trips/around-visnjan-with-car.gpx", 104, 0},
		{"trips/liverpool-bus-route14.csv", 1533, 0},
		{"trips/nyc-taxi-one-driver-2013-01.csv", 0, 682},
	}
	for _, tt := range tests {
		trips, err := Trips(strings.NewReader(readtest.Data(t, tt.path)), "a file of no known name", recordings.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := count(t, trips.Fixes); got != tt.fixes {
			t.Errorf("%s: %d fixes, want %d", tt.path, got, tt.fixes)
		}
		if got := count(t, trips.Rides); got != tt.rides {
			t.Errorf("%s: %d rides, want %d", tt.path, got, tt.rides)
		}
	}
}

func TestKindsOtherThanTripsAreRead(t *testing.T) {
	t.Parallel()
	opts := recordings.Options{}
	if n := count(t, Telemetry(strings.NewReader(readtest.Data(t, "telemetry/machine-temperature.csv")), "t", opts)); n != 22695 {
		t.Errorf("%d readings", n)
	}
	if n := count(t, Observations(strings.NewReader(readtest.Data(t, "activities/telescope-schedule-2023-03-28.sls")), "o", opts)); n != 301 {
		t.Errorf("%d observations", n)
	}
	if n := count(t, Hydration(strings.NewReader(readtest.Data(t, "hydration/fitbit-water-day.json")), "h", opts)); n != 5 {
		t.Errorf("%d water logs", n)
	}
	if n := count(t, Devices(strings.NewReader("key,kind\nd,sensor\n"), "d", opts)); n != 1 {
		t.Errorf("%d devices", n)
	}
}

func TestFatalErrorsNameFileAndAreNoFaults(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"", "\xff\xfe", "<kml/>", "a,b\n", "a,\"b\n", "[17]", "{\n}", "[", "{\"water\":[NaN]}"} {
		ends := map[string]error{}
		trips, err := Trips(strings.NewReader(file), "f", recordings.Options{})
		if ends["trips"] = err; err == nil {
			_, _, ends["trips"] = readtest.All(t, trips.Fixes)
		}
		_, _, ends["telemetry"] = readtest.All(t, Telemetry(strings.NewReader(file), "f", recordings.Options{}))
		_, _, ends["devices"] = readtest.All(t, Devices(strings.NewReader(file), "f", recordings.Options{}))
		_, _, ends["observations"] = readtest.All(t, Observations(strings.NewReader(file), "f", recordings.Options{}))
		_, _, ends["hydration"] = readtest.All(t, Hydration(strings.NewReader(file), "f", recordings.Options{}))
		for kind, err := range ends {
			var fault recordings.Fault
			if errors.As(err, &fault) || err == nil || !strings.HasPrefix(err.Error(), "f: ") {
				t.Errorf("%s of %q: %v", kind, file, err)
			}
		}
	}
}

func count[T any](t *testing.T, rows func(func(T, error) bool)) int {
	t.Helper()
	if rows == nil {
		return 0
	}
	return len(readtest.MustRead(t, rows))
}
