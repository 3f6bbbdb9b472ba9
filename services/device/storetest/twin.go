package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/twin"
)

// want sets the next desired configuration, a minute after the device was created.
func want(desired string) twin.Decide {
	return func(d device.Device, c twin.Config) (*twin.Change, error) {
		at := d.CreatedAt.Add(time.Duration(c.DesiredVersion+1) * time.Minute)
		c.Desired, c.DesiredVersion, c.DesiredAt = desired, c.DesiredVersion+1, &at
		return &twin.Change{
			Config:  c,
			Desired: &twin.Version{ID: ids.New(ids.Config), DeviceID: d.ID, Version: c.DesiredVersion, Desired: desired, At: at, Actor: "a"},
			Event:   &device.Event{ID: ids.New(ids.Event), DeviceID: d.ID, At: at, Type: twin.Desired, Data: "{}"},
		}, nil
	}
}

func report(version int64, reported string) twin.Decide {
	return func(d device.Device, c twin.Config) (*twin.Change, error) {
		at := d.CreatedAt.Add(time.Hour)
		c.Reported, c.ReportedVersion, c.ReportedAt = reported, &version, &at
		return &twin.Change{Config: c}, nil
	}
}

func mustChangeConfig(t *testing.T, s assembly.Store, id string, decide twin.Decide) twin.Config {
	t.Helper()
	c, err := s.ChangeConfig(t.Context(), id, decide)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func getConfig(t *testing.T, s assembly.Store, id string) twin.Config {
	t.Helper()
	found, err := s.GetConfigs(t.Context(), []string{id})
	if err != nil || len(found) != 1 {
		t.Fatalf("configurations of %s: %+v, %v", id, found, err)
	}
	return found[0]
}

func configReadsBack(t *testing.T, s assembly.Store) {
	d := named("cam", 0)
	create(t, s, d)
	if got := getConfig(t, s, d.ID); !reflect.DeepEqual(got, twin.Config{DeviceID: d.ID, Desired: "{}"}) {
		t.Errorf("a device that nothing was wanted of has %+v", got)
	}
	mustChangeConfig(t, s, d.ID, want(`{"fps":5,"text":"ü\u0000"}`))
	changed := mustChangeConfig(t, s, d.ID, report(1, `{"fps":5}`))
	if got := getConfig(t, s, d.ID); !reflect.DeepEqual(got, changed) || !got.InSync() {
		t.Errorf("got %+v\nwant %+v", got, changed)
	}
	refusal := errors.New("no")
	if _, err := s.ChangeConfig(t.Context(), d.ID, func(device.Device, twin.Config) (*twin.Change, error) { return nil, refusal }); !errors.Is(err, refusal) {
		t.Errorf("a refusal comes back as %v", err)
	}
	if got := mustGet(t, s, d.ID); got.Version != d.Version {
		t.Errorf("the device is at version %d", got.Version)
	}
	mustChange(t, s, d.ID, remove)
	if _, err := s.ChangeConfig(t.Context(), d.ID, want("{}")); !errors.Is(err, device.Missing(d.ID)) {
		t.Errorf("of a device that is gone: %v", err)
	}
	if found, err := s.GetConfigs(t.Context(), []string{d.ID}); err != nil || len(found) != 0 {
		t.Errorf("a device that is gone has %+v, %v", found, err)
	}
}

func configVersionsPage(t *testing.T, s assembly.Store) {
	busy, idle := named("busy", 0), named("idle", 0)
	create(t, s, busy, idle)
	for i := range 5 {
		mustChangeConfig(t, s, busy.ID, want(fmt.Sprintf(`{"n":%d}`, i+1)))
	}
	request, seen := page.Request{First: 2, WithTotal: true}, []int64{}
	for {
		pages, err := s.ConfigVersions(t.Context(), []string{busy.ID, idle.ID}, request)
		if err != nil {
			t.Fatal(err)
		}
		p := pages[busy.ID]
		if p.Total == nil || *p.Total != 5 || len(pages[idle.ID].Items) != 0 || *pages[idle.ID].Total != 0 {
			t.Fatalf("pages %+v", pages)
		}
		for _, v := range p.Items {
			if v.Desired != fmt.Sprintf(`{"n":%d}`, v.Version) || v.Actor != "a" || v.DeviceID != busy.ID {
				t.Errorf("got %+v", v)
			}
			seen = append(seen, v.Version)
		}
		if !p.HasNext {
			break
		}
		request.After = p.Cursors[len(p.Cursors)-1]
	}
	if !reflect.DeepEqual(seen, []int64{5, 4, 3, 2, 1}) {
		t.Errorf("saw the versions %v", seen)
	}
}

func forgetsOldConfigs(t *testing.T, s assembly.Store) {
	d := named("cam", 0)
	create(t, s, d)
	far := func(d device.Device, c twin.Config) (*twin.Change, error) {
		c.DesiredVersion = max(c.DesiredVersion, twin.MaxVersions-1)
		return want("{}")(d, c)
	}
	mustChangeConfig(t, s, d.ID, want("{}"))
	mustChangeConfig(t, s, d.ID, far)
	if pages, err := s.ConfigVersions(t.Context(), []string{d.ID}, page.Request{}); err != nil || len(pages[d.ID].Items) != 2 {
		t.Errorf("before: %+v, %v", pages, err)
	}
	mustChangeConfig(t, s, d.ID, far)
	pages, err := s.ConfigVersions(t.Context(), []string{d.ID}, page.Request{})
	if err != nil || len(pages[d.ID].Items) != 2 || pages[d.ID].Items[1].Version != twin.MaxVersions {
		t.Errorf("after: %+v, %v", pages, err)
	}
}

func deliversConfigsOnce(t *testing.T, s assembly.Store) {
	idle, waits, has, away := named("idle", 0), named("waits", 1), named("has", 2), named("away", 3)
	away.Presence = device.Offline
	create(t, s, idle, waits, has, away)
	for _, d := range []device.Device{waits, has, away} {
		mustChangeConfig(t, s, d.ID, want(`{"a":1}`))
	}
	mustChangeConfig(t, s, has.ID, report(1, "{}"))
	undelivered := func() []twin.Config {
		t.Helper()
		found, err := s.UndeliveredConfigs(t.Context(), "", 10)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	found := undelivered()
	if len(found) != 1 || found[0].DeviceID != waits.ID || found[0].Desired != `{"a":1}` {
		t.Fatalf("to be delivered: %+v", found)
	}
	mustChangeConfig(t, s, waits.ID, want(`{"a":2}`)) // while the first is being delivered
	if err := s.MarkDelivered(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	if found = undelivered(); len(found) != 1 || found[0].DesiredVersion != 2 {
		t.Fatalf("then: %+v", found)
	}
	if err := s.MarkDelivered(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	if found = undelivered(); len(found) != 0 {
		t.Errorf("at last: %+v", found)
	}
}

func schemasReadBack(t *testing.T, s assembly.Store) {
	for _, schema := range []twin.Schema{
		{Kind: device.Vehicle, Text: `{"a":1}`, UpdatedAt: dawn(), Actor: "a"},
		{Kind: device.Camera, Text: `{"b":1}`, UpdatedAt: dawn(), Actor: "a"},
		{Kind: device.Vehicle, Text: `{"c":1}`, UpdatedAt: dawn().Add(time.Hour), Actor: "b"},
	} {
		if err := s.SetConfigSchema(t.Context(), schema); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.ConfigSchemas(t.Context())
	want := []twin.Schema{
		{Kind: device.Camera, Text: `{"b":1}`, UpdatedAt: dawn(), Actor: "a"},
		{Kind: device.Vehicle, Text: `{"c":1}`, UpdatedAt: dawn().Add(time.Hour), Actor: "b"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := s.SetConfigSchema(t.Context(), twin.Schema{Kind: device.Vehicle}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.ConfigSchemas(t.Context()); err != nil || len(got) != 1 {
		t.Errorf("after one was taken away: %+v, %v", got, err)
	}
}
