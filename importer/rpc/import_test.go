package rpc_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/importer"
	importerrpc "github.com/sluicehq/sluice/importer/rpc"
	"github.com/sluicehq/sluice/internal/errs"
	accountv1 "github.com/sluicehq/sluice/services/gen/account/v1"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
	"github.com/sluicehq/sluice/testdata"
)

const (
	someAccount = "account_01jd2k0f3qe8x9w5t7v6m4n2p0"
	someDevice  = "device_01jd2k0f3qe8x9w5t7v6m4n2p0"
)

func recording(t *testing.T, path string) string {
	t.Helper()
	content, err := fs.ReadFile(testdata.Files, path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestImportOfTruncatedTrackIsCompletedByWholeFile(t *testing.T) {
	t.Parallel()
	h := build(t)
	whole := recording(t, "trips/around-visnjan-with-car.gpx")
	options := importer.Options{Account: "bob", Device: "car"}
	cut := text("drive.gpx", whole[:len(whole)/2])
	report, err := importer.Import(t.Context(), h.Services, importer.KindTrips, []importer.File{cut}, options)
	wantError(t, err, "drive.gpx", "unexpected end of file", fmt.Sprintf("%d good rows", report.Stored))
	if report.Stored == 0 || report.Stored >= 104 || report.Trips != 1 {
		t.Fatalf("of half the track: %+v", report.Counts)
	}

	rest := h.in(t, importer.KindTrips, text("drive.gpx", whole), options)
	wantCounts(t, rest.Counts, importer.Counts{Rows: 104, Stored: 104 - report.Stored, Repeated: report.Stored})
	trips := h.tripsOf(t, h.vehicles(t)["car"])
	if len(trips) != 1 || math.Round(trips[0].GetDistanceMetres()) != 2733 {
		t.Errorf("%v, want one trip of 2733 m", trips)
	}
}

func TestImportOfInvalidRowsReportsThemAndStoresOthers(t *testing.T) {
	t.Parallel()
	h := build(t)
	file := text("drive.csv", "trip,time,lat,lon\n"+
		"a,2026-01-01 10:00:00,48.1,11.5\n"+
		"a,2026-01-01 10:00:10,NaN,11.5\n"+
		"a,2026-01-01 10:00:20,48.1,11.5,too,long\n"+
		"a,2026-01-01 10:00:30\n"+
		"a,2026-01-01 10:00:40,48.101,11.5\n")
	report, err := importer.Import(t.Context(), h.Services, importer.KindTrips, []importer.File{file}, importer.Options{Account: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	wantCounts(t, report.Counts, importer.Counts{Rows: 5, Stored: 2, Bad: 3, Trips: 1, Devices: 1})
	wantFault(t, report.Faults[0], "drive.csv", 3, "latitude is NaN")
	wantFault(t, report.Faults[1], "drive.csv", 4, "6 fields")
	wantFault(t, report.Faults[2], "drive.csv", 5, "2 fields")
	if _, named := h.vehicles(t)["drive"]; !named {
		t.Error("the vehicle of a recording that names none is not called as the file is")
	}
}

func TestRowsRefusedByServiceAreFaults(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 300)
	tests := []struct {
		name  string
		kind  importer.Kind
		file  string
		want  importer.Counts
		line  int
		fault string
	}{
		{"a device with a long name", importer.KindDevices, "key,name,kind\na,A,sensor\nb," + long + ",sensor\nc,C,camera\n",
			importer.Counts{Rows: 3, Stored: 2, Bad: 1, Devices: 2}, 3, "longer than 200"},
		{"one device of two kinds", importer.KindDevices, "name,kind\nA,sensor\nB,sensor\nB,camera\nC,camera\n",
			importer.Counts{Rows: 4, Stored: 3, Bad: 1, Devices: 3}, 4, "the kind of a device does not change"},
		{"a value beyond all bounds", importer.KindTelemetry, "time,value\n2026-01-01,1\n2026-01-02,1e200\n2026-01-03,3\n",
			importer.Counts{Rows: 3, Stored: 2, Bad: 1, Devices: 1}, 3, "must be a number between"},
		{"a vehicle with a long key", importer.KindTrips, "vehicle,time,lat,lon\na,2026-01-01,1,1\n" + long + long + ",2026-01-01,1,1\nc,2026-01-01,1,1\n",
			importer.Counts{Rows: 3, Stored: 2, Bad: 1, Trips: 2, Devices: 2}, 3, "longer than"},
		{"a ride from nowhere without a meter", importer.KindTrips,
			"pickup_time,dropoff_time,pickup_lat,pickup_lon,dropoff_lat,dropoff_lon\n" +
				"2026-01-01 10:00,2026-01-01 10:10,0,0,48,11\n2026-01-01 11:00,2026-01-01 11:10,48.1,11,48,11\n",
			importer.Counts{Rows: 2, Stored: 1, Bad: 1, Trips: 1, Devices: 1}, 2, "has no position"},
		{"a bath", importer.KindHydration, `{"water":[{"amount":200,"logId":1},` + "\n" + `{"amount":90000,"logId":2}]}`,
			importer.Counts{Rows: 2, Stored: 1, Bad: 1}, 2, "at most 10000 ml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			report, err := importer.Import(t.Context(), h.Services, tt.kind, []importer.File{text("f", tt.file)}, importer.Options{Account: "bob"})
			if err != nil {
				t.Fatal(err)
			}
			wantCounts(t, report.Counts, tt.want)
			if len(report.Faults) != 1 {
				t.Fatalf("faults %v", report.Faults)
			}
			wantFault(t, report.Faults[0], "f", tt.line, tt.fault)
		})
	}
}

func TestTripsWithSameKeyInTwoFilesAreTwo(t *testing.T) {
	t.Parallel()
	h := build(t)
	day := func(date string) importer.File {
		return text(date+".csv", "vehicle,trip,time,lat,lon\nbus,1,"+date+" 10:00,48,11\nbus,1,"+date+" 10:01,48.001,11\n")
	}
	options := importer.Options{Account: "operator"}
	h.in(t, importer.KindTrips, day("2026-01-01"), options)
	wantCounts(t, h.in(t, importer.KindTrips, day("2026-01-02"), options).Counts, importer.Counts{Rows: 2, Stored: 2, Trips: 1})
	wantCounts(t, h.in(t, importer.KindTrips, day("2026-01-01"), options).Counts, importer.Counts{Rows: 2, Repeated: 2})
	if trips := h.tripsOf(t, h.vehicles(t)["bus"]); len(trips) != 2 {
		t.Errorf("%d trips", len(trips))
	}
}

func TestRecordingOfOtherAccountIsRefused(t *testing.T) {
	t.Parallel()
	h := build(t)
	file := text("drive.csv", "time,lat,lon\n2026-01-01 10:00,48,11\n2026-01-01 10:01,48.001,11\n")
	h.in(t, importer.KindTrips, file, importer.Options{Account: "bob"})
	report, err := importer.Import(t.Context(), h.Services, importer.KindTrips, []importer.File{file}, importer.Options{Account: "alice"})
	wantError(t, err, "drive.csv", "none of its 2 rows is good")
	wantCounts(t, report.Counts, importer.Counts{Rows: 2, Bad: 2})
	wantFault(t, report.Faults[0], "drive.csv", 2, "another account or vehicle (so are 1 rows after it)")
}

func TestInvalidOptionsAreErrors(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.in(t, importer.KindTelemetry, text("t.csv", "time,value\n2026-01-01,1\n"), importer.Options{Device: "sensor"})
	sensor := h.list(t, devicev1.Kind_KIND_SENSOR)["sensor"]
	tests := []struct {
		name    string
		kind    importer.Kind
		options importer.Options
		code    errs.Code
		part    string
	}{
		{"a kind that there is not", "songs", importer.Options{}, errs.InvalidArgument, "trips"},
		{"trips of nobody", importer.KindTrips, importer.Options{}, errs.InvalidArgument, "name the owner of the trips"},
		{"water of nobody", importer.KindHydration, importer.Options{}, errs.InvalidArgument, "name the owner of the hydration"},
		{"an unknown identity", importer.KindTrips, importer.Options{Account: "carol"}, errs.InvalidArgument, "demo identities"},
		{"the id of something else", importer.KindTrips, importer.Options{Account: someDevice}, errs.InvalidArgument, "not of a account"},
		{"an account that there is not", importer.KindTrips, importer.Options{Account: someAccount}, errs.NotFound, someAccount},
		{"a device that there is not", importer.KindTelemetry, importer.Options{Device: someDevice}, errs.NotFound, someDevice},
		{"trips of a sensor", importer.KindTrips, importer.Options{Account: "bob", Device: sensor}, errs.InvalidArgument, "SENSOR"},
		{"no time zone", importer.KindTelemetry, importer.Options{TimeZone: "Mars/Olympus"}, errs.InvalidArgument, "Mars/Olympus"},
		{"the zone of whatever machine", importer.KindTelemetry, importer.Options{TimeZone: "Local"}, errs.InvalidArgument, "Local"},
		{"no date", importer.KindHydration, importer.Options{Account: "bob", Date: "28.3.2023"}, errs.InvalidArgument, "28.3.2023"},
		{"no source", importer.KindTelemetry, importer.Options{Source: "My Files"}, errs.InvalidArgument, "source"},
	}
	for _, tt := range tests {
		report, err := importer.Import(t.Context(), h.Services, tt.kind, []importer.File{text("f", "")}, tt.options)
		wantRefusal(t, err, tt.code, tt.part)
		if len(report.Files) > 0 {
			t.Errorf("%s: a file was read", tt.name)
		}
	}
}

func TestImportOfUnreadableFilesContinuesWithOthers(t *testing.T) {
	t.Parallel()
	h := build(t)
	files := []importer.File{
		importer.OnDisk("no such file.csv"), importer.OnDisk("."), text("empty.csv", ""), text("header.csv", "time,value\n"),
		text("bad.csv", "time,value\nnever,1\n"), text("columns.csv", "a,b\n1,2\n"), text("good.csv", "time,value\n2026-01-01,1\n"),
	}
	report, err := importer.Import(t.Context(), h.Services, importer.KindTelemetry, files, importer.Options{})
	wantError(t, err, "open no such file.csv", ". is a folder", "empty.csv: ", "the file is empty", "header.csv: there are no rows in it",
		"bad.csv: none of its 1 rows is good", "columns.csv: ", "no column for the time")
	wantCounts(t, report.Counts, importer.Counts{Rows: 2, Stored: 1, Bad: 1, Devices: 1})
	if len(report.Files) != len(files) {
		t.Errorf("%d files reported", len(report.Files))
	}
}

func TestImportWithFailingServiceEnds(t *testing.T) {
	t.Parallel()
	h := build(t)
	conn := nobody()
	h.Trips = importerrpc.New(conn, conn, conn, conn).Trips
	day := text("a.csv", "time,lat,lon\n2026-01-01 10:00,48,11\n")
	report, err := importer.Import(t.Context(), h.Services, importer.KindTrips, []importer.File{day, day}, importer.Options{Account: "bob"})
	wantRefusal(t, err, errs.Internal, "")
	wantError(t, err, "import a.csv")
	if len(report.Files) != 1 || report.Bad != 0 {
		t.Errorf("%+v", report)
	}
}

func TestImportWithCancelledContextEnds(t *testing.T) {
	t.Parallel()
	h := build(t)
	ctx, cancel := context.WithCancel(t.Context())
	progress := cancelling{cancel: cancel}
	_, err := importer.Import(ctx, h.Services, importer.KindTelemetry,
		[]importer.File{importer.In(testdata.Files, "telemetry/machine-temperature.csv")}, importer.Options{Progress: progress})
	wantRefusal(t, err, errs.Cancelled, "")
}

// cancelling cancels at the first byte that is read.
type cancelling struct{ cancel context.CancelFunc }

func (cancelling) Start(string, int64) {}
func (c cancelling) Add(int)           { c.cancel() }
func (cancelling) Finish()             {}

func TestDemoIdentitiesMatchSignIn(t *testing.T) {
	t.Parallel()
	toDevice, signedIn := build(t), build(t)
	file := text("w.json", `{"water":[{"amount":200,"logId":1}]}`)
	for _, code := range []string{"admin", "operator", "alice", "bob"} {
		toDevice.in(t, importer.KindHydration, file, importer.Options{Account: code})
		login := &accountv1.LoginRequest{Provider: "DEMO", Code: code}
		got, err := toDevice.accounts.Login(t.Context(), login)
		if err != nil {
			t.Fatal(err)
		}
		want, err := signedIn.accounts.Login(t.Context(), login)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := got.GetAccount(), want.GetAccount(); a.GetRole() != b.GetRole() || a.GetName() != b.GetName() {
			t.Errorf("%s: %v, want %v", code, a, b)
		}
	}
}

func TestImportOfTripsByIDsUsesKnownAccountAndVehicle(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.in(t, importer.KindDevices, text("fleet.csv", "key,name,kind\n7,Van,vehicle\n"), importer.Options{})
	van := h.vehicles(t)["Van"]
	options := importer.Options{Account: h.account(t, "alice"), Device: van}
	report := h.in(t, importer.KindTrips, text("a.csv", "time,lat,lon\n2026-01-01 10:00,48,11\n"), options)
	wantCounts(t, report.Counts, importer.Counts{Rows: 1, Stored: 1, Trips: 1})
	if trips := h.tripsOf(t, van); len(trips) != 1 || trips[0].GetAccountId() != options.Account || trips[0].GetStatus() != tripv1.Status_STATUS_FINISHED {
		t.Errorf("%v", trips)
	}
}

// long is a file of n fixes in turns of 20 trips, one of them without a latitude and every 10,000th too short.
func long(n int) *madeFile {
	return &madeFile{head: "trip,time,lat,lon\n", rows: n, row: func(out *bytes.Buffer, i int) {
		switch {
		case i == 77:
			fmt.Fprintf(out, "%d,%d,NaN,11.5\n", i%20, 1767225600+i)
		case i%10_000 == 9_999:
			fmt.Fprintf(out, "%d,%d\n", i%20, 1767225600+i)
		default:
			fmt.Fprintf(out, "%d,%d,%.5f,11.5\n", i%20, 1767225600+i, 48+float64(i)*1e-6)
		}
	}}
}

// It runs alone, as it measures the heap.
func TestImportOfLongFileStreams(t *testing.T) {
	const rows, bad = 100_000, 11
	h := build(t)
	heap := &heapWatch{}
	report, err := importer.Import(t.Context(), h.Services, importer.KindTrips,
		[]importer.File{of("long.csv", func() fs.File { return long(rows) })}, importer.Options{Account: "bob", Progress: heap})
	if err != nil {
		t.Fatal(err)
	}
	wantCounts(t, report.Counts, importer.Counts{Rows: rows, Stored: rows - bad, Bad: bad, Trips: 20, Devices: 1})
	wantFault(t, report.Faults[0], "long.csv", 79, "latitude is NaN")
	wantFault(t, report.Faults[1], "long.csv", 10_001, "2 fields")
	t.Logf("the live heap grew by %d KiB at most", heap.grown()>>10)
	if heap.grown() > 8<<20 { // all the fixes at once would take twice as much
		t.Errorf("the live heap grew by %d bytes", heap.grown())
	}
}
