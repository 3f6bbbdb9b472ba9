package table

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/readtest"
)

func TestMunichDriveYieldsAllFixes(t *testing.T) {
	t.Parallel()
	fixes := readtest.MustRead(t, Fixes(strings.NewReader(readtest.Data(t, "trips/munich-drive-15s.json")), recordings.Options{}))
	if len(fixes) != 80 {
		t.Fatalf("%d fixes, want 80", len(fixes))
	}
	if km := kilometres(fixes); math.Abs(km-13.371) > 0.0005 {
		t.Errorf("%.4f km, want 13.371", km)
	}
	first := fixes[0]
	if want := time.Date(2014, 9, 10, 4, 54, 7, 0, time.UTC); !first.At.Equal(want) || first.Trip != `\x0001` || first.Vehicle != `\x0001` {
		t.Errorf("the first fix is %+v", first)
	}
}

func TestLiverpoolBusesYieldTripsPerVehicle(t *testing.T) {
	t.Parallel()
	file := strings.NewReader(readtest.Data(t, "trips/liverpool-bus-route14.csv"))
	fixes := readtest.MustRead(t, Fixes(file, recordings.Options{}))
	trips, vehicles := map[string]bool{}, map[string]bool{}
	for i, f := range fixes {
		trips[f.Trip], vehicles[f.Vehicle] = true, true
		if f.Line != i+2 {
			t.Fatalf("fix %d is of line %d", i, f.Line)
		}
	}
	if len(fixes) != 1533 || len(trips) != 16 || len(vehicles) != 8 {
		t.Errorf("%d fixes, %d trips, %d vehicles, want 1533, 16, 8", len(fixes), len(trips), len(vehicles))
	}
	if fixes[0].Trip != "4716/1091" || fixes[0].Vehicle != "4716" {
		t.Errorf("the first fix is %+v", fixes[0])
	}
}

func TestNewYorkTaxiYieldsRidesInMiles(t *testing.T) {
	t.Parallel()
	trips, err := Trips(strings.NewReader(readtest.Data(t, "trips/nyc-taxi-one-driver-2013-01.csv")), recordings.Options{})
	if err != nil || trips.Rides == nil || trips.Fixes != nil {
		t.Fatalf("trips %v, error %v", trips, err)
	}
	rides := readtest.MustRead(t, trips.Rides)
	miles, keys := 0.0, map[string]bool{}
	for _, r := range rides {
		miles += *r.MeteredMetres / 1609.344
		keys[r.Key] = true
	}
	if len(rides) != 682 || len(keys) != 682 || math.Abs(miles-1851.4) > 1e-6 {
		t.Errorf("%d rides with %d keys over %f miles, want 682 and 1851.4", len(rides), len(keys), miles)
	}
	slices.SortFunc(rides, func(a, b recordings.Ride) int { return a.Start.Compare(b.Start) })
	for i := 1; i < len(rides); i++ {
		if rides[i].Start.Before(rides[i-1].End) {
			t.Errorf("%+v overlaps %+v", rides[i], rides[i-1])
		}
	}
}

func TestMachineTemperature(t *testing.T) {
	t.Parallel()
	file := strings.NewReader(readtest.Data(t, "telemetry/machine-temperature.csv"))
	readings := readtest.MustRead(t, Readings(file, recordings.Options{}))
	hot, cold, disordered, keys := 0, 0, 0, map[string]bool{}
	for i, r := range readings {
		keys[r.Key] = true
		if r.Value >= 100 {
			hot++
		}
		if r.Value < 40 {
			cold++
		}
		if i > 0 && r.At.Before(readings[i-1].At) {
			disordered++
		}
	}
	if len(readings) != 22695 || len(keys) != 22695 || hot != 1586 || cold != 399 || disordered != 1 {
		t.Errorf("%d readings with %d keys, %d hot, %d cold, %d out of order", len(readings), len(keys), hot, cold, disordered)
	}
}

func TestReadingHasSameKeyInEachFormat(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, file string }{
		{"comma", "device_id,timestamp,value\nm1,2024-01-01 12:00:00,20.5\n"},
		{"semicolon and decimal comma", "Timestamp;Value;Device ID\n2024-01-01 12:00:00;20,5;m1\n"},
		{"tab, byte-order mark, CRLF", "\xef\xbb\xbftime\tTemperature (°C)\tdeviceId\r\n2024-01-01T12:00Z\t20.50\tm1\r\n"},
		{"pipe and offset", "at|reading|machine\n2024-01-01 14:00:00+02:00|20.5|m1\n"},
		{"quoted", "\"at\", \"value\", \"sensor\"\n\"2024-01-01 14:00:00 +0200\", \"20.5\", \"m1\"\n"},
		{"date and time apart", "date,time,value,device\n2024-01-01,12:00:00,20.5,m1\n"},
		{"Unix seconds", "ts,value,device\n1704110400,20.5,m1\n"},
		{"Unix milliseconds", "ts,value,device\n1704110400000,2.05e1,m1\n"},
		{"JSON array", ` [ {"Device": "m1", "Time": "2024-01-01T12:00:00Z", "value": 20.5, "more": {"a": [1]}} ] `},
		{"JSON lines", "{\"device\":\"m1\",\"time\":1704110400,\"value\":20.5}\n\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := readtest.MustRead(t, Readings(strings.NewReader(tt.file), recordings.Options{}))
			want := recordings.Reading{
				Device: "m1", At: time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC), Value: 20.5,
				Key: "db58079a5c55720d3fb2d98cbaf15245", Line: got[0].Line,
			}
			if len(got) != 1 || got[0] != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestTimesWithoutOffsetAreInLocation(t *testing.T) {
	t.Parallel()
	munich := time.FixedZone("CET", 3600)
	got := readtest.MustRead(t, Readings(strings.NewReader("time,value\n2024-01-01 12:00:00,1\n2024-01-01T12:00:00Z,1\n"),
		recordings.Options{Location: munich}))
	if d := got[1].At.Sub(got[0].At); d != time.Hour {
		t.Errorf("noon in Munich is %v before noon in UTC", d)
	}
}

func TestColumnsNamedByCallerOverrideHeaders(t *testing.T) {
	t.Parallel()
	const file = "wann,Breite,Länge,Wagen\n2024-01-01 12:00:00,48.1,11.5,w\n"
	columns := map[string]string{"time": "wann", "latitude": "Breite", "longitude": "Länge", "vehicle": "wagen"}
	trips, err := Trips(strings.NewReader(file), recordings.Options{Columns: columns})
	if err != nil {
		t.Fatal(err)
	}
	if got := readtest.MustRead(t, trips.Fixes); got[0].Latitude != 48.1 || got[0].Vehicle != "w" {
		t.Errorf("fix %+v", got[0])
	}
}

func TestTripKeysDifferByVehicle(t *testing.T) {
	t.Parallel()
	const file = "vehicle,trip,lat,lon,time,accuracy\n" +
		"a/b,c,1,1,2024-01-01,5\na,b/c,1,1,2024-01-01,\na,,1,1,2024-01-01,\n,c,1,1,2024-01-01,\n,,1,1,2024-01-01,\n"
	var got []string
	for _, f := range readtest.MustRead(t, Fixes(strings.NewReader(file), recordings.Options{})) {
		got = append(got, f.Trip)
	}
	if want := []string{"a%2Fb/c", "a/b%2Fc", "a", "c", "1"}; !slices.Equal(got, want) {
		t.Errorf("trips %q, want %q", got, want)
	}
}

func TestInvalidRowsAreFaultsByLine(t *testing.T) {
	t.Parallel()
	const file = `time,lat,lon,note
2024-01-01 00:00:00,NaN,1,
2024-01-01 00:00:00,1,Inf,
2024-01-01 00:00:00,90.5,1,
2024-01-01 00:00:00,1,-180.5,
2024-01-01 00:00:00,,1,
03/04/2024 00:00,1,1,
soon,1,1,
55012-01-01,1,1,
20240101,1,1,
2024-01-01 00:00:00,1,1
2024-01-01 00:00:00,1,1,"two
lines"
2024-01-01 00:00:00,1,1,a"b
2024-01-01 00:00:00,1,1,"a"b
2024-01-01 00:00:00,0x1,1,
2024-01-01 00:00:00,1,1,last
`
	good, faults, fatal := readtest.All(t, Fixes(strings.NewReader(file), recordings.Options{}))
	if fatal != nil || len(good) != 2 || good[0].Line != 12 || good[1].Line != 17 {
		t.Fatalf("fixes %+v, error %v", good, fatal)
	}
	readtest.RequireFaults(t, faults,
		recordings.Fault{Line: 2, Reason: "latitude is NaN"},
		recordings.Fault{Line: 3, Reason: `longitude "Inf" is not finite`},
		recordings.Fault{Line: 4, Reason: `latitude "90.5" is outside -90 to 90 degrees`},
		recordings.Fault{Line: 5, Reason: `longitude "-180.5" is outside`},
		recordings.Fault{Line: 6, Reason: "latitude is missing"},
		recordings.Fault{Line: 7, Reason: `time "03/04/2024 00:00" is ambiguous`},
		recordings.Fault{Line: 8, Reason: `time "soon" is no time`},
		recordings.Fault{Line: 9, Reason: "55012"},
		recordings.Fault{Line: 10, Reason: `time "20240101" is no time`},
		recordings.Fault{Line: 11, Reason: "3 fields, the header 4"},
		recordings.Fault{Line: 14, Reason: "a quote inside a field"},
		recordings.Fault{Line: 15, Reason: "a quote that is not closed"},
		recordings.Fault{Line: 16, Reason: `latitude "0x1" is not a number`},
	)
}

func TestInvalidRidesAreFaults(t *testing.T) {
	t.Parallel()
	const head = "pickup_time,dropoff_time,passengers,distance_km,pickup_lon,pickup_lat,dropoff_lon,dropoff_lat\n"
	tests := []struct{ row, want string }{
		{"2024-01-01 01:00:00,2024-01-01 00:00:00,1,1,1,1,1,1", "the end is before the start"},
		{"2024-01-01 00:00:00,2024-01-01 01:00:00,1,-1,1,1,1,1", "distance_km -1 is outside 0"},
		{"2024-01-01 00:00:00,2024-01-01 01:00:00,1,1e300,1,1,1,1", "distance_km 1e+300 is outside 0"},
		{"2024-01-01 00:00:00,2024-01-01 01:00:00,many,1,1,1,1,1", `passengers "many"`},
		{"2024-01-01 00:00:00,2024-01-01 01:00:00,1,1,1,1,1,91", `end_latitude "91" is outside`},
		{"2024-01-01 00:00:00,,1,1,1,1,1,1", "end is missing"},
	}
	for _, tt := range tests {
		_, faults, fatal := readtest.All(t, Rides(strings.NewReader(head+tt.row), recordings.Options{}))
		if fatal != nil {
			t.Error(fatal)
		}
		readtest.RequireFaults(t, faults, recordings.Fault{Line: 2, Reason: tt.want})
	}
}

func TestInvalidJSONElementsAreFaults(t *testing.T) {
	t.Parallel()
	const file = `[{"time":"2024-01-01","value":1},
{"time":"2024-01-01","value":NaN},
{"time":"2024-01-01"},
17, "]}",
{"time":"2024-01-01",
 "value":[1]},
{"value":2,"at":"2024-01-01"}
]`
	good, faults, fatal := readtest.All(t, Readings(strings.NewReader(file), recordings.Options{}))
	if fatal != nil || len(good) != 2 || good[1].Line != 7 {
		t.Fatalf("readings %+v, error %v", good, fatal)
	}
	readtest.RequireFaults(t, faults,
		recordings.Fault{Line: 2, Reason: "not JSON"},
		recordings.Fault{Line: 3, Reason: "no column for the value"},
		recordings.Fault{Line: 4, Reason: `"17" is not a JSON object`},
		recordings.Fault{Line: 4, Reason: "is not a JSON object"},
		recordings.Fault{Line: 5, Reason: `value "[1]" is not a number`},
	)
}

func TestTruncatedJSONYieldsRowsBeforeError(t *testing.T) {
	t.Parallel()
	whole := readtest.Data(t, "trips/munich-drive-15s.json")
	good, _, fatal := readtest.All(t, Fixes(strings.NewReader(whole[:len(whole)/2]), recordings.Options{}))
	if len(good) < 35 {
		t.Errorf("%d fixes", len(good))
	}
	readtest.RequireError(t, fatal, "unexpected end of file at line 1")
}

func TestUnreadableFilesAreErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file string
		columns    map[string]string
		want       []string
	}{
		{"empty", "", nil, []string{"empty"}},
		{"blank", " \n\n", nil, []string{"empty"}},
		{"UTF-16", "\xff\xfet\x00", nil, []string{"UTF-16"}},
		{"no mark, but zero bytes", "t\x00i\x00", nil, []string{"zero bytes"}},
		{"gzip", "\x1f\x8b\x08", nil, []string{"gzip"}},
		{"XML", "<gpx/>", nil, []string{"XML"}},
		{"carriage returns", "time,value\r1,2\r", nil, []string{"carriage return"}},
		{"no value", "time;Wert\n", nil, []string{"no column for the value", `"time", "Wert"`, "--column value=HEADER"}},
		{"no header", "2024-01-01,20.5\n", nil, []string{"no column for the time", `"2024-01-01", "20.5"`}},
		{"unknown name", "time,value\n", map[string]string{"speed": "v"}, []string{"--column speed=", "only time, date, value, device"}},
		{"unknown header", "time,value\n", map[string]string{"value": "v"}, []string{"--column value=v: there is no such header"}},
		{"broken header", "time,\"value\n", nil, []string{"header", "not closed"}},
		{"one endless row", "time,value\n1,\"" + strings.Repeat("x\n", 1<<20), nil, []string{"more than 1048576 bytes"}},
		{"one endless line", `{"a":` + strings.Repeat(" ", 2<<20), nil, []string{"more than 1048576 bytes"}},
		{"one endless element", `[{"a":"` + strings.Repeat("x", 2<<20), nil, []string{"more than 1048576 bytes"}},
		{"nested", `[{"a":` + strings.Repeat("[", 100), nil, []string{"more than 64 deep"}},
		{"one object over lines", "{\n\"rows\": []\n}", nil, []string{"no column for the time", `the headers are "rows"`}},
		{"text behind", "[]\n[]", nil, []string{"line 2: text after the end"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, fatal := readtest.All(t, Readings(strings.NewReader(tt.file), recordings.Options{Columns: tt.columns}))
			readtest.RequireError(t, fatal, tt.want...)
		})
	}
}

func TestDistanceWithoutUnitIsRefused(t *testing.T) {
	t.Parallel()
	const file = "start,end,from_lat,from_lon,to_lat,to_lon,distance\n2024-01-01,2024-01-02,1,1,1,1,3\n"
	_, err := Trips(strings.NewReader(file), recordings.Options{})
	readtest.RequireError(t, err, "--column distance_km=distance")
	trips, err := Trips(strings.NewReader(file), recordings.Options{Columns: map[string]string{"distance_km": "distance"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := readtest.MustRead(t, trips.Rides); *got[0].MeteredMetres != 3000 {
		t.Errorf("%v metres, want 3000", *got[0].MeteredMetres)
	}
}

func TestDevicesAreReadWithLabels(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, file string }{
		{"CSV", "id,name,kind,label:site,labels,lat,lon\nd1,Door,sensor,north,\"{\"\"floor\"\":2}\",48.1,11.5\n"},
		{"JSON", `[{"key":"d1","name":"Door","kind":"SENSOR","labels":{"site":"north","floor":2},"latitude":48.1,"longitude":11.5}]`},
	}
	for _, tt := range tests {
		got := readtest.MustRead(t, Devices(strings.NewReader(tt.file), recordings.Options{}))[0]
		if got.Key != "d1" || got.Name != "Door" || got.Kind != "SENSOR" || *got.Latitude != 48.1 || *got.Longitude != 11.5 ||
			fmt.Sprint(got.Labels) != "map[floor:2 site:north]" {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

func TestInvalidDevicesAreFaults(t *testing.T) {
	t.Parallel()
	const file = "key,kind,labels,lat,lon\nd,toaster,,,\n,sensor,,,\nd,sensor,[1],,\nd,sensor,,1,\nd,sensor,\"{\"\"a\"\":[]}\",,\nd\x01,sensor,,,\nd,sensor,,,\n"
	good, faults, fatal := readtest.All(t, Devices(strings.NewReader(file), recordings.Options{}))
	if fatal != nil || len(good) != 1 || good[0].Name != "d" || good[0].Latitude != nil {
		t.Fatalf("devices %+v, error %v", good, fatal)
	}
	readtest.RequireFaults(t, faults,
		recordings.Fault{Line: 2, Reason: `kind "TOASTER" is none of GATEWAY`},
		recordings.Fault{Line: 3, Reason: "key is missing"},
		recordings.Fault{Line: 4, Reason: "not a JSON object"},
		recordings.Fault{Line: 5, Reason: "longitude is missing"},
		recordings.Fault{Line: 6, Reason: `label "a" is not a string`},
		recordings.Fault{Line: 7, Reason: "control character"},
	)
}

func TestLongTablesStream(t *testing.T) {
	at := func(i int) string {
		return time.Date(2024, 1, 1, 0, 0, i, 0, time.UTC).Format(time.DateTime)
	}
	tests := []struct {
		name, head string
		row        func(i int) string
		tail       string
	}{
		{"CSV", "time,lat,lon,vehicle\n", func(i int) string { return fmt.Sprintf("%s,%f,1,v\n", at(i), float64(i)/1e6) }, ""},
		{"JSON array", "[", func(i int) string { return fmt.Sprintf("{\"time\":%q,\"lat\":1,\"lon\":1},\n", at(i)) }, "]"},
		{"JSON lines", "", func(i int) string { return fmt.Sprintf("{\"time\":%q,\"lat\":1,\"lon\":1}\n", at(i)) }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			readtest.RequireConstantMemory(t, func(n int) iter.Seq2[recordings.Fix, error] {
				return Fixes(readtest.Stream(tt.head, n, tt.row, tt.tail), recordings.Options{})
			})
		})
	}
}

func TestReaderStopsWithCaller(t *testing.T) {
	t.Parallel()
	for range Readings(strings.NewReader("time,value\n2024-01-01,1\n2024-01-01,1\n"), recordings.Options{}) {
		return // a yield after this would panic
	}
}

func FuzzTable(f *testing.F) {
	for _, path := range []string{"trips/munich-drive-15s.json", "trips/nyc-taxi-one-driver-2013-01.csv", "trips/liverpool-bus-route14.csv", "telemetry/machine-temperature.csv"} {
		f.Add(readtest.Data(f, path)[:900])
	}
	f.Add("{\"lat\":1,\"lon\":1,\"time\":1704110400}\n{\"lat\":null}\n")
	f.Add("time;value;value2;Value\n1/2/26 9:05 PM;1.234;1,5;2\n")
	f.Add("key;kind;label:a;labels;lat;lon\nd;sensor;1;{\"b\":2};1,5;2,5\n")
	f.Fuzz(func(t *testing.T, file string) {
		trips, err := Trips(strings.NewReader(file), recordings.Options{})
		if err == nil && trips.Fixes != nil {
			good, _, _ := readtest.All(t, trips.Fixes)
			for _, fix := range good {
				readtest.RequireValid(t, fix)
			}
		}
		if err == nil && trips.Rides != nil {
			readtest.All(t, trips.Rides)
		}
		readtest.All(t, Readings(strings.NewReader(file), recordings.Options{}))
		chosen := recordings.Options{DateOrder: recordings.MonthDayYear, Columns: map[string]string{"value": "value"}, Assume: func(string) {}}
		good, _, _ := readtest.All(t, Readings(strings.NewReader(file), chosen))
		for _, r := range good {
			if math.IsNaN(r.Value) || math.IsInf(r.Value, 0) || r.At.IsZero() {
				t.Errorf("%+v", r)
			}
		}
		readtest.All(t, Devices(strings.NewReader(file), recordings.Options{}))
	})
}

// kilometres is the haversine length of a track, R = 6371.0088 km.
func kilometres(fixes []recordings.Fix) float64 {
	km := 0.0
	for i := 1; i < len(fixes); i++ {
		a, b := fixes[i-1], fixes[i]
		rad := math.Pi / 180
		lat := math.Sin((b.Latitude - a.Latitude) * rad / 2)
		lon := math.Sin((b.Longitude - a.Longitude) * rad / 2)
		h := lat*lat + math.Cos(a.Latitude*rad)*math.Cos(b.Latitude*rad)*lon*lon
		km += 2 * 6371.0088 * math.Asin(math.Sqrt(h))
	}
	return km
}
