package sls

import (
	"fmt"
	"iter"
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/readtest"
)

const night = "activities/telescope-schedule-2023-03-28.sls"

func TestScheduleOfNightYieldsAllObservations(t *testing.T) {
	t.Parallel()
	observations := readtest.MustRead(t, read(readtest.Data(t, night)))
	statuses, keys := map[string]int{}, map[string]bool{}
	for _, o := range observations {
		statuses[o.Status]++
		keys[o.Key] = true
		if o.RightAscension == nil || o.Epoch != "J2000" || !o.End.After(o.Start) {
			t.Errorf("%+v", o)
		}
	}
	if len(observations) != 301 || len(keys) != 301 || statuses["DONE"] != 291 || statuses["FAILED"] != 10 {
		t.Errorf("%d observations with %d keys: %v", len(observations), len(keys), statuses)
	}
}

func TestObservationHasAllFields(t *testing.T) {
	t.Parallel()
	observations := readtest.MustRead(t, read(readtest.Data(t, night)))
	got := observations[0]
	start := time.Date(2023, 3, 28, 2, 38, 42, 0, time.UTC)
	if got.Title != "Horsehead Nebula R" || got.Target != "Barnard 33" || got.Instrument != "R" ||
		got.Programme != "cas85.sch" || got.Observer != "observer-22ddcf87" || got.Status != "DONE" || got.Line != 1 {
		t.Errorf("%+v", got)
	}
	if !got.Start.Equal(start) || got.End.Sub(start) != time.Minute {
		t.Errorf("from %v to %v", got.Start, got.End)
	}
	wantSky(t, got, 85.245833, -2.458333)
	want := map[string]string{
		"lstdelta_mins": "360", "raoffset": "00:00:00.0", "dec_offset": "00:00:00.0", "frame_position": "0+0",
		"frame_size": "4096x4096", "binning": "1x1", "duration_secs": "60", "shutter": "Open", "ccdcalib": "CATALOG",
		"cmosmode": "3", "priority": "10", "pathname": "/usr/local/telescope/user/images/cas08700.fts",
	}
	if !maps.Equal(got.Fields, want) {
		t.Errorf("fields %v", got.Fields)
	}
	wantSky(t, observations[5], 83.633333, 22.013333) // "05 34 32,+22 00.8"
}

func TestSchedulesOfOldVersionsAreRead(t *testing.T) {
	t.Parallel()
	file := edit("Start JD: 2460031.61021 (2023/3/28 02:38:42 UTC)", "start JD: 2457137.62014 ( 4/25/2015  2:53 UTC)",
		"Barnard 33,f,05:40:59,-02:27:30,0.00,2000,0", "Jupiter,P", "status: D", "status: N", "60\n", "0.5   \r\n")
	got := readtest.MustRead(t, read(file))[0]
	if want := time.Date(2015, 4, 25, 2, 53, 0, 0, time.UTC); !got.Start.Equal(want) || got.End.Sub(want) != time.Second/2 {
		t.Errorf("from %v to %v", got.Start, got.End)
	}
	if got.Status != "NEW" || got.Target != "Jupiter" || got.RightAscension != nil || got.Epoch != "" {
		t.Errorf("%+v", got)
	}
}

func TestKeyIsIndependentOfStatus(t *testing.T) {
	t.Parallel()
	before := readtest.MustRead(t, read(edit("status: D", "status: N")))[0]
	after := readtest.MustRead(t, read(edit()))[0]
	other := readtest.MustRead(t, read(edit("filter: R", "filter: G")))[0]
	if before.Key != after.Key || after.Key == other.Key {
		t.Errorf("keys %s before, %s after, %s through another filter", before.Key, after.Key, other.Key)
	}
}

func TestInvalidRecordsAreFaultsByLine(t *testing.T) {
	t.Parallel()
	const start, edb = "2460031.61021 (2023/3/28 02:38:42 UTC)", "Barnard 33,f,05:40:59,-02:27:30,0.00,2000,0"
	tests := []struct {
		name, was, is string
		line          int
		want          string
	}{
		{"no status", "status: D", "status:", 3, "status is missing"},
		{"no date", start, "tomorrow", 3, `start JD "tomorrow" is not`},
		{"the dates differ", start, "2460031.61021 (2023/3/28 02:39:42 UTC)", 3, "not 2023-03-28 02:39:42 as printed"},
		{"another century", start, "1.5", 3, "further than 100 years"},
		{"two points", start, "2460031.6.1", 3, "is not a number"},
		{"duration", "60\n", "NaN\n", 3, "duration is NaN"},
		{"negative duration", "60\n", "-1\n", 3, "duration -1 is outside"},
		{"no duration", "duration, secs", "length", 3, "duration is missing"},
		{"no target", edb, "", 3, "names no target"},
		{"no coordinates", edb, "M1,f", 3, "has no coordinates"},
		{"right ascension", edb, "M1,f,24:00:00,0", 3, "right ascension \"24:00:00\" is outside"},
		{"declination", edb, "M1,f,1,-90:00:01", 3, "declination \"-90:00:01\" is outside"},
		{"minutes", edb, "M1,f,1:60,0", 3, "minutes or seconds outside"},
		{"sign", edb, "M1,f,1,--1", 3, "is not degrees"},
		{"epoch", edb, "M1,f,1,1,0,soon", 3, "epoch \"soon\""},
		{"not a line of a record", "12           binning: 1x1", "rubbish", 15, "number label: value"},
		{"a line twice", "12           binning", "12           shutter", 17, `"shutter" twice`},
		{"not UTF-8", "Horsehead", "\xff", 7, "title"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			good, faults, fatal := readtest.All(t, read("\n\n"+edit(tt.was, tt.is)+edit()))
			if fatal != nil || len(good) != 1 || good[0].Line != 25 {
				t.Fatalf("observations %+v, error %v", good, fatal)
			}
			readtest.RequireFaults(t, faults, recordings.Fault{Line: tt.line, Reason: tt.want})
		})
	}
}

func TestOtherFilesAreNoSchedule(t *testing.T) {
	t.Parallel()
	_, _, fatal := readtest.All(t, read(""))
	readtest.RequireError(t, fatal, "empty")
	_, faults, fatal := readtest.All(t, read("a\n1 title: x\n"))
	readtest.RequireError(t, fatal, "no telescope schedule")
	readtest.RequireFaults(t, faults) // one error for the file, not one for each line
	good, faults, fatal := readtest.All(t, read("a\n1 title: x\n"+edit()))
	if len(good) != 1 || fatal != nil {
		t.Errorf("%d observations, %v", len(good), fatal)
	}
	readtest.RequireFaults(t, faults, recordings.Fault{Line: 1, Reason: "belongs to no record: “0 status:” begins one (so do 1 lines after it)"})
	_, _, fatal = readtest.All(t, read(edit()+strings.Repeat("x", 1<<17)))
	readtest.RequireError(t, fatal, "line 23 is longer")
}

func TestRecordWithTooManyLinesIsOneFault(t *testing.T) {
	t.Parallel()
	endless := readtest.Stream(edit(), 10_000, func(i int) string { return fmt.Sprintf("7 label%d: x\n", i) }, "")
	good, faults, fatal := readtest.All(t, Observations(endless, recordings.Options{}))
	if len(good) > 0 || fatal != nil {
		t.Errorf("%d observations, error %v", len(good), fatal)
	}
	readtest.RequireFaults(t, faults, recordings.Fault{Line: 258, Reason: "more than 256 lines"})
}

func FuzzSLS(f *testing.F) {
	f.Add(readtest.Data(f, night)[:2000])
	f.Add(edit("Start JD: 2460031.61021 (2023/3/28 02:38:42 UTC)", "start JD: 2457137.62014 ( 4/25/2015  2:53 UTC)"))
	f.Add(edit("Barnard 33,f,05:40:59,-02:27:30,0.00,2000,0", "hebe,f|M|x,8:03:43.77|1,+20 45.1|2,,1950"))
	f.Fuzz(func(t *testing.T, file string) {
		good, _, _ := readtest.All(t, read(file))
		for _, o := range good {
			if o.RightAscension != nil && !(*o.RightAscension >= 0 && *o.RightAscension < 360 && math.Abs(*o.Declination) <= 90) {
				t.Errorf("%+v", o)
			}
			if o.Status == "" || o.Key == "" || o.Target == "" || o.Start.IsZero() || o.End.Before(o.Start) {
				t.Errorf("%+v", o)
			}
		}
	})
}

func read(file string) iter.Seq2[recordings.Observation, error] {
	return Observations(strings.NewReader(file), recordings.Options{})
}

// edit is a record of the real schedule with parts of it replaced.
func edit(oldnew ...string) string {
	return strings.NewReplacer(oldnew...).Replace(` 0            status: D
 1          Start JD: 2460031.61021 (2023/3/28 02:38:42 UTC)
 2    lstdelta, mins: 360
 3           schedfn: cas85.sch
 4             title: Horsehead Nebula R
 5          observer: observer-22ddcf87
 6           comment: None
 7               EDB: Barnard 33,f,05:40:59,-02:27:30,0.00,2000,0
 8          RAOffset: 00:00:00.0
 9         DecOffset: 00:00:00.0
10    frame position: 0+0
11        frame size: 4096x4096
12           binning: 1x1
13    duration, secs: 60
14           shutter: Open
15          ccdcalib: CATALOG
16            filter: R
17          cmosmode: 3
18       Positioning: None
19  Ext. Act. Values: 
20          priority: 10
21          pathname: /usr/local/telescope/user/images/cas08700.fts
`)
}

func wantSky(t *testing.T, o recordings.Observation, rightAscension, declination float64) {
	t.Helper()
	if math.Abs(*o.RightAscension-rightAscension) > 1e-6 || math.Abs(*o.Declination-declination) > 1e-6 {
		t.Errorf("%s is at %f, %f, want %f, %f", o.Target, *o.RightAscension, *o.Declination, rightAscension, declination)
	}
}
