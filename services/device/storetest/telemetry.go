package storetest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/telemetry"
)

func record(t *testing.T, s assembly.Store, id string, readings ...telemetry.Reading) int64 {
	t.Helper()
	stored, err := s.Record(t.Context(), id, readings, nil)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func always(step time.Duration, a telemetry.Aggregate, keys ...string) telemetry.Query {
	return telemetry.Query{Keys: keys, From: dawn().AddDate(-100, 0, 0), To: dawn().AddDate(100, 0, 0), Step: step, Aggregate: a}
}

func query(t *testing.T, s assembly.Store, q telemetry.Query, deviceIDs ...string) []telemetry.Series {
	t.Helper()
	q.DeviceIDs = deviceIDs
	series, err := s.Query(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return series
}

func readingsOnce(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	one := telemetry.Reading{Key: "k", At: dawn(), Value: 1}
	otherKey, otherTime, otherValue := one, one, one
	otherKey.Key, otherTime.At, otherValue.Value = "K", one.At.Add(time.Microsecond), 2
	if n := record(t, s, d.ID, otherValue, otherTime, one, one, otherKey); n != 4 {
		t.Errorf("stored %d, want 4", n)
	}
	if n := record(t, s, d.ID, one, otherTime); n != 0 {
		t.Errorf("stored %d again", n)
	}
	series := query(t, s, always(0, telemetry.Avg, "k"), d.ID)
	if len(series) != 1 || fmt.Sprint(valuesOf(series[0])) != "[1 2 1]" {
		t.Errorf("got %+v", series)
	}
}

func readingsCorrected(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	at := func(minute int, value float64) telemetry.Reading {
		return telemetry.Reading{Key: "k", At: dawn().Add(time.Duration(minute) * time.Minute), Value: value}
	}
	sent := telemetry.Recording{DeviceID: d.ID, Readings: []telemetry.Reading{at(3, 30)}, ArrivedAt: dawn()}
	if _, _, err := s.RecordAll(t.Context(), []telemetry.Recording{sent}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		what            string
		readings        []telemetry.Reading
		stored, updated int64
		want            string
	}{
		{"new", []telemetry.Reading{at(0, 20), at(1, 20), at(2, 20)}, 3, 0, "[20 20 20 30]"},
		{"the same", []telemetry.Reading{at(0, 20), at(1, 20)}, 0, 0, "[20 20 20 30]"},
		{"one corrected, one new", []telemetry.Reading{at(0, 21), at(1, 20), at(4, 20)}, 1, 1, "[21 20 20 30 20]"},
		{"two values at one time", []telemetry.Reading{at(0, 21), at(0, 22)}, 1, 0, "[21 22 20 20 30 20]"},
		{"one of two corrected", []telemetry.Reading{at(0, 21), at(0, 23)}, 0, 1, "[21 23 20 20 30 20]"},
		{"what the device sent stays", []telemetry.Reading{at(3, 31)}, 1, 0, "[21 23 20 20 30 31 20]"},
		{"what the device sent is known", []telemetry.Reading{at(3, 30)}, 0, 0, "[21 23 20 20 30 31 20]"},
		{"another key", []telemetry.Reading{{Key: "K", At: dawn(), Value: 1}}, 1, 0, "[21 23 20 20 30 31 20]"},
	} {
		stored, updated, err := s.Correct(t.Context(), d.ID, step.readings, nil)
		if err != nil || stored != step.stored || updated != step.updated {
			t.Errorf("%s: stored %d, updated %d, %v", step.what, stored, updated, err)
		}
		if series := query(t, s, always(0, telemetry.Avg, "k"), d.ID); len(series) != 1 || fmt.Sprint(valuesOf(series[0])) != step.want {
			t.Errorf("%s: got %+v", step.what, series)
		}
	}
	if _, _, err := s.Correct(t.Context(), ids.New(ids.Device), []telemetry.Reading{at(0, 1)}, nil); err == nil {
		t.Errorf("a missing device: %v", err)
	}
}

// Steps of days are those of the zone: with 23 hours in March and 25 in October.
func stepsInZones(t *testing.T, s assembly.Store) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	kolkata, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	d := named("d", 0)
	create(t, s, d)
	for month, first := range map[string]time.Time{"march": time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC), "october": time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC)} {
		for hour := range 72 {
			record(t, s, d.ID, telemetry.Reading{Key: month, At: first.Add(time.Duration(hour) * time.Hour), Value: 1})
		}
	}
	for _, c := range []struct {
		key  string
		zone *time.Location
		step time.Duration
		from time.Time
		want string
	}{
		{"march", berlin, 24 * time.Hour, time.Date(2026, 3, 27, 23, 0, 0, 0, time.UTC), "27T23:00 23, 28T23:00 23, 29T22:00 24, 30T22:00 2"},
		{"october", berlin, 24 * time.Hour, time.Date(2026, 10, 23, 22, 0, 0, 0, time.UTC), "23T22:00 22, 24T22:00 25, 25T23:00 24, 26T23:00 1"},
		{"october", time.UTC, 24 * time.Hour, time.Date(2026, 10, 23, 22, 0, 0, 0, time.UTC), "24T00:00 24, 25T00:00 24, 26T00:00 24"},
		{"october", nil, 24 * time.Hour, time.Date(2026, 10, 23, 22, 0, 0, 0, time.UTC), "24T00:00 24, 25T00:00 24, 26T00:00 24"},
		{"october", kolkata, 24 * time.Hour, time.Date(2026, 10, 23, 0, 0, 0, 0, time.UTC), "23T18:30 19, 24T18:30 24, 25T18:30 24, 26T18:30 5"},
		// The repeated hour, from 00:00 to 02:00 UTC, has its own steps.
		{"october", berlin, time.Hour, time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC), "25T00:00 1, 25T01:00 1, 25T02:00 1"},
		// A step of 6 local hours, from 22:00 to 05:00 UTC, has 7 real ones.
		{"october", berlin, 6 * time.Hour, time.Date(2026, 10, 24, 22, 0, 0, 0, time.UTC), "24T22:00 7, 25T05:00 6, 25T11:00 6"},
	} {
		for _, aggregate := range []telemetry.Aggregate{telemetry.Sum, telemetry.Count} {
			q := telemetry.Query{Keys: []string{c.key}, From: c.from, To: c.from.Add(96 * time.Hour), Step: c.step, Zone: c.zone, Aggregate: aggregate}
			if c.step < 24*time.Hour {
				q.To = c.from.Add(3 * c.step)
				if c.step > time.Hour {
					q.To = q.To.Add(time.Hour)
				}
			}
			var got []string
			for _, series := range query(t, s, q, d.ID) {
				for _, p := range series.Points {
					got = append(got, fmt.Sprintf("%s %g", p.At.UTC().Format("02T15:04"), p.Value))
				}
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("%s in %v by %v: %s, want %s", c.key, c.zone, c.step, strings.Join(got, ", "), c.want)
			}
		}
		q := telemetry.Query{Keys: []string{c.key}, From: c.from, To: c.from.Add(96 * time.Hour), Step: c.step, Zone: c.zone, Aggregate: telemetry.Last}
		if series := query(t, s, q, d.ID); len(series) != 1 || series[0].Points[0].Value != 1 {
			t.Errorf("the last of %s: %+v", c.key, series)
		}
	}
}

func valuesOf(series telemetry.Series) []float64 {
	values := make([]float64, len(series.Points))
	for i, p := range series.Points {
		values[i] = p.Value
	}
	return values
}

func updatesLastSeen(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	reading := []telemetry.Reading{{Key: "k", At: dawn(), Value: 1}}
	early, late := dawn(), dawn().Add(time.Hour)
	for _, step := range []struct{ at, want *time.Time }{{nil, nil}, {&early, &early}, {&late, &late}, {&early, &late}, {nil, &late}} {
		if _, err := s.Record(t.Context(), d.ID, reading, step.at); err != nil {
			t.Fatal(err)
		}
		got := mustGet(t, s, d.ID)
		if (got.LastSeenAt == nil) != (step.want == nil) || got.LastSeenAt != nil && !got.LastSeenAt.Equal(*step.want) {
			t.Errorf("seen at %v: last seen %v, want %v", step.at, got.LastSeenAt, step.want)
		}
		if got.Version != 1 || !got.UpdatedAt.Equal(d.UpdatedAt) || got.Presence != device.Unknown {
			t.Errorf("being seen changed it: %+v", got)
		}
	}
}

func readingsOfNone(t *testing.T, s assembly.Store) {
	id := ids.New(ids.Device)
	_, err := s.Record(t.Context(), id, []telemetry.Reading{{Key: "k", At: dawn(), Value: 1}}, nil)
	if !errors.Is(err, device.Missing(id)) {
		t.Errorf("got %v, want NOT_FOUND", err)
	}
}

func raw(t *testing.T, s assembly.Store) {
	a, b := named("a", 0), named("b", 0)
	create(t, s, a, b)
	for i, id := range []string{a.ID, b.ID} {
		for _, minute := range []int{3, 1, 2, 0} { // out of order
			at := dawn().Add(time.Duration(minute) * time.Minute)
			record(t, s, id, telemetry.Reading{Key: "x", At: at, Value: float64(10*i + minute)}, telemetry.Reading{Key: "y", At: at, Value: -1})
		}
	}
	q := always(0, telemetry.Avg, "x", "none")
	q.From, q.To = dawn().Add(time.Minute), dawn().Add(3*time.Minute)
	series := query(t, s, q, a.ID, b.ID, ids.New(ids.Device))
	slices.SortFunc(series, func(a, b telemetry.Series) int { return int(a.Points[0].Value - b.Points[0].Value) })
	if len(series) != 2 || fmt.Sprint(valuesOf(series[0]), valuesOf(series[1])) != "[1 2] [11 12]" {
		t.Fatalf("got %+v", series)
	}
	if series[0].DeviceID != a.ID || series[1].DeviceID != b.ID || series[0].Key != "x" || !series[0].Points[0].At.Equal(q.From) {
		t.Errorf("got %+v", series)
	}
}

// steps compares the database's aggregates with those in Go, over random readings around 1970, where times change
// sign.
func steps(t *testing.T, s assembly.Store) {
	random := rand.New(rand.NewPCG(1, 2))
	a, b := named("a", 0), named("b", 0)
	create(t, s, a, b)
	readings := map[string][]telemetry.Reading{}
	for _, id := range []string{a.ID, b.ID} {
		for range 600 {
			r := telemetry.Reading{Key: "x", At: time.UnixMicro(random.Int64N(7_200_000_000) - 3_600_000_000).UTC(), Value: math.Round(random.NormFloat64() * 1000)}
			if random.IntN(20) == 0 {
				r.At = r.At.Truncate(time.Minute)
			}
			readings[id] = append(readings[id], r)
		}
		record(t, s, id, readings[id]...)
	}
	from, to := time.Unix(-2000, 0).UTC(), time.Unix(2501, 5000).UTC()
	for _, step := range []time.Duration{time.Second, 7 * time.Second, time.Minute, time.Hour, 24 * time.Hour} {
		for _, aggregate := range []telemetry.Aggregate{telemetry.Avg, telemetry.Min, telemetry.Max, telemetry.Sum, telemetry.Count, telemetry.Last} {
			q := telemetry.Query{Keys: []string{"x"}, From: from, To: to, Step: step, Aggregate: aggregate}
			series := query(t, s, q, a.ID, b.ID)
			if len(series) != 2 {
				t.Fatalf("%d series", len(series))
			}
			for _, one := range series {
				comparePoints(t, fmt.Sprint(step, aggregate), one.Points, byHand(readings[one.DeviceID], q))
			}
		}
	}
}

func comparePoints(t *testing.T, what string, got, want []telemetry.Point) {
	t.Helper()
	same := slices.EqualFunc(got, want, func(a, b telemetry.Point) bool {
		return a.At.Equal(b.At) && math.Abs(a.Value-b.Value) <= 1e-9*max(1, math.Abs(b.Value))
	})
	if !same {
		t.Errorf("%s: got %v\nwant %v", what, got, want)
	}
}

func byHand(readings []telemetry.Reading, q telemetry.Query) []telemetry.Point {
	readings = slices.Clone(readings)
	slices.SortFunc(readings, func(a, b telemetry.Reading) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return int(a.Value - b.Value)
	})
	var starts []time.Time
	values := map[time.Time][]float64{}
	for _, r := range readings {
		if r.At.Before(q.From) || !r.At.Before(q.To) {
			continue
		}
		// Round down, so that times before 1970 divide like later ones.
		seconds := int64(math.Floor(float64(r.At.UnixMicro()) / 1e6 / q.Step.Seconds()))
		start := time.Unix(seconds*int64(q.Step.Seconds()), 0).UTC()
		if len(values[start]) == 0 {
			starts = append(starts, start)
		}
		values[start] = append(values[start], r.Value)
	}
	points := make([]telemetry.Point, len(starts))
	for i, start := range starts {
		points[i] = telemetry.Point{At: start, Value: aggregateByHand(values[start], q.Aggregate)}
	}
	return points
}

func aggregateByHand(values []float64, a telemetry.Aggregate) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	switch a {
	case telemetry.Min:
		return slices.Min(values)
	case telemetry.Max:
		return slices.Max(values)
	case telemetry.Sum:
		return sum
	case telemetry.Count:
		return float64(len(values))
	case telemetry.Last:
		return values[len(values)-1]
	}
	return sum / float64(len(values))
}

func greatest(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	for i := range 50 {
		record(t, s, d.ID, telemetry.Reading{Key: "k", At: dawn().Add(time.Duration(i) * time.Second), Value: 1e100 * float64(1-i%2*2)})
		record(t, s, d.ID, telemetry.Reading{Key: "up", At: dawn().Add(time.Duration(i) * time.Second), Value: 1e100})
	}
	for aggregate, want := range map[telemetry.Aggregate]float64{telemetry.Avg: 1e100, telemetry.Sum: 50e100, telemetry.Max: 1e100} {
		series := query(t, s, always(24*time.Hour, aggregate, "up"), d.ID)
		if len(series) != 1 || math.Abs(series[0].Points[0].Value/want-1) > 1e-9 {
			t.Errorf("%s: %+v", aggregate, series)
		}
	}
	if series := query(t, s, always(24*time.Hour, telemetry.Avg, "k"), d.ID); len(series) != 1 || math.Abs(series[0].Points[0].Value) > 1e87 {
		t.Errorf("of opposites: %+v", series)
	}
}

func tooMany(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	readings := make([]telemetry.Reading, 5_000)
	for i := range telemetry.MaxPoints/len(readings) + 1 {
		for j := range readings {
			readings[j] = telemetry.Reading{Key: "k", At: dawn().Add(time.Duration(i*len(readings)+j) * time.Second), Value: 1}
		}
		record(t, s, d.ID, readings...)
	}
	q := always(0, telemetry.Avg, "k")
	q.DeviceIDs = []string{d.ID}
	if _, err := s.Query(t.Context(), q); !errors.Is(err, telemetry.TooManyPoints()) {
		t.Errorf("got %v, want TOO_MANY_POINTS", err)
	}
	q.To = dawn().Add(telemetry.MaxPoints * time.Second)
	if series := query(t, s, q, d.ID); len(series) != 1 || len(series[0].Points) != telemetry.MaxPoints {
		t.Errorf("as many as may be: %d series", len(series))
	}
}

func recordsAtOnce(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	const writers, each = 8, 50
	stored := make([]int64, writers)
	for _, err := range atOnce(writers, func(i int) error {
		readings := make([]telemetry.Reading, each)
		for j := range readings { // half of them the same for all
			value := float64(j%2) * float64(i+1)
			readings[(j*7+i)%each] = telemetry.Reading{Key: "k", At: dawn().Add(time.Duration(j) * time.Second), Value: value}
		}
		var err error
		stored[i], err = s.Record(t.Context(), d.ID, readings, nil)
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	var sum int64
	for _, n := range stored {
		sum += n
	}
	const want = each/2 + writers*each/2
	if series := query(t, s, always(0, telemetry.Avg, "k"), d.ID); sum != want || len(series[0].Points) != want {
		t.Errorf("stored %d, there are %d, want %d", sum, len(series[0].Points), want)
	}
}
