package ids

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestEncodingIsTheOneOfTheSpecification(t *testing.T) {
	t.Parallel()
	// From the valid cases of the TypeID specification.
	cases := map[string]string{
		"00000000-0000-0000-0000-000000000000": "00000000000000000000000000",
		"00000000-0000-0000-0000-000000000001": "00000000000000000000000001",
		"00000000-0000-0000-0000-00000000000a": "0000000000000000000000000a",
		"00000000-0000-0000-0000-000000000020": "00000000000000000000000010",
		"ffffffff-ffff-ffff-ffff-ffffffffffff": "7zzzzzzzzzzzzzzzzzzzzzzzzz",
		"0110c853-1d09-52d8-d73e-1194e95b5f19": "0123456789abcdefghjkmnpqrs",
		"01890a5d-ac96-774b-bcce-b302099a8057": "01h455vb4pex5vsknk084sn02q",
	}
	for in, want := range cases {
		if got := encode(uuid.MustParse(in)); got != want {
			t.Errorf("encode(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestNewIdsAreOfTheirKindAndSortByTime(t *testing.T) {
	t.Parallel()
	var made []string
	for range 1000 {
		id := New(Trip)
		if err := Check(Trip, id); err != nil {
			t.Fatal(err)
		}
		made = append(made, id)
	}
	if !slices.IsSorted(made) {
		t.Error("ids made one after another do not sort")
	}
}

func TestWrongIdsAreRefused(t *testing.T) {
	t.Parallel()
	good := New(Device)
	for _, id := range []string{"", "_", "device", "device_", good[:len(good)-1], good + "0", strings.ToUpper(good),
		"device_8zzzzzzzzzzzzzzzzzzzzzzzzz", "device_0000000000000000000000000l", "Device_" + good[7:], "dev ice_" + good[7:]} {
		if kind, err := Parse(id); err == nil {
			t.Errorf("Parse(%q) = %s", id, kind)
		}
	}
	if err := Check(Trip, good); err == nil || !strings.Contains(err.Error(), "device") {
		t.Errorf("the id of a device passes for a trip: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(New(Job))
	f.Add("trip_7zzzzzzzzzzzzzzzzzzzzzzzzz")
	f.Add("_")
	f.Fuzz(func(t *testing.T, id string) {
		kind, err := Parse(id)
		if err == nil && !strings.HasPrefix(id, string(kind)+"_") {
			t.Errorf("Parse(%q) = %s", id, kind)
		}
	})
}
