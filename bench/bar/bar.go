// Package bar is what benchmarks are held to: it prints what was measured beside the bar, and fails the
// benchmark where that is missed by far. A little beyond the bar is told and not more, because other work
// on the machine is in every measurement; twice the price of yesterday is a fault, and not the machine's.
package bar

import "testing"

// Wide is by how much a bar must be missed, as a factor, to be a failure.
const Wide = 1.5

// AtMost reports what was measured, which should not be above the bar.
func AtMost(b testing.TB, what string, measured, bar float64) {
	b.Helper()
	hold(b, what, "at most", measured, bar, measured <= bar, measured <= Wide*bar)
}

// AtLeast reports what was measured, which should not be below the bar.
func AtLeast(b testing.TB, what string, measured, bar float64) {
	b.Helper()
	hold(b, what, "at least", measured, bar, measured >= bar, measured >= bar/Wide)
}

func hold(b testing.TB, what, side string, measured, bar float64, reached, near bool) {
	b.Helper()
	if b, ok := b.(*testing.B); ok {
		b.ReportMetric(measured, what)
	}
	switch {
	case reached:
		b.Logf("%s: %.3g, the bar is %s %.3g: reached", what, measured, side, bar)
	case near:
		b.Logf("%s: %.3g, the bar is %s %.3g: MISSED, though not by a factor of %v: measure again on a quiet machine", what, measured, side, bar, Wide)
	default:
		b.Errorf("%s: %.3g, the bar is %s %.3g: MISSED by more than a factor of %v", what, measured, side, bar, Wide)
	}
}
