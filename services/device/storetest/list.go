package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/registry"
)

func list(t *testing.T, s assembly.Store, filter registry.Filter) []device.Device {
	t.Helper()
	found, err := s.List(t.Context(), filter, registry.ByName, page.Request{First: page.Max, WithTotal: true})
	if err != nil {
		t.Fatal(err)
	}
	if found.HasNext || found.Total == nil || *found.Total != int64(len(found.Items)) {
		t.Errorf("%d items, next %t, total %v", len(found.Items), found.HasNext, found.Total)
	}
	return found.Items
}

func namesOf(devices []device.Device) string {
	names := make([]string, len(devices))
	for i, d := range devices {
		names[i] = d.Name
	}
	return strings.Join(names, " ")
}

func filters(t *testing.T, s assembly.Store) {
	cam, bus, oil, pct := named("cam", 0), named("bus", 1), named("Ölpumpe_1", 2), named("100%", 3)
	cam.Kind, cam.Labels = device.Camera, map[string]string{"site": "north", "floor": "1"}
	bus.Kind, bus.Presence, bus.Labels = device.Vehicle, device.Online, map[string]string{"site": "north"}
	oil.Presence, oil.Labels = device.Offline, map[string]string{"site": "south", "north": "site"}
	create(t, s, cam, bus, oil, pct)
	for want, filter := range map[string]registry.Filter{
		"100% bus cam Ölpumpe_1": {},
		"bus cam":                {Kinds: []device.Kind{device.Camera, device.Vehicle}},
		"100% Ölpumpe_1":         {Kinds: []device.Kind{device.Sensor}},
		"100% cam":               {Presences: []device.Presence{device.Unknown}},
		"bus Ölpumpe_1":          {Presences: []device.Presence{device.Online, device.Offline}},
		"cam":                    {Labels: map[string]string{"site": "north", "floor": "1"}},
		"bus":                    {Labels: map[string]string{"site": "north"}, Kinds: []device.Kind{device.Vehicle}},
		"":                       {Labels: map[string]string{"site": "1"}},
		"Ölpumpe_1":              {NameContains: "öLPUM"},
		"100%":                   {NameContains: "%"},
	} {
		if got := namesOf(list(t, s, filter)); got != want {
			t.Errorf("%+v: got %q, want %q", filter, got, want)
		}
	}
	for text, want := range map[string]int{"_": 1, "E_1": 1, `\`: 0, "'": 0, "a": 1, "u": 2} {
		if got := list(t, s, registry.Filter{NameContains: text}); len(got) != want {
			t.Errorf("name contains %q: got %q", text, namesOf(got))
		}
	}
}

func sortsNames(t *testing.T, s assembly.Store) {
	long := strings.Repeat("𝔷", 200)
	second, first := named("Same", 1), named("same", 0)
	first.ID, second.ID = min(first.ID, second.ID), max(first.ID, second.ID)
	create(t, s, named("Zebra", 0), named("apple", 1), second, first, named(long, 2), named("Mango", 3), named(long, 4))
	want := strings.Join([]string{"apple", "Mango", "same", "Same", "Zebra", long, long}, " ")
	if got := namesOf(walk(t, s, registry.ByName, 1, nil)); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func pagesAll(t *testing.T, s assembly.Store) {
	const devices = 1_000
	made := make([]device.Change, devices)
	for i := range made {
		// Ten devices share a name, and ten a time, so that the id decides.
		d := named(fmt.Sprintf("Device %02d", i%100), i/10)
		d.Source, d.ExternalID = "many", fmt.Sprint(i)
		made[i] = *change(d, device.Imported)
	}
	if _, n, err := s.Import(t.Context(), made, mergeName); err != nil || n != devices {
		t.Fatal(n, err)
	}
	byName := func(a, b device.Device) int {
		return strings.Compare(strings.ToLower(a.Name)+a.ID, strings.ToLower(b.Name)+b.ID)
	}
	newest := func(a, b device.Device) int {
		if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	}
	for order, compare := range map[registry.Order]func(a, b device.Device) int{registry.ByName: byName, registry.Newest: newest} {
		all := walk(t, s, order, 130, nil)
		if len(all) != devices || !slices.IsSortedFunc(all, compare) {
			t.Errorf("%s: %d devices, sorted %t", order, len(all), slices.IsSortedFunc(all, compare))
		}
	}
}

func walk(t *testing.T, s assembly.Store, order registry.Order, size int, between func(pages int)) []device.Device {
	t.Helper()
	var all []device.Device
	request := page.Request{First: size}
	for pages := 1; ; pages++ {
		p, err := s.List(t.Context(), registry.Filter{}, order, request)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p.Items...)
		if !p.HasNext {
			return all
		}
		if len(all) > 5_000 {
			t.Fatal("the pages do not end")
		}
		if len(p.Items) != size {
			t.Fatalf("a page of %d, not %d, with more to come", len(p.Items), size)
		}
		request.After = p.Cursors[size-1]
		if between != nil {
			between(pages)
		}
	}
}

// pagesAreStable changes rows on earlier pages between two pages: each of the other rows is listed once.
func pagesAreStable(order registry.Order) func(t *testing.T, s assembly.Store) {
	return func(t *testing.T, s assembly.Store) {
		made := make([]device.Device, 12)
		for i := range made {
			made[i] = named(fmt.Sprintf("name %02d", i), 100-i)
		}
		create(t, s, made...)
		shown := walk(t, s, order, 3, func(pages int) {
			mustChange(t, s, made[pages].ID, remove)
			create(t, s, named("before all", 1_000+pages))
		})
		if got, want := namesOf(shown), namesOf(made); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

func refusesCursors(t *testing.T, s assembly.Store) {
	id := ids.New(ids.Device)
	for name, cursor := range map[string]page.Cursor{
		"of another list":  {Order: "trips/newest", Key: "1", ID: id},
		"of another order": {Order: "devices/newest", Key: "1", ID: id},
		"no text":          {Order: "devices/name", Key: "\xff", ID: id},
		"no device":        {Order: "devices/name", Key: "a", ID: "x"},
	} {
		_, err := s.List(t.Context(), registry.Filter{}, registry.ByName, page.Request{After: cursor.String()})
		if !errors.Is(err, errs.Invalid("after", "")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := page.Cursor{Order: "devices/newest", Key: "noon", ID: id}.String()
	if _, err := s.List(t.Context(), registry.Filter{}, registry.Newest, page.Request{After: bad}); !errors.Is(err, errs.Invalid("after", "")) {
		t.Errorf("no time: %v", err)
	}
}

func counts(t *testing.T, s assembly.Store) {
	for i, presence := range []device.Presence{device.Online, device.Online, device.Offline, device.Unknown} {
		d := named("d", i)
		if d.Presence = presence; i > 0 {
			d.Kind = device.Vehicle
		} else {
			d.Labels["site"] = "north"
		}
		create(t, s, d)
	}
	for _, one := range []struct {
		filter registry.Filter
		want   registry.Counts
	}{
		{registry.Filter{}, registry.Counts{Total: 4, Online: 2, Offline: 1, Unknown: 1}},
		{registry.Filter{Kinds: []device.Kind{device.Vehicle}}, registry.Counts{Total: 3, Online: 1, Offline: 1, Unknown: 1}},
		{registry.Filter{Kinds: []device.Kind{device.Camera}}, registry.Counts{}},
		{registry.Filter{Labels: map[string]string{"site": "north"}}, registry.Counts{Total: 1, Online: 1}},
	} {
		if got, err := s.Count(t.Context(), one.filter); err != nil || got != one.want {
			t.Errorf("%v: got %+v, %v, want %+v", one.filter, got, err, one.want)
		}
	}
}

func eventsPage(t *testing.T, s assembly.Store) {
	busy, idle, gone := named("busy", 0), named("idle", 0), ids.New(ids.Device)
	create(t, s, busy, idle)
	for range 4 {
		mustChange(t, s, busy.ID, rename("busy"))
	}
	both := []string{busy.ID, idle.ID, gone}
	first, err := s.Events(t.Context(), both, page.Request{First: 3, WithTotal: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := messagesOf(first[busy.ID]); got != "version 5,version 4,version 3" || !first[busy.ID].HasNext || *first[busy.ID].Total != 5 {
		t.Errorf("first page: %s, %+v", got, first[busy.ID])
	}
	if got := messagesOf(first[idle.ID]); got != "version 1" || first[idle.ID].HasNext || *first[idle.ID].Total != 1 {
		t.Errorf("of the other: %s, %+v", got, first[idle.ID])
	}
	if got := first[gone]; len(got.Items) != 0 || got.HasNext || *got.Total != 0 {
		t.Errorf("of none: %+v", got)
	}
	rest, err := s.Events(t.Context(), []string{busy.ID}, page.Request{First: 3, After: first[busy.ID].Cursors[2]})
	if got := messagesOf(rest[busy.ID]); err != nil || got != "version 2,version 1" || rest[busy.ID].HasNext {
		t.Errorf("second page: %s, %v", got, err)
	}
	e := rest[busy.ID].Items[1]
	if e.Type != device.Registered || e.Actor != "system" || e.Data != `{"version":1}` || !e.At.Equal(dawn()) || e.DeviceID != busy.ID {
		t.Errorf("read back as %+v", e)
	}
}

func messagesOf(p page.Page[device.Event]) string {
	words := make([]string, len(p.Items))
	for i, e := range p.Items {
		words[i] = e.Message
	}
	return strings.Join(words, ",")
}
