package storetest

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/camera"
	"github.com/sluicehq/sluice/services/device/command"
)

func streamReadsBack(t *testing.T, s assembly.Store) {
	d, other := named("cam", 0), named("idle", 1)
	create(t, s, d, other)
	due := dawn().Add(time.Minute)
	want := camera.Stream{
		DeviceID: d.ID, State: camera.StreamLive, Since: &due, Viewers: []camera.Viewer{{Caller: "a", Name: "tab", Until: due}},
		Answer: `{"url":"x"}`, Starts: []camera.StreamStart{{At: dawn(), By: "a"}}, Calls: map[string]time.Time{"a": due}, DueAt: &due,
	}
	event := device.Event{ID: ids.New(ids.Event), DeviceID: d.ID, At: dawn(), Type: camera.StreamChanged, Data: "{}"}
	kept, err := s.ChangeStream(t.Context(), d.ID, func(at device.Device, st camera.Stream, c *command.Command) (*camera.StreamChange, error) {
		if at.ID != d.ID || c != nil || !reflect.DeepEqual(st, camera.Stream{DeviceID: d.ID, State: camera.StreamStopped}) {
			t.Errorf("at first: %+v, %+v, %+v", at, st, c)
		}
		return &camera.StreamChange{Stream: want, Events: []device.Event{event}}, nil
	})
	if err != nil || !reflect.DeepEqual(kept, want) {
		t.Errorf("kept %+v, %v", kept, err)
	}
	found, err := s.GetStreams(t.Context(), []string{d.ID})
	if err != nil || len(found) != 1 || !reflect.DeepEqual(found[0], want) {
		t.Errorf("got %+v, %v\nwant %+v", found, err, want)
	}
	for at, some := range map[time.Time]int{due.Add(-time.Second): 0, due: 1} {
		if ids, err := s.DueStreams(t.Context(), at, 10); err != nil || len(ids) != some {
			t.Errorf("due at %s: %v, %v", at, ids, err)
		}
	}
	mustChange(t, s, d.ID, remove)
	if ids, err := s.DueStreams(t.Context(), due, 10); err != nil || len(ids) != 0 {
		t.Errorf("due of a device that is gone: %v, %v", ids, err)
	}
	_, err = s.ChangeStream(t.Context(), d.ID, func(device.Device, camera.Stream, *command.Command) (*camera.StreamChange, error) { return nil, nil })
	if !errors.Is(err, device.Missing(d.ID)) {
		t.Errorf("of a device that is gone: %v", err)
	}
}

func serialisesStreams(t *testing.T, s assembly.Store) {
	d := named("cam", 0)
	create(t, s, d)
	for _, err := range atOnce(16, func(int) error {
		_, err := s.ChangeStream(t.Context(), d.ID, func(_ device.Device, st camera.Stream, _ *command.Command) (*camera.StreamChange, error) {
			st.Attempts++
			return &camera.StreamChange{Stream: st}, nil
		})
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	if found, err := s.GetStreams(t.Context(), []string{d.ID}); err != nil || found[0].Attempts != 16 {
		t.Errorf("after 16 changes: %+v, %v", found, err)
	}
}
