package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/registry"
	"github.com/sluicehq/sluice/services/device/telemetry"
)

func full() device.Device {
	d := named("Prüfstand 7", 0)
	at, accuracy := dawn().Add(-time.Hour), 4.5
	d.Labels = map[string]string{"site": "north", "": "odd", "line": `a "b" \ %`}
	d.Position = &device.Position{Latitude: 48.137, Longitude: -11.575, At: &at, Accuracy: &accuracy, Place: "gate"}
	d.LastSeenAt = &at
	return d
}

func readsBack(t *testing.T, s assembly.Store) {
	want := full()
	create(t, s, want)
	if got := mustGet(t, s, want.ID); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if _, ok := get(t, s, ids.New(ids.Device)); ok {
		t.Error("a device that nobody made is there")
	}
}

func repeats(t *testing.T, s assembly.Store) {
	key := idempotency.Key{Caller: "a", Value: "k", Fingerprint: "f"}
	want := full()
	if _, err := s.Create(t.Context(), key, *change(want, device.Registered)); err != nil {
		t.Fatal(err)
	}
	got, err := s.Create(t.Context(), key, *change(named("another", 1), device.Registered))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	key.Fingerprint = "g"
	_, err = s.Create(t.Context(), key, *change(named("another", 1), device.Registered))
	if !errors.Is(err, errs.New(errs.Aborted, errs.ReasonKeyReused, "")) {
		t.Errorf("another input: %v", err)
	}
}

func storesChanges(t *testing.T, s assembly.Store) {
	d := full()
	create(t, s, d)
	got := mustChange(t, s, d.ID, func(d device.Device) (*device.Change, error) {
		d.Labels, d.Position = map[string]string{"site": "south"}, nil
		return rename("Prüfstand 8")(d)
	})
	if got.Version != 2 || got.Name != "Prüfstand 8" || got.Position != nil || got.Labels["site"] != "south" || len(got.Labels) != 1 {
		t.Errorf("changed to %+v", got)
	}
	if read := mustGet(t, s, d.ID); !reflect.DeepEqual(read, got) {
		t.Errorf("got %+v\nread %+v", got, read)
	}
	for value, want := range map[string]int{"north": 0, "south": 1} {
		found := list(t, s, registry.Filter{Labels: map[string]string{"site": value}})
		if len(found) != want {
			t.Errorf("site %s: %d devices, want %d", value, len(found), want)
		}
	}
}

func recordsRefusals(t *testing.T, s assembly.Store) {
	d := full()
	create(t, s, d)
	refusal := errors.New("no")
	if _, err := s.Change(t.Context(), d.ID, func(device.Device) (*device.Change, error) { return nil, refusal }); !errors.Is(err, refusal) {
		t.Errorf("got %v, want the refusal", err)
	}
	if got := mustChange(t, s, d.ID, func(device.Device) (*device.Change, error) { return nil, nil }); !reflect.DeepEqual(got, d) {
		t.Errorf("no change gives %+v", got)
	}
	if got := mustGet(t, s, d.ID); !reflect.DeepEqual(got, d) {
		t.Errorf("kept %+v", got)
	}
	missing := ids.New(ids.Device)
	if _, err := s.Change(t.Context(), missing, rename("x")); !errors.Is(err, device.Missing(missing)) {
		t.Errorf("got %v, want NOT_FOUND", err)
	}
}

func atOnce(n int, do func(i int) error) []error {
	failures := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			failures[i] = do(i)
		})
	}
	close(start)
	all.Wait()
	return failures
}

func serialisesChanges(t *testing.T, s assembly.Store) {
	d := full()
	create(t, s, d)
	const writers = 24
	for _, err := range atOnce(writers, func(i int) error {
		_, err := s.Change(t.Context(), d.ID, rename(fmt.Sprintf("name %d", i)))
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	if got := mustGet(t, s, d.ID); got.Version != writers+1 {
		t.Errorf("at version %d after %d changes", got.Version, writers)
	}
}

func oneWins(t *testing.T, s assembly.Store) {
	d := full()
	create(t, s, d)
	won := 0
	for _, err := range atOnce(16, func(i int) error {
		_, err := s.Change(t.Context(), d.ID, func(now device.Device) (*device.Change, error) {
			if now.Version != d.Version {
				return nil, errs.Conflict("device", d.Version, now.Version)
			}
			return rename(fmt.Sprintf("name %d", i))(now)
		})
		return err
	}) {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, errs.New(errs.Aborted, errs.ReasonVersionConflict, "")):
			t.Error(err)
		}
	}
	if got := mustGet(t, s, d.ID); won != 1 || got.Version != 2 {
		t.Errorf("%d won, and the device is at version %d", won, got.Version)
	}
}

func deletes(t *testing.T, s assembly.Store) {
	d := full()
	create(t, s, d)
	if got := mustChange(t, s, d.ID, remove); !got.Deleted || got.Version != 2 {
		t.Errorf("deleted as %+v", got)
	}
	if _, ok := get(t, s, d.ID); ok {
		t.Error("it is still there")
	}
	if found := list(t, s, registry.Filter{}); len(found) != 0 {
		t.Errorf("it is listed: %+v", found)
	}
	if found := list(t, s, registry.Filter{Labels: map[string]string{"site": "north"}}); len(found) != 0 {
		t.Errorf("it is listed by label: %+v", found)
	}
	if n, err := s.Count(t.Context(), registry.Filter{}); err != nil || n != (registry.Counts{}) {
		t.Errorf("counted %+v, %v", n, err)
	}
	if _, err := s.Change(t.Context(), d.ID, remove); !errors.Is(err, device.Missing(d.ID)) {
		t.Errorf("deleted twice: %v", err)
	}
	events, err := s.Events(t.Context(), []string{d.ID}, page.Request{})
	if err != nil || len(events[d.ID].Items) != 2 {
		t.Errorf("its events are %+v, %v", events[d.ID], err)
	}
}

func deletedDeviceRefusesChanges(t *testing.T, s assembly.Store) {
	d := full()
	create(t, s, d)
	mustChange(t, s, d.ID, remove)
	if _, err := s.Change(t.Context(), d.ID, rename("x")); !errors.Is(err, device.Missing(d.ID)) {
		t.Errorf("changed: %v", err)
	}
	if _, err := s.Record(t.Context(), d.ID, []telemetry.Reading{{Key: "k", At: dawn(), Value: 1}}, nil); !errors.Is(err, device.Missing(d.ID)) {
		t.Errorf("recorded: %v", err)
	}
}
