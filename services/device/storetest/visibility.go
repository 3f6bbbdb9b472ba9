package storetest

import (
	"slices"
	"testing"

	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/entity/entitytest"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/registry"
)

func visibilityFollowsTheRule(t *testing.T, s assembly.Store) {
	fixtures := entitytest.New()
	var made []device.Device
	for i, facts := range fixtures.Facts() {
		d := named("device", i)
		if d.Kind, d.Labels = device.Kind(facts.Kind), facts.Labels; d.Labels == nil {
			d.Labels = map[string]string{}
		}
		made = append(made, d)
	}
	create(t, s, made...)
	for name, who := range fixtures.Callers {
		filter, some := registry.Filter{}.Narrow(entity.Device.Visibility(who))
		if !some {
			t.Errorf("%s is narrowed to nothing", name)
			continue
		}
		want := slices.DeleteFunc(slices.Clone(made), func(d device.Device) bool { return !entity.Device.Sees(who, d.Facts()) })
		wanted, got := device.IDsOf(want), device.IDsOf(list(t, s, filter))
		slices.Sort(wanted)
		slices.Sort(got)
		if !slices.Equal(got, wanted) {
			t.Errorf("%s lists %d devices, want %d", name, len(got), len(wanted))
		}
		counts, err := s.Count(t.Context(), filter)
		if err != nil || counts.Total != int64(len(want)) {
			t.Errorf("%s counts %d devices, %v; want %d", name, counts.Total, err, len(want))
		}
	}
}
