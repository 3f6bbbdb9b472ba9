package gpx

import (
	"fmt"
	"iter"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/readtest"
)

func TestVisnjanDriveYieldsAllFixes(t *testing.T) {
	t.Parallel()
	fixes := readGood(t, readtest.Data(t, "trips/around-visnjan-with-car.gpx"))
	if len(fixes) != 104 {
		t.Fatalf("%d fixes, want 104", len(fixes))
	}
	km := 0.0
	for i := 1; i < len(fixes); i++ {
		km += metres(fixes[i-1], fixes[i]) / 1000
	}
	if math.Abs(km-2.733) > 0.0005 {
		t.Errorf("%.4f km, want 2.733", km)
	}
	first := fixes[0]
	if want := time.Date(2020, 12, 18, 6, 15, 50, 0, time.UTC); !first.At.Equal(want) {
		t.Errorf("the first fix is of %v, want %v", first.At, want)
	}
	if first.Trip != "1: 2020-12-18 07:24:29" || first.Latitude != 45.2735188510 || first.Longitude != 13.7142099626 {
		t.Errorf("the first fix is %+v", first)
	}
}

func TestTracksAreTripsAndSegmentsArePauses(t *testing.T) {
	t.Parallel()
	fixes := readGood(t, `<?xml version="1.0"?>
<g:gpx xmlns:g="http://www.topografix.com/GPX/1/1" xmlns:x="urn:x" version="1.1">
<g:trk><g:name>out</g:name>
<g:trkseg><g:trkpt lat="1" lon="1"><g:time>2024-01-01T00:00:00Z</g:time>
<g:extensions><x:time>1999-01-01T00:00:00Z</x:time></g:extensions></g:trkpt></g:trkseg>
<g:trkseg/>
<g:trkseg><g:trkpt lat="2" lon="1"><g:time>2024-01-01T00:01:00+01:00</g:time></g:trkpt>
<g:trkpt lat="3" lon="1"><g:time>2024-01-01T02:00:00Z</g:time></g:trkpt></g:trkseg></g:trk>
<g:trk><g:trkseg><g:trkpt lat="4" lon="1"><g:time>2024-01-01T03:00:00.5Z</g:time></g:trkpt></g:trkseg></g:trk>
</g:gpx>`)
	var got []string
	for _, f := range fixes {
		got = append(got, fmt.Sprint(f.Trip, f.StartsSegment, f.Latitude, f.At.Format("15:04:05.9"), f.Line))
	}
	want := "1: out false 1 00:00:00 4|1: out true 2 23:01:00 7|1: out false 3 02:00:00 8|2 false 4 03:00:00.5 9"
	if g := strings.Join(got, "|"); strings.ReplaceAll(g, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got  %s\nwant %s", g, want)
	}
}

func TestPointsWithoutTimeAreInterpolated(t *testing.T) {
	t.Parallel()
	const at = "2024-01-01T00:00:"
	point := func(lat float64, second string) string {
		if second == "" {
			return fmt.Sprintf("<trkpt lat=\"%g\" lon=\"0\"/>\n", lat)
		}
		return fmt.Sprintf("<trkpt lat=\"%g\" lon=\"0\"><time>%s%sZ</time></trkpt>\n", lat, at, second)
	}
	gpx := func(head string, points ...string) string {
		return "<gpx>" + head + "<trk><trkseg>\n" + strings.Join(points, "") + "</trkseg></trk></gpx>"
	}
	metadata := "<metadata><time>2024-01-01T00:00:30Z</time></metadata>"
	tests := []struct {
		name, file string
		start      time.Time
		want       []float64 // seconds after at
		faults     []recordings.Fault
	}{
		{"by the share of the way", gpx("", point(0, "00"), point(0.3, ""), point(0.4, ""), point(1, "10")), time.Time{}, []float64{0, 3, 4, 10}, nil},
		{"by number where nothing moves", gpx("", point(1, "00"), point(1, ""), point(1, "10")), time.Time{}, []float64{0, 5, 10}, nil},
		{"before the first known", gpx(metadata, point(0, ""), point(0, ""), point(1, "00")), time.Time{}, []float64{0}, []recordings.Fault{{Line: 2, Reason: "2 points without a time"}}},
		{"after the last known", gpx("", point(0, "00"), point(0, "")), time.Time{}, []float64{0}, []recordings.Fault{{Line: 3, Reason: "1 points without a time after the last"}}},
		{"none, and metadata", gpx(metadata, point(0, ""), point(0.001, "")), time.Time{}, []float64{30, 41.11951}, nil},
		{"none, and GPX 1.0 time", gpx("<time>2024-01-01T00:00:30Z</time>", point(0, ""), point(0.001, "")), time.Time{}, []float64{30, 41.11951}, nil},
		{"none, and the caller's start", gpx(metadata, point(0, "")), time.Date(2024, 1, 1, 0, 0, 7, 0, time.UTC), []float64{7}, nil},
		{"none at all", gpx("", point(0, ""), point(1, "")), time.Time{}, nil, []recordings.Fault{{Line: 2, Reason: "none of the 2 points has a time"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fixes, faults, fatal := readtest.All(t, Fixes(strings.NewReader(tt.file), recordings.Options{Start: tt.start}))
			if fatal != nil || len(fixes) != len(tt.want) {
				t.Fatalf("fixes %v, error %v", fixes, fatal)
			}
			for i, want := range tt.want {
				got := fixes[i].At.Sub(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).Seconds()
				if math.Abs(got-want) > 1e-4 {
					t.Errorf("fix %d at %v s, want %v", i, got, want)
				}
			}
			readtest.RequireFaults(t, faults, tt.faults...)
		})
	}
}

func TestTooManyPointsWithoutTime(t *testing.T) {
	t.Parallel()
	untimed := func(int) string { return `<trkpt lat="1" lon="1"/>` }
	timed := `<trkpt lat="1" lon="1"><time>2024-01-01T00:00:00Z</time></trkpt>`
	file := readtest.Stream("<gpx><trk><trkseg>"+timed, 2*maxWaiting, untimed, "</trkseg><trkseg/>"+timed+"</trk></gpx>")
	fixes, faults, fatal := readtest.All(t, Fixes(file, recordings.Options{}))
	if fatal != nil || len(fixes) != 1 {
		t.Fatalf("%d fixes, error %v", len(fixes), fatal)
	}
	readtest.RequireFaults(t, faults, recordings.Fault{Line: 1, Reason: "20000 points"})
}

func TestInvalidPointsAreFaultsByLine(t *testing.T) {
	t.Parallel()
	const time = "<time>2024-01-01T00:00:00Z</time>"
	file := "<gpx><trk><trkseg>\n" +
		`<trkpt lon="1">` + time + "</trkpt>\n" +
		`<trkpt lat="NaN" lon="1">` + time + "</trkpt>\n" +
		`<trkpt lat="1" lon="-Inf">` + time + "</trkpt>\n" +
		`<trkpt lat="90.01" lon="1">` + time + "</trkpt>\n" +
		`<trkpt lat="1" lon="181">` + time + "</trkpt>\n" +
		`<trkpt lat="1" lon="east">` + time + "</trkpt>\n" +
		`<trkpt lat="1" lon="1"><time>yesterday</time></trkpt>` + "\n" +
		`<trkpt lat="1" lon="1">` + time + "</trkpt></trkseg></trk></gpx>"
	fixes, faults, fatal := readtest.All(t, Fixes(strings.NewReader(file), recordings.Options{}))
	if fatal != nil || len(fixes) != 1 {
		t.Fatalf("fixes %v, error %v", fixes, fatal)
	}
	readtest.RequireFaults(t, faults,
		recordings.Fault{Line: 2, Reason: "latitude is missing"},
		recordings.Fault{Line: 3, Reason: "latitude is NaN"},
		recordings.Fault{Line: 4, Reason: "longitude \"-Inf\" is not finite"},
		recordings.Fault{Line: 5, Reason: "latitude \"90.01\" is outside"},
		recordings.Fault{Line: 6, Reason: "longitude \"181\" is outside"},
		recordings.Fault{Line: 7, Reason: "longitude \"east\" is not a number"},
		recordings.Fault{Line: 8, Reason: "point 7: time \"yesterday\""},
	)
}

func TestTruncatedFileYieldsPointsBeforeError(t *testing.T) {
	t.Parallel()
	whole := readtest.Data(t, "trips/around-visnjan-with-car.gpx")
	half := strings.ReplaceAll(whole[:len(whole)/2], "<trkpt", "\n<trkpt")
	fixes, faults, fatal := readtest.All(t, Fixes(strings.NewReader(half), recordings.Options{}))
	if len(fixes) < 40 || len(faults) > 0 {
		t.Errorf("%d fixes, faults %v", len(fixes), faults)
	}
	readtest.RequireError(t, fatal, fmt.Sprintf("unexpected end of file at line %d", 1+strings.Count(half, "\n")))
}

func TestUnreadableFilesAreErrors(t *testing.T) {
	t.Parallel()
	deep := "<gpx>" + strings.Repeat("<a>", 100)
	tests := []struct{ name, file, want string }{
		{"empty", "", "empty"},
		{"only a prolog", `<?xml version="1.0"?>`, "unexpected end of file at line 1"},
		{"another format", "<kml></kml>", "<kml>, not <gpx>"},
		{"no track", "<gpx><rte/><wpt/></gpx>", "no track (<trk>), only 2 routes"},
		{"broken", "<gpx>\n<trk></gpx>", "line 2: element <trk> closed by </gpx>"},
		{"nested", deep, "nested more than 64 deep"},
		{"one endless element", "<gpx><trk><name>" + strings.Repeat("x", 2<<20), "more than 1048576 bytes"},
		{"unknown entity", "<gpx><trk>\n<name>&e;</name></trk></gpx>", "line 2: invalid character entity &e;"},
		{"UTF-16", "\xff\xfe<\x00g\x00", "UTF-16"},
		{"unknown encoding", `<?xml version="1.0" encoding="EBCDIC"?><gpx/>`, "save the file as UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, fatal := readtest.All(t, Fixes(strings.NewReader(tt.file), recordings.Options{}))
			readtest.RequireError(t, fatal, tt.want)
		})
	}
}

func TestEntitiesAreNotExpanded(t *testing.T) {
	t.Parallel()
	const body = `<gpx><trk><name>&b;</name><trkseg/></trk></gpx>`
	for _, declared := range []string{
		`<!DOCTYPE gpx [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>`,
		`<!DOCTYPE gpx [<!ENTITY b SYSTEM "file:///etc/passwd">]>`,
	} {
		fixes, _, fatal := readtest.All(t, Fixes(strings.NewReader(declared+body), recordings.Options{}))
		if len(fixes) > 0 {
			t.Errorf("fixes %v", fixes)
		}
		readtest.RequireError(t, fatal, "invalid character entity &b;")
	}
}

func TestLatin1IsDecoded(t *testing.T) {
	t.Parallel()
	fixes := readGood(t, "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><gpx><trk><name>M\xfcnchen</name><trkseg>\n"+
		`<trkpt lat="1" lon="1"><time>2024-01-01T00:00:00Z</time></trkpt></trkseg></trk></gpx>`)
	if fixes[0].Trip != "1: München" || fixes[0].Line != 2 {
		t.Errorf("fix %+v", fixes[0])
	}
}

func TestLongTrackStreams(t *testing.T) {
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	readtest.RequireConstantMemory(t, func(n int) iter.Seq2[recordings.Fix, error] {
		return Fixes(readtest.Stream("<gpx><trk><trkseg>", n, func(i int) string {
			return fmt.Sprintf("<trkpt lat=\"%f\" lon=\"1\"><time>%s</time></trkpt>\n",
				float64(i)/1e6, start.Add(time.Duration(i)*time.Second).Format(time.RFC3339))
		}, "</trkseg></trk></gpx>"), recordings.Options{})
	})
}

func TestReaderStopsWithCaller(t *testing.T) {
	t.Parallel()
	for range Fixes(strings.NewReader(readtest.Data(t, "trips/around-visnjan-with-car.gpx")), recordings.Options{}) {
		return // a yield after this would panic
	}
}

func FuzzGPX(f *testing.F) {
	whole := readtest.Data(f, "trips/around-visnjan-with-car.gpx")
	f.Add(whole[:1500] + "</trkseg></trk></gpx>")
	f.Add(whole[:1200])
	f.Add(`<gpx><time>2024-01-01T00:00:00Z</time><trk><trkseg><trkpt lat="1" lon="1"/><trkpt lat="2" lon="1"/></trkseg></trk></gpx>`)
	f.Add("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><gpx><trk><name>\xfc</name></trk></gpx>")
	f.Fuzz(func(t *testing.T, file string) {
		fixes, _, _ := readtest.All(t, Fixes(strings.NewReader(file), recordings.Options{}))
		for _, fix := range fixes {
			readtest.RequireValid(t, fix)
		}
	})
}

func readGood(t *testing.T, file string) []recordings.Fix {
	t.Helper()
	return readtest.MustRead(t, Fixes(strings.NewReader(file), recordings.Options{}))
}
