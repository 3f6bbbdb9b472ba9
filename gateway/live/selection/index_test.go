package selection

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff"
	bffentity "github.com/sluicehq/sluice/bff/entity"
	"github.com/sluicehq/sluice/internal/entity"
)

func text(s string) *string { return &s }

// cases are all arguments of filters, each with an event that the filter selects and one that it does not.
var cases = map[string]struct {
	topic   bff.Topic
	yes, no bff.Node
}{
	"kind":        {ofActivity(bff.ActivityFilter{Kinds: []bff.ActivityKind{"NOTE", "JOB"}}), &bff.Activity{Kind: "NOTE"}, &bff.Activity{Kind: "TRIP"}},
	"source":      {ofActivity(bff.ActivityFilter{Sources: []string{"a", "b"}}), &bff.Activity{Source: "b"}, &bff.Activity{Source: "B"}},
	"telescope":   {ofActivity(bff.ActivityFilter{Telescope: text("Keck I")}), seen(bff.Observation{Telescope: text("KECK i")}), seen(bff.Observation{Telescope: text("Keck II")})},
	"instrument":  {ofActivity(bff.ActivityFilter{Instrument: text("HIRES")}), seen(bff.Observation{Instrument: text("hires")}), &bff.Activity{}},
	"programme":   {ofActivity(bff.ActivityFilter{Programme: text("p")}), seen(bff.Observation{Programme: text("P")}), seen(bff.Observation{})},
	"observer":    {ofActivity(bff.ActivityFilter{Observer: text("o"), Telescope: text("t")}), seen(bff.Observation{Observer: text("o"), Telescope: text("t")}), seen(bff.Observation{Observer: text("o")})},
	"device":      {ofActivity(bff.ActivityFilter{DeviceID: text("d")}), &bff.Activity{DeviceID: "d"}, &bff.Activity{}},
	"cone":        {ofActivity(bff.ActivityFilter{Cone: &bff.ConeInput{RightAscension: 359.5, Declination: 10, Radius: 1}}), at(0.4, 10), at(1.5, 10)},
	"wide cone":   {ofActivity(bff.ActivityFilter{Cone: &bff.ConeInput{RightAscension: 0, Declination: 85, Radius: 10}}), at(180, 86), at(180, 84)},
	"epoch":       {ofActivity(bff.ActivityFilter{Cone: &bff.ConeInput{RightAscension: 10, Declination: 10, Radius: 1}}), at(10, 10), &bff.Activity{Sky: &bff.SkyCoordinates{RightAscension: 10, Declination: 10, Epoch: "B1950"}}},
	"from":        {ofActivity(bff.ActivityFilter{StartedFrom: moment(5)}), &bff.Activity{StartedAt: *moment(5)}, &bff.Activity{StartedAt: *moment(4)}},
	"before":      {ofActivity(bff.ActivityFilter{StartedBefore: moment(5)}), &bff.Activity{StartedAt: *moment(4)}, &bff.Activity{StartedAt: *moment(5)}},
	"device kind": {ofDevice(bff.DeviceFilter{Kinds: []bff.DeviceKind{"CAMERA"}}), &bff.Device{Kind: "CAMERA"}, &bff.Device{Kind: "SENSOR"}},
	"presence":    {ofDevice(bff.DeviceFilter{Presences: []bff.Presence{"ONLINE"}}), &bff.Device{Presence: "ONLINE"}, &bff.Device{Presence: "UNKNOWN"}},
	"labels":      {ofDevice(bff.DeviceFilter{Labels: bff.JSON(`{"a":"1","b":"2"}`)}), &bff.Device{Labels: map[string]string{"c": "3", "b": "2", "a": "1"}}, &bff.Device{Labels: map[string]string{"a": "1"}}},
	"name":        {ofDevice(bff.DeviceFilter{NameContains: text("Bike")}), &bff.Device{Name: "my bike"}, &bff.Device{Name: "car"}},
	"trip":        {bff.Topic{Entity: entity.Trip, ID: "t"}, &bff.Trip{ID: "t"}, &bff.Trip{ID: "u"}},
	"command":     {bff.Topic{Entity: entity.LogLine, ID: "c"}, &bff.LogLine{CommandID: "c"}, &bff.LogLine{CommandID: "d"}},
	"job":         {bff.Topic{Entity: entity.Job, Filter: &bff.JobFilter{Statuses: []bff.JobStatus{"FAILED"}, Kinds: []string{"log"}, DeviceID: text("d")}}, &bff.Job{Status: "FAILED", Kind: "log", DeviceID: "d"}, &bff.Job{Status: "FAILED", Kind: "log"}},
}

func ofActivity(f bff.ActivityFilter) bff.Topic {
	return bff.Topic{Entity: entity.Activity, Filter: &f}
}

func ofDevice(f bff.DeviceFilter) bff.Topic { return bff.Topic{Entity: entity.Device, Filter: &f} }

func seen(o bff.Observation) *bff.Activity { return &bff.Activity{Observation: &o} }

func at(rightAscension, declination float64) *bff.Activity {
	return &bff.Activity{Sky: &bff.SkyCoordinates{RightAscension: rightAscension, Declination: declination, Epoch: "J2000"}}
}

func moment(second int64) *time.Time {
	at := time.Unix(second, 0)
	return &at
}

func TestIndexFindsSelectionOfEachFilter(t *testing.T) {
	t.Parallel()
	for name, c := range cases {
		f, err := bffentity.Select(c.topic)
		if err != nil {
			t.Fatal(err)
		}
		x := NewIndex[string]()
		x.Add(f, name)
		for node, want := range map[bff.Node]int{c.yes: 1, c.no: 0} {
			found := 0
			x.Each(&bff.Event{Entity: c.topic.Entity, Node: node}, func(string) { found++ })
			if found != want {
				t.Errorf("%s: %d groups for %+v, want %d", name, found, node, want)
			}
		}
		x.Remove(f, name)
		x.All(func(string) { t.Errorf("%s: a group is left", name) })
	}
}

// The cost of an event grows with the groups that it concerns, not with all that there are.
func TestIndexChecksOnlySelectionsWithAKeyOfTheEvent(t *testing.T) {
	t.Parallel()
	x := NewIndex[int]()
	looked := 0
	for i := range 2000 {
		f, err := bffentity.Select(ofActivity(bff.ActivityFilter{Telescope: text(fmt.Sprint("t", i)), Kinds: []bff.ActivityKind{"OBSERVATION"}}))
		if err != nil {
			t.Fatal(err)
		}
		f.Conditions = append(f.Conditions, func(bff.Node) bool { looked++; return true })
		x.Add(f, i)
	}
	e := &bff.Event{Entity: entity.Activity, Node: &bff.Activity{Kind: "OBSERVATION", Observation: &bff.Observation{Telescope: text("T7")}}}
	found := 0
	x.Each(e, func(int) { found++ })
	if found != 1 || looked != 1 {
		t.Errorf("%d found, %d looked at", found, looked)
	}
}

// An empty list in a filter is one of none.
func TestEmptyListSelectsNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		topic bff.Topic
		node  bff.Node
	}{
		{ofActivity(bff.ActivityFilter{Kinds: []bff.ActivityKind{}}), &bff.Activity{Kind: "NOTE"}},
		{ofActivity(bff.ActivityFilter{Sources: []string{}, Telescope: text("t")}), seen(bff.Observation{Telescope: text("t")})},
		{ofDevice(bff.DeviceFilter{Kinds: []bff.DeviceKind{}}), &bff.Device{Kind: "CAMERA"}},
		{ofDevice(bff.DeviceFilter{Presences: []bff.Presence{}}), &bff.Device{Presence: "ONLINE"}},
		{bff.Topic{Entity: entity.Job, Filter: &bff.JobFilter{Statuses: []bff.JobStatus{}}}, &bff.Job{}},
		{bff.Topic{Entity: entity.Job, Filter: &bff.JobFilter{Kinds: []string{}}}, &bff.Job{}},
	} {
		selected, err := bffentity.Select(c.topic)
		if err != nil {
			t.Fatal(err)
		}
		if selected.Contains(&bff.Event{Entity: c.topic.Entity, Node: c.node}) {
			t.Errorf("%+v contains %+v", c.topic.Filter, c.node)
		}
	}
}
