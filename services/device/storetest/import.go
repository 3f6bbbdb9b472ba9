package storetest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/registry"
)

func imported(externalID, name string) device.Change {
	d := named(name, 0)
	d.Source, d.ExternalID = "fleet", externalID
	return *change(d, device.Imported)
}

func mergeName(known, draft device.Device) (*device.Change, error) {
	if known.Name == draft.Name {
		return nil, nil
	}
	return rename(draft.Name)(known)
}

func imports(t *testing.T, s assembly.Store) {
	create(t, s, named("registered", 0)) // has no external id
	first, created, err := s.Import(t.Context(), []device.Change{imported("b", "bus b"), imported("a", "bus a")}, mergeName)
	if err != nil || created != 2 || first[0].Name != "bus b" || first[1].Name != "bus a" {
		t.Fatalf("got %+v, %d, %v", first, created, err)
	}
	again, created, err := s.Import(t.Context(), []device.Change{
		imported("a", "bus a"), imported("c", "bus c"), imported("b", "coach b"), imported("c", "coach c"),
	}, mergeName)
	if err != nil || created != 1 {
		t.Fatalf("got %d, %v", created, err)
	}
	if !reflect.DeepEqual(again[0], first[1]) {
		t.Errorf("what was not changed is %+v, was %+v", again[0], first[1])
	}
	if again[2].ID != first[0].ID || again[2].Version != 2 || again[2].Name != "coach b" {
		t.Errorf("what was changed is %+v", again[2])
	}
	if again[1].Name != "coach c" || !reflect.DeepEqual(again[1], again[3]) {
		t.Errorf("what was there twice is %+v and %+v", again[1], again[3])
	}
	for _, d := range again {
		if got := mustGet(t, s, d.ID); !reflect.DeepEqual(got, d) {
			t.Errorf("answered %+v\nkept %+v", d, got)
		}
	}
	events, err := s.Events(t.Context(), []string{again[0].ID, again[2].ID}, page.Request{})
	if err != nil || len(events[again[0].ID].Items) != 1 || len(events[again[2].ID].Items) != 2 {
		t.Errorf("events are %+v, %v", events, err)
	}
}

func importsOnce(t *testing.T, s assembly.Store) {
	const importers, devices = 6, 20
	totals := make([]int64, importers)
	for _, err := range atOnce(importers, func(i int) error {
		made := make([]device.Change, devices)
		for j := range made {
			made[j] = imported(fmt.Sprintf("bus %d", j), fmt.Sprintf("name %d", i))
		}
		if i%2 == 1 {
			slices.Reverse(made)
		}
		var err error
		_, totals[i], err = s.Import(t.Context(), made, mergeName)
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	var created int64
	for _, n := range totals {
		created += n
	}
	if found := list(t, s, registry.Filter{}); created != devices || len(found) != devices {
		t.Errorf("created %d, there are %d, want %d", created, len(found), devices)
	}
}

func importsAnew(t *testing.T, s assembly.Store) {
	first, _, err := s.Import(t.Context(), []device.Change{imported("a", "bus")}, mergeName)
	if err != nil {
		t.Fatal(err)
	}
	mustChange(t, s, first[0].ID, remove)
	second, created, err := s.Import(t.Context(), []device.Change{imported("a", "bus")}, mergeName)
	if err != nil || created != 1 || second[0].ID == first[0].ID {
		t.Errorf("got %+v, %d, %v", second, created, err)
	}
}
