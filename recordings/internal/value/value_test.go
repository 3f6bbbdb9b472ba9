package value

import (
	"testing"
	"time"
)

func TestTimeParsesSimilarForms(t *testing.T) {
	t.Parallel()
	noon := time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC)
	cet := time.FixedZone("CET", 3600)
	tests := []struct {
		text string
		want time.Time
	}{
		{"2024-01-01T12:00:00Z", noon},
		{"2024-01-01t13:00:00+01:00", noon},
		{"2024-01-01 13:00:00", noon},
		{"2024-01-01 13:00:00.25", noon.Add(250 * time.Millisecond)},
		{"2024-01-01 13:00", noon},
		{"2024/01/01 13:00", noon},
		{"2024-01-01", noon.Add(-13 * time.Hour)},
		{"2024-01-01 14:00:00+0200", noon},
		{"2024-01-01 14:00:00 +0200", noon},
		{"2024-01-01 14:00:00+02", noon},
		{"2024-01-01 14:00+02:00", noon},
		{"2024-01-01 12:00:00 UTC", noon},
		{"2024-01-01 12:00Z", noon},
		{"1704110400", noon},
		{"1704110400.5", noon.Add(500 * time.Millisecond)},
		{"1704110400000", noon},
		{"1704110400000.5", noon.Add(500 * time.Microsecond)},
		{"1704110400000000", noon},
		{"1704110400000000000", noon},
	}
	for _, tt := range tests {
		if got, err := Time(tt.text, cet); err != nil || !got.Equal(tt.want) || got.Location() != time.UTC {
			t.Errorf("%q is %v, error %v, want %v", tt.text, got, err, tt.want)
		}
	}
}

func TestInvalidTimesAreErrors(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "noon", "20240101", "20240101120000", "1", "-1704110400", "1e9", "01/02/2024", "1.2.2024 12:00",
		"2024-13-01", "2024-02-30", "2024-01-01 25:00", "0001-01-01", "2024-01-01 12:00:00 CET", "1704110400.x",
	} {
		if got, err := Time(text, time.UTC); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestNameIsSnakeCase(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Distance (km)": "distance_km", "distanceKm": "distance_km", " Distance-KM ": "distance_km",
		"tripID": "trip_id", "VehicleId": "vehicle_id", "Temperature (°C)": "temperature_c", "": "", "__": "", "Länge": "länge",
		"lstdelta, mins": "lstdelta_mins", "at2": "at2",
	} {
		if got := Name(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestKeysOfDifferentPartsDiffer(t *testing.T) {
	t.Parallel()
	if Key("a", "bc") == Key("ab", "c") || Key("a") == Key("a", "") {
		t.Error("different parts have one key")
	}
}

// A date in the order of the caller is that date in the order of ISO 8601, or no time.
func FuzzReorderDate(f *testing.F) {
	f.Add("2/1/2026 9:05 PM", true)
	f.Add("02.01.26", false)
	f.Add("2026-01-02T10:00:00+01:00", true)
	f.Fuzz(func(t *testing.T, text string, dayFirst bool) {
		order := "MDY"
		if dayFirst {
			order = "DMY"
		}
		reordered := ReorderDate(text, order)
		if again := ReorderDate(reordered, order); again != reordered {
			t.Errorf("%q is %q, and then %q", text, reordered, again)
		}
		if got, err := Time(reordered, time.UTC); err == nil && (got.Year() < FirstYear-1 || got.Year() > LastYear+1) {
			t.Errorf("%q is %v", text, got)
		}
	})
}

func FuzzTime(f *testing.F) {
	f.Add("2024-01-01 14:00:00 +0200")
	f.Add("1704110400.5")
	f.Add("1/2/2024")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Time(text, time.UTC)
		if err == nil && (got.Year() < FirstYear-1 || got.Year() > LastYear+1) {
			t.Errorf("%q is %v", text, got)
		}
	})
}
