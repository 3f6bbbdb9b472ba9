// Package bar compares measurements of benchmarks with their bars, and prints both. A bar that is missed by little is
// only reported, because other load of the machine is part of every measurement. A bar that is missed by the factor
// Wide fails the benchmark.
package bar

import "testing"

// Wide is the factor by which a measurement must miss its bar to fail the benchmark.
const Wide = 1.5

// AtMost reports a measurement that should not exceed the bar.
func AtMost(b testing.TB, what string, measured, bar float64) {
	b.Helper()
	compare(b, what, "at most", measured, bar, measured <= bar, measured <= Wide*bar)
}

// AtLeast reports a measurement that should not be below the bar.
func AtLeast(b testing.TB, what string, measured, bar float64) {
	b.Helper()
	compare(b, what, "at least", measured, bar, measured >= bar, measured >= bar/Wide)
}

func compare(b testing.TB, what, side string, measured, bar float64, reached, near bool) {
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
