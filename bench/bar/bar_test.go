package bar_test

import (
	"math"
	"testing"

	"github.com/sluicehq/sluice/bench/bar"
)

// verdict remembers what a benchmark would have been told.
type verdict struct {
	testing.TB
	told, failed bool
}

func (v *verdict) Helper()               {}
func (v *verdict) Logf(string, ...any)   { v.told = true }
func (v *verdict) Errorf(string, ...any) { v.failed = true }

func TestBarFailsOnlyBeyondWide(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hold   func(testing.TB, string, float64, float64)
		value  float64
		failed bool
	}{
		"below a limit":           {bar.AtMost, 0.5, false},
		"at a limit":              {bar.AtMost, 1, false},
		"a little above a limit":  {bar.AtMost, 1.4, false},
		"far above a limit":       {bar.AtMost, 1.6, true},
		"above a floor":           {bar.AtLeast, 2, false},
		"a little below a floor":  {bar.AtLeast, 0.7, false},
		"far below a floor":       {bar.AtLeast, 0.6, true},
		"no number under a limit": {bar.AtMost, math.NaN(), true},
		"no number over a floor":  {bar.AtLeast, math.NaN(), true},
	} {
		v := &verdict{TB: t}
		if c.hold(v, "x", c.value, 1); v.failed != c.failed || v.told == c.failed {
			t.Errorf("%s: failed %v, told %v", name, v.failed, v.told)
		}
	}
}
