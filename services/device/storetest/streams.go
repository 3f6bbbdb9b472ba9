package storetest

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/device"
)

func streamReadsBack(t *testing.T, s device.Store) {
	d, other := named("cam", 0), named("idle", 1)
	create(t, s, d, other)
	due := dawn().Add(time.Minute)
	want := device.Stream{
		DeviceID: d.ID, State: device.StreamLive, Since: &due, Viewers: []device.Viewer{{Caller: "a", Name: "tab", Until: due}},
		Answer: `{"url":"x"}`, Starts: []device.StreamStart{{At: dawn(), By: "a"}}, Calls: map[string]time.Time{"a": due}, DueAt: &due,
	}
	event := device.Event{ID: ids.New(ids.Event), DeviceID: d.ID, At: dawn(), Type: device.StreamChanged, Data: "{}"}
	kept, err := s.ChangeStream(t.Context(), d.ID, func(at device.Device, st device.Stream, c *device.Command) (*device.StreamChange, error) {
		if at.ID != d.ID || c != nil || !reflect.DeepEqual(st, device.Stream{DeviceID: d.ID, State: device.StreamStopped}) {
			t.Errorf("at first: %+v, %+v, %+v", at, st, c)
		}
		return &device.StreamChange{Stream: want, Events: []device.Event{event}}, nil
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
	_, err = s.ChangeStream(t.Context(), d.ID, func(device.Device, device.Stream, *device.Command) (*device.StreamChange, error) { return nil, nil })
	if !errors.Is(err, device.Missing(d.ID)) {
		t.Errorf("of a device that is gone: %v", err)
	}
}

func serialisesStreams(t *testing.T, s device.Store) {
	d := named("cam", 0)
	create(t, s, d)
	for _, err := range atOnce(16, func(int) error {
		_, err := s.ChangeStream(t.Context(), d.ID, func(_ device.Device, st device.Stream, _ *device.Command) (*device.StreamChange, error) {
			st.Attempts++
			return &device.StreamChange{Stream: st}, nil
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
