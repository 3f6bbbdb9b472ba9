package telemetry

import (
	"testing"
	"time"
)

func TestStepsAreAlignedToTheEpoch(t *testing.T) {
	t.Parallel()
	at := func(seconds float64) time.Time { return time.UnixMicro(int64(seconds * 1e6)) }
	for _, c := range []struct {
		from, to float64
		step     time.Duration
		want     int64
	}{
		{0, 60, time.Minute, 1},
		{0, 60.000001, time.Minute, 2},
		{59, 61, time.Minute, 2},
		{-1, 1, time.Minute, 2},
		{-60, 0, time.Minute, 1},
		{-60.000001, 0, time.Minute, 2},
		{-90, -30, time.Minute, 2},
		{5, 6, 24 * time.Hour, 1},
	} {
		if got := (Query{From: at(c.from), To: at(c.to), Step: c.step}).steps(); got != c.want {
			t.Errorf("[%v, %v) by %v touches %d steps, want %d", c.from, c.to, c.step, got, c.want)
		}
	}
}
