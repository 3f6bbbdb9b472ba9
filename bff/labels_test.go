package bff_test

import (
	"maps"
	"testing"

	"github.com/sluicehq/sluice/bff"
)

func TestLabelsAreTexts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]map[string]string{
		``: nil, `null`: nil, `{}`: {}, `{"site": "north", "floor": ""}`: {"site": "north", "floor": ""},
	} {
		if got, err := bff.Labels(bff.JSON(text)); err != nil || !maps.Equal(got, want) || (got == nil) != (want == nil) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{`{"site": null}`, `{"site": 1}`, `[]`, `"north"`, `{`} {
		if got, err := bff.Labels(bff.JSON(text)); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}
