package graph_test

import (
	"testing"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
)

// Messages of devices and retention write events of a device without an event of the bus.
func TestDeviceEventsAreNeverStale(t *testing.T) {
	t.Parallel()
	h, _ := demo(t)
	cached, _, _ := h.cached(t, h.ports())
	ctx := caller.NewContext(t.Context(), caller.OfSystem())
	devices, err := h.ports().Devices.ListDevices(ctx, nil, "NAME", bff.PageRequest{First: 1})
	if err != nil {
		t.Fatal(err)
	}
	id := devices.Items[0].ID
	events := func() int {
		t.Helper()
		found, err := cached.Devices.ListDeviceEvents(ctx, []string{id}, bff.PageRequest{First: 50})
		if err != nil {
			t.Fatal(err)
		}
		return len(found[id].Items)
	}
	before := events()
	name := "renamed"
	if _, err := h.ports().Devices.UpdateDevice(ctx, bff.UpdateDeviceInput{ID: id, Name: &name}); err != nil { // beside the cache
		t.Fatal(err)
	}
	if after := events(); after != before+1 {
		t.Errorf("there are %d events, want %d", after, before+1)
	}
}
