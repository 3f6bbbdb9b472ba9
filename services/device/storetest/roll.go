package storetest

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/telemetry"
)

// rolls rolls up readings in parts, with late readings between, and compares every aggregate with the one before.
func rolls(t *testing.T, s assembly.Store) {
	random := rand.New(rand.NewPCG(3, 4))
	rolledUp, plain := named("rolled", 0), named("plain", 0)
	create(t, s, rolledUp, plain)
	const step = 5 * time.Minute
	batch := func(n int) {
		readings := make([]telemetry.Reading, n)
		for i := range readings {
			at := dawn().Add(time.Duration(random.Int64N(int64(48 * time.Hour)))).Truncate(time.Second)
			readings[i] = telemetry.Reading{Key: string(rune('a' + random.IntN(2))), At: at, Value: float64(random.IntN(1000))}
		}
		for _, d := range []device.Device{rolledUp, plain} {
			record(t, s, d.ID, readings...)
		}
	}
	roll := func(hours int) int64 {
		t.Helper()
		n, err := s.Roll(t.Context(), rolledUp.ID, dawn().Add(time.Duration(hours)*time.Hour), step)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	batch(400)
	if roll(12) == 0 {
		t.Error("nothing is rolled up")
	}
	batch(200) // some of them late
	if roll(36) == 0 || roll(36) != 0 {
		t.Error("not all, or what is rolled up already, is rolled up")
	}
	for _, a := range []telemetry.Aggregate{telemetry.Avg, telemetry.Min, telemetry.Max, telemetry.Sum, telemetry.Count, telemetry.Last} {
		for _, wide := range []time.Duration{step, time.Hour} {
			got, want := query(t, s, always(wide, a, "a", "b"), rolledUp.ID), query(t, s, always(wide, a, "a", "b"), plain.ID)
			sameSeries(t, string(a), got, want)
		}
	}
	if raw := query(t, s, always(0, telemetry.Avg, "a", "b"), rolledUp.ID); len(raw) != 2 || len(raw[0].Points) == 0 {
		t.Errorf("read raw there are %+v", raw)
	}
	if err := s.Forget(t.Context(), rolledUp.ID, dawn().Add(100*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if left := query(t, s, always(step, telemetry.Count, "a"), rolledUp.ID); left[0].Points[0].At.Before(dawn().Add(36*time.Hour - step)) {
		t.Errorf("what was to be forgotten is there: %+v", left[0].Points[0])
	}
	if all, err := s.DeviceIDs(t.Context(), "", 10); err != nil || len(all) != 2 || all[0] >= all[1] {
		t.Errorf("the devices are %v, %v", all, err)
	}
}

func sameSeries(t *testing.T, what string, got, want []telemetry.Series) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d series, want %d", what, len(got), len(want))
	}
	for i := range got {
		if len(got[i].Points) != len(want[i].Points) {
			t.Fatalf("%s: %d points, want %d", what, len(got[i].Points), len(want[i].Points))
		}
		for j, p := range got[i].Points {
			if w := want[i].Points[j]; !p.At.Equal(w.At) || math.Abs(p.Value-w.Value) > 1e-9*math.Max(1, math.Abs(w.Value)) {
				t.Errorf("%s: point %d is %+v, want %+v", what, j, p, w)
			}
		}
	}
}
