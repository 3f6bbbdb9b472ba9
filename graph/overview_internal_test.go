package graph

import (
	"maps"
	"slices"
	"testing"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/exec"
	"github.com/sluicehq/sluice/internal/catalog"
)

func TestOverviewAndServiceNameListTheServicesOfTheCatalog(t *testing.T) {
	t.Parallel()
	want := slices.Sorted(slices.Values(catalog.Names()))
	if got := slices.Sorted(maps.Keys(overviewParts)); !slices.Equal(got, want) {
		t.Errorf("parts of the overview for %v, want %v", got, want)
	}
	schema := exec.NewExecutableSchema(exec.Config{}).Schema()
	for _, name := range want {
		if schema.Types["ServiceName"].EnumValues.ForName(string(bff.ServiceNameOf(name))) == nil {
			t.Errorf("the enum ServiceName lacks %s", bff.ServiceNameOf(name))
		}
	}
	if got := len(schema.Types["ServiceName"].EnumValues); got != len(want) {
		t.Errorf("the enum ServiceName has %d values for %d services", got, len(want))
	}
}
