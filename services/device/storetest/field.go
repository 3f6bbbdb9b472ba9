package storetest

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/presence"
	"github.com/sluicehq/sluice/services/device/registry"
	"github.com/sluicehq/sluice/services/device/telemetry"
	"github.com/sluicehq/sluice/services/device/uplink"
)

func eventsOf(t *testing.T, s assembly.Store, id string) []device.Event {
	t.Helper()
	pages, err := s.Events(t.Context(), []string{id}, page.Request{First: 100})
	if err != nil {
		t.Fatal(err)
	}
	return pages[id].Items
}

func notes(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	for _, id := range []string{d.ID, ids.New(ids.Device)} { // the second device does not exist
		e := device.Event{ID: ids.New(ids.Event), DeviceID: id, At: dawn(), Type: uplink.Refused, Message: "m", Actor: id, Data: `{}`}
		if err := s.Note(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if all := eventsOf(t, s, d.ID); len(all) != 2 || all[0].Type != uplink.Refused {
		t.Errorf("kept %+v", all)
	}
	if got := mustGet(t, s, d.ID); got.Version != 1 {
		t.Errorf("the device is at version %d", got.Version)
	}
}

func secrets(t *testing.T, s assembly.Store) {
	d, without := named("d", 0), named("without", 0)
	made := change(d, device.Registered)
	made.SecretHash = "first"
	if _, err := s.Create(t.Context(), idempotency.Key{}, *made); err != nil {
		t.Fatal(err)
	}
	create(t, s, without)
	has := func(id, want string) {
		t.Helper()
		if hash, err := s.SecretHash(t.Context(), id); err != nil || hash != want {
			t.Errorf("the hash of %s is %q, %v; want %q", id, hash, err, want)
		}
	}
	has(d.ID, "first")
	has(without.ID, "")
	has(ids.New(ids.Device), "")
	mustChange(t, s, d.ID, rename("other")) // must not change the secret
	has(d.ID, "first")
	mustChange(t, s, d.ID, func(d device.Device) (*device.Change, error) {
		d.Version, d.UpdatedAt = d.Version+1, dawn().Add(time.Hour)
		c := change(d, registry.SecretRotated)
		c.SecretHash = "second"
		return c, nil
	})
	has(d.ID, "second")
	mustChange(t, s, d.ID, remove)
	has(d.ID, "")
}

func recordsAll(t *testing.T, s assembly.Store) {
	a, b := named("a", 0), named("b", 0)
	create(t, s, a, b)
	one := []telemetry.Reading{{Key: "k", At: dawn(), Value: 1}, {Key: "k", At: dawn().Add(time.Second), Value: 2}}
	all := []telemetry.Recording{
		{DeviceID: a.ID, Readings: one, ArrivedAt: dawn()}, {DeviceID: b.ID, Readings: one, ArrivedAt: dawn()},
		{DeviceID: ids.New(ids.Device), Readings: one, ArrivedAt: dawn()}, // unknown device; the rest is stored
		{DeviceID: a.ID, Readings: one[:1], ArrivedAt: dawn().Add(time.Minute)},
	}
	for _, want := range []int64{4, 0} { // the second time is a redelivery
		if stored, _, err := s.RecordAll(t.Context(), all); err != nil || stored != want {
			t.Errorf("stored %d, %v; want %d", stored, err, want)
		}
	}
	series := query(t, s, always(0, telemetry.Avg, "k"), a.ID, b.ID)
	if len(series) != 2 || len(series[0].Points) != 2 {
		t.Fatalf("kept %+v", series)
	}
	for _, p := range series[0].Points { // unchanged by the redelivery
		if p.ArrivedAt == nil || !p.ArrivedAt.Equal(dawn()) {
			t.Errorf("%v arrived at %v", p.At, p.ArrivedAt)
		}
	}
	record(t, s, a.ID, telemetry.Reading{Key: "written", At: dawn(), Value: 1})
	if series := query(t, s, always(0, telemetry.Avg, "written"), a.ID); series[0].Points[0].ArrivedAt != nil {
		t.Errorf("what was written down arrived: %+v", series)
	}
	if series := query(t, s, always(time.Hour, telemetry.Last, "k"), a.ID); series[0].Points[0].ArrivedAt != nil {
		t.Errorf("a step arrived: %+v", series)
	}
}

func observes(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	at := func(minutes int) device.Position {
		when := dawn().Add(time.Duration(minutes) * time.Minute)
		return device.Position{Latitude: float64(minutes), Longitude: 11, At: &when}
	}
	for _, step := range []struct {
		published []device.Position
		want      float64
	}{
		{[]device.Position{at(2), at(1)}, 2},
		{[]device.Position{at(2)}, 2}, // repeated
		{[]device.Position{at(0)}, 2}, // late
		{[]device.Position{at(3)}, 3},
	} {
		if err := s.Observe(t.Context(), d.ID, step.published, dawn()); err != nil {
			t.Fatal(err)
		}
		if got := mustGet(t, s, d.ID); got.Position == nil || got.Position.Latitude != step.want || got.Version != 1 {
			t.Errorf("after %v it is at %+v, version %d", step.published, got.Position, got.Version)
		}
	}
	if err := s.Observe(t.Context(), ids.New(ids.Device), []device.Position{at(1)}, dawn()); err != nil {
		t.Errorf("of no device: %v", err)
	}
}

func reports(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	for _, state := range []uplink.ReportedState{{Board: `{"cpu":1}`, Firmware: "1.0"}, {Board: `{"cpu":2}`}} {
		if err := s.Report(t.Context(), d.ID, state, dawn()); err != nil {
			t.Fatal(err)
		}
		if got := mustGet(t, s, d.ID); got.Board != state.Board || got.Firmware != "1.0" || got.Version != 1 {
			t.Errorf("kept %q, %q at version %d", got.Board, got.Firmware, got.Version)
		}
	}
	if got := mustChange(t, s, d.ID, rename("n")); got.Board != `{"cpu":2}` { // must not change the board
		t.Errorf("the change gives the board %q", got.Board)
	}
}

func presences(t *testing.T, s assembly.Store) {
	states, ok := s.(presence.Store)
	if !ok {
		t.Fatal("the store keeps no presences")
	}
	a, b := named("a", 0), named("b", 0)
	create(t, s, a, b)
	set := func(after presence.State, seen *time.Time, devices ...string) {
		t.Helper()
		err := states.ChangePresence(t.Context(), devices, dawn(), func(string, presence.State) (presence.State, *time.Time) { return after, seen })
		if err != nil {
			t.Fatal(err)
		}
	}
	count := func() int { return len(eventsOf(t, s, a.ID)) }
	due := dawn().Add(time.Minute)
	seen := dawn().Add(time.Second)

	before := count()
	set(presence.State{Presence: presence.Online, Published: presence.Online, At: dawn()}, &seen, b.ID, a.ID, ids.New(ids.Device))
	if got := mustGet(t, s, a.ID); got.Presence != device.Online || got.LastSeenAt == nil || !got.LastSeenAt.Equal(seen) || got.Version != 1 {
		t.Errorf("it is %+v", got)
	}
	if n := count(); n != before+1 {
		t.Errorf("%d events for coming, want one", n-before)
	}
	set(presence.State{Presence: presence.Unknown, Published: presence.Online, At: dawn(), Due: &due}, nil, a.ID)
	if got := mustGet(t, s, a.ID); got.Presence != device.Unknown || got.LastSeenAt == nil || count() != before+1 {
		t.Errorf("it is %+v with %d events", got, count())
	}
	if all, err := states.Present(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("present are %v, %v", all, err)
	}
	for now, want := range map[time.Time]int{due.Add(-1 * time.Second): 0, due: 1} {
		if all, err := states.Due(t.Context(), now, 10); err != nil || len(all) != want {
			t.Errorf("due are %v, %v; want %d", all, err, want)
		}
	}
	var read presence.State
	err := states.ChangePresence(t.Context(), []string{a.ID}, dawn(), func(_ string, before presence.State) (presence.State, *time.Time) {
		read = before
		return before.Expired(due), nil
	})
	if err != nil || read.Presence != presence.Unknown || read.Published != presence.Online || !read.At.Equal(dawn()) || read.Due == nil || !read.Due.Equal(due) {
		t.Errorf("read back %+v, %v", read, err)
	}
	if got := mustGet(t, s, a.ID); got.Presence != device.Offline || count() != before+2 {
		t.Errorf("it is %+v with %d events", got, count())
	}
}

// presencesAtOnce changes the same devices concurrently in different orders, without a deadlock.
func presencesAtOnce(t *testing.T, s assembly.Store) {
	states := s.(presence.Store)
	devices := make([]string, 20)
	for i := range devices {
		d := named("d", i)
		create(t, s, d)
		devices[i] = d.ID
	}
	ended := make(chan error)
	for range 4 {
		go func() {
			mixed := slices.Clone(devices)
			rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
			ended <- states.ChangePresence(t.Context(), mixed, dawn(), func(string, presence.State) (presence.State, *time.Time) {
				return presence.State{Presence: presence.Online, Published: presence.Online, At: dawn()}, nil
			})
		}()
	}
	for range 4 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
