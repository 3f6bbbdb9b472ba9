package app

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/catalog"
)

func TestPartsHaveOneRowForEachServiceOfTheCatalog(t *testing.T) {
	t.Parallel()
	want := slices.Sorted(slices.Values(catalog.Names()))
	if got := slices.Sorted(maps.Keys(parts())); !slices.Equal(got, want) {
		t.Fatalf("rows for %v, want %v", got, want)
	}
	var ports bff.Ports
	for name, p := range parts() {
		if p.open == nil || p.port == nil || p.cache == nil {
			t.Fatalf("the row of %s is not complete", name)
		}
		p.port(&ports, nil)
	}
	for i := range reflect.TypeFor[bff.Ports]().NumField() {
		if reflect.ValueOf(ports).Field(i).IsNil() {
			t.Errorf("no row sets the port %s", reflect.TypeFor[bff.Ports]().Field(i).Name)
		}
	}
}
