package activity

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
)

func noon() time.Time { return time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC) }

func pointer[T any](v T) *T { return &v }

func water(ml float64) Activity {
	return Activity{Kind: Hydration, Title: "Water", Amount: &ml, Unit: "ml"}
}

func TestMissingFieldsGetDefaults(t *testing.T) {
	t.Parallel()
	ended := noon().Add(time.Hour + 999).In(time.FixedZone("there", 3600))
	input := Activity{
		Kind: Note, Title: "A note", EndedAt: &ended, Links: []Link{},
		Position: &Position{Latitude: math.Copysign(0, -1)}, Sky: &Sky{Declination: math.Copysign(0, -1)},
	}
	got, err := input.checked(noon())
	if err != nil {
		t.Fatal(err)
	}
	want := Activity{
		Kind: Note, Title: "A note", Source: "api", StartedAt: noon(), EndedAt: pointer(noon().Add(time.Hour)),
		Position: &Position{At: noon()}, Sky: &Sky{Epoch: "J2000"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if math.Signbit(got.Position.Latitude) || math.Signbit(got.Sky.Declination) {
		t.Error("a zero is negative")
	}
	if input.Position.At != (time.Time{}) || input.Sky.Epoch != "" || input.EndedAt != &ended {
		t.Errorf("the input has changed: %+v", input)
	}
}

func TestValidInputIsAccepted(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Activity){
		"longest title":     func(a *Activity) { a.Title = strings.Repeat("ü", 500) },
		"longest content":   func(a *Activity) { a.Content = strings.Repeat("ü\n", 10_000) },
		"longest source":    func(a *Activity) { a.Source = strings.Repeat("a.-_9", 20) },
		"ends as it starts": func(a *Activity) { a.StartedAt, a.EndedAt = noon(), pointer(noon()) },
		"no amount":         func(a *Activity) { a.Unit = strings.Repeat("µ", 20) },
		"negative amount":   func(a *Activity) { a.Amount = pointer(-1e300) },
		"least water":       func(a *Activity) { *a = water(5e-324) },
		"most water":        func(a *Activity) { *a = water(10_000) },
		"corners of Earth":  func(a *Activity) { a.Position = &Position{Latitude: -90, Longitude: 180, Accuracy: pointer(0.0)} },
		"corners of the sky": func(a *Activity) {
			a.Sky = &Sky{RightAscension: math.Nextafter(360, 0), Declination: 90, Epoch: "J2023.25"}
		},
		"older epoch":  func(a *Activity) { a.Sky = &Sky{Epoch: "B1950"} },
		"links":        func(a *Activity) { a.Links = make20("HTTPS://example.org/?q=1#x") },
		"longest link": func(a *Activity) { a.Links = []Link{{URL: "http://e/" + strings.Repeat("a", 1_991)}} },
		"data":         func(a *Activity) { a.Data = `"` + strings.Repeat("x", 64<<10-2) + `"` },
		"references": func(a *Activity) {
			a.AccountID, a.DeviceID, a.TripID, a.JobID = ids.New(ids.Account), ids.New(ids.Device), ids.New(ids.Trip), ids.New(ids.Job)
		},
	} {
		a := Activity{Kind: Note, Title: "A note"}
		change(&a)
		if _, err := a.checked(noon()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func make20(url string) []Link {
	links := make([]Link, 20)
	for i := range links {
		links[i].URL = url
	}
	return links
}

func TestInvalidInputIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		field  string
		change func(*Activity)
	}{
		{"kind", func(a *Activity) { a.Kind = "" }},
		{"kind", func(a *Activity) { a.Kind = "PARTY" }},
		{"title", func(a *Activity) { a.Title = " " }},
		{"title", func(a *Activity) { a.Title = strings.Repeat("ü", 501) }},
		{"title", func(a *Activity) { a.Title = "two\nlines" }},
		{"title", func(a *Activity) { a.Title = "\xff" }},
		{"content", func(a *Activity) { a.Content = strings.Repeat("x", 20_001) }},
		{"content", func(a *Activity) { a.Content = "a\x00b" }},
		{"source", func(a *Activity) { a.Source = "Telescope" }},
		{"source", func(a *Activity) { a.Source = strings.Repeat("x", 101) }},
		{"externalId", func(a *Activity) { a.ExternalID = strings.Repeat("ü", 513) }},
		{"externalId", func(a *Activity) { a.ExternalID = "a\tb" }},
		{"startedAt", func(a *Activity) { a.StartedAt = time.Date(1899, 12, 31, 0, 0, 0, 0, time.UTC) }},
		{"endedAt", func(a *Activity) { a.EndedAt = pointer(time.Date(2201, 1, 1, 0, 0, 0, 0, time.UTC)) }},
		{"endedAt", func(a *Activity) { a.EndedAt = pointer(noon().Add(-time.Microsecond)) }},
		{"actor", func(a *Activity) { a.Actor = strings.Repeat("x", 201) }},
		{"observation.target", func(a *Activity) { a.Observation.Target = "\x07" }},
		{"amount", func(a *Activity) { a.Amount = pointer(math.NaN()) }},
		{"amount", func(a *Activity) { a.Amount = pointer(math.Inf(1)) }},
		{"unit", func(a *Activity) { a.Unit = strings.Repeat("x", 21) }},
		{"unit", func(a *Activity) { *a = water(1); a.Unit = "l" }},
		{"amount", func(a *Activity) { *a = water(0) }},
		{"amount", func(a *Activity) { *a = water(10_000.001) }},
		{"amount", func(a *Activity) { *a = water(1); a.Amount = nil }},
		{"position.latitude", func(a *Activity) { a.Position = &Position{Latitude: math.NaN()} }},
		{"position.longitude", func(a *Activity) { a.Position = &Position{Longitude: 180.1} }},
		{"position.accuracy", func(a *Activity) { a.Position = &Position{Accuracy: pointer(-1.0)} }},
		{"position.at", func(a *Activity) { a.Position = &Position{At: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)} }},
		{"position.place", func(a *Activity) { a.Position = &Position{Place: "\xff"} }},
		{"sky.rightAscension", func(a *Activity) { a.Sky = &Sky{RightAscension: 360} }},
		{"sky.rightAscension", func(a *Activity) { a.Sky = &Sky{RightAscension: math.NaN()} }},
		{"sky.declination", func(a *Activity) { a.Sky = &Sky{Declination: -90.0001} }},
		{"sky.epoch", func(a *Activity) { a.Sky = &Sky{Epoch: "2000"} }},
		{"links", func(a *Activity) { a.Links = append(make20("http://e"), Link{URL: "http://e"}) }},
		{"links[0].url", func(a *Activity) { a.Links = []Link{{}} }},
		{"links[0].url", func(a *Activity) { a.Links = []Link{{URL: "javascript://example.org/%0aalert(1)"}} }},
		{"links[0].url", func(a *Activity) { a.Links = []Link{{URL: "https:example.org"}} }},
		{"links[0].url", func(a *Activity) { a.Links = []Link{{URL: "http://e/" + strings.Repeat("a", 1_992)}} }},
		{"links[1].title", func(a *Activity) { a.Links = []Link{{URL: "http://e"}, {URL: "http://e", Title: "\n"}} }},
		{"data", func(a *Activity) { a.Data = `{"a":}` }},
		{"data", func(a *Activity) { a.Data = "\"\xff\"" }},
		{"data", func(a *Activity) { a.Data = `"` + strings.Repeat("x", 64<<10-1) + `"` }},
		{"accountId", func(a *Activity) { a.AccountID = "me" }},
		{"deviceId", func(a *Activity) { a.DeviceID = ids.New(ids.Trip) }},
		{"tripId", func(a *Activity) { a.TripID = ids.New(ids.Device) }},
		{"jobId", func(a *Activity) { a.JobID = "job_" }},
	} {
		a := Activity{Kind: Note, Title: "A note"}
		tt.change(&a)
		_, err := a.checked(noon())
		e := errs.From(err)
		if err == nil || e.Code != errs.InvalidArgument || !strings.HasPrefix(e.Message, tt.field+": ") {
			t.Errorf("%s: %v", tt.field, err)
		}
	}
}

func TestInvalidFilterIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		field  string
		filter Filter
	}{
		{"filter.kinds", Filter{Kinds: []Kind{Note, ""}}},
		{"filter.sources", Filter{Sources: []string{"a\x00"}}},
		{"filter.sources", Filter{Sources: make([]string, 101)}},
		{"filter.startedFrom", Filter{StartedFrom: &time.Time{}}},
		{"filter.startedBefore", Filter{StartedBefore: pointer(time.Date(2201, 1, 1, 0, 0, 0, 0, time.UTC))}},
		{"filter.actor", Filter{Actor: "\x00"}},
		{"filter.status", Filter{Status: "\xff"}},
		{"filter.cone.rightAscension", Filter{Cone: &Cone{RightAscension: -0.1, Radius: 1}}},
		{"filter.cone.declination", Filter{Cone: &Cone{Declination: math.NaN(), Radius: 1}}},
		{"filter.cone.radius", Filter{Cone: &Cone{}}},
		{"filter.cone.radius", Filter{Cone: &Cone{Radius: 180.001}}},
		{"filter.cone.radius", Filter{Cone: &Cone{Radius: math.NaN()}}},
		{"filter.accountId", Filter{AccountID: "x"}},
		{"filter.deviceId", Filter{DeviceID: ids.New(ids.Account)}},
	} {
		err := tt.filter.check()
		e := errs.From(err)
		if err == nil || e.Code != errs.InvalidArgument || !strings.HasPrefix(e.Message, tt.field+": ") {
			t.Errorf("%s: %v", tt.field, err)
		}
	}
}

func TestListOfLargeActivitiesFitsOneMessage(t *testing.T) {
	t.Parallel()
	large := Activity{Content: strings.Repeat("x", 80_000)}
	for _, tt := range []struct{ of, want int }{{0, 0}, {1, 1}, {103, 103}, {104, 103}, {1_000, 103}} {
		all := make([]Activity, tt.of)
		for i := range all {
			all[i] = large
		}
		if got := fitsResponse(all); got != tt.want {
			t.Errorf("%d of %d fit, want %d", got, tt.of, tt.want)
		}
	}
	if got := fitsResponse([]Activity{{Data: strings.Repeat("x", maxResponse)}, {}}); got != 1 {
		t.Errorf("%d fit where the first is too large", got)
	}
}
