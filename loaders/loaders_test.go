package loaders_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/loaders"
)

// devices has the devices whose ids begin with "device". It records its calls.
type devices struct {
	bff.Devices
	mu    sync.Mutex
	calls []string
	err   error
}

func (d *devices) record(what string, ids []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, what+" "+strings.Join(slices.Sorted(slices.Values(ids)), " "))
}

func (d *devices) GetDevices(_ context.Context, ids []string) ([]*bff.Device, error) {
	d.record("get", ids)
	var found []*bff.Device
	for _, id := range slices.Backward(ids) {
		if strings.HasPrefix(id, "device") {
			found = append(found, &bff.Device{ID: id, Name: "name of " + id})
		}
	}
	return found, d.err
}

func (d *devices) ListDeviceEvents(_ context.Context, ids []string, page bff.PageRequest) (map[string]bff.Page[bff.DeviceEvent], error) {
	d.record(fmt.Sprint("events ", page.First), ids)
	if page.First == 13 {
		return nil, errs.Invalid("first", "is unlucky")
	}
	pages := map[string]bff.Page[bff.DeviceEvent]{}
	for _, id := range ids {
		if strings.HasPrefix(id, "device") {
			pages[id] = bff.Page[bff.DeviceEvent]{Items: []*bff.DeviceEvent{{ID: fmt.Sprint(id, " ", page.First)}}}
		}
	}
	return pages, d.err
}

func (d *devices) QueryTelemetry(_ context.Context, ids []string, q bff.TelemetryQuery) (map[string][]*bff.Series, error) {
	d.record(fmt.Sprint("telemetry ", q.Keys, q.StepSeconds), ids)
	return map[string][]*bff.Series{ids[0]: {{Key: q.Keys[0]}}}, d.err
}

// trips has one open trip, of device 1.
type trips struct{ bff.Trips }

func (trips) GetOpenTripsByVehicle(context.Context, []string) (map[string]*bff.Trip, error) {
	return map[string]*bff.Trip{"device 1": {ID: "trip 1"}}, nil
}

func (trips) GetTracks(_ context.Context, ids []string, maxPoints int) (map[string][]*bff.Position, error) {
	tracks := map[string][]*bff.Position{}
	for _, id := range ids {
		tracks[id] = make([]*bff.Position, maxPoints)
	}
	return tracks, nil
}

// over returns ports that panic when they are called, except for devices and trips.
func over(d bff.Devices, t bff.Trips) loaders.Ports {
	return loaders.Ports{
		Accounts: struct{ bff.Accounts }{}, Devices: d, Trips: t, Jobs: struct{ bff.Jobs }{}, Activities: struct{ bff.Activities }{},
	}
}

func TestEntityThatTheServiceOmitsIsMissing(t *testing.T) {
	t.Parallel()
	port := &devices{}
	found, failures := loaders.Devices(over(port, trips{}))(t.Context(), []string{"device 2", "other", "device 1", "device 2"})
	if found[0].ID != "device 2" || found[2].ID != "device 1" || found[3] != found[0] || failures[0] != nil || failures[2] != nil {
		t.Errorf("found %v, %v", found, failures)
	}
	if e := errs.From(failures[1]); found[1] != nil || e == nil || e.Code != errs.NotFound || !strings.Contains(e.Message, "device") {
		t.Errorf("the missing device is %v, %v", found[1], failures[1])
	}
	if want := []string{"get device 1 device 2 device 2 other"}; !slices.Equal(port.calls, want) {
		t.Errorf("called %q, want %q", port.calls, want)
	}
}

func TestServiceErrorFailsEveryKey(t *testing.T) {
	t.Parallel()
	ports := over(&devices{err: errs.New(errs.Unavailable, "X", "away")}, trips{})
	_, failures := loaders.Devices(ports)(t.Context(), []string{"device 1", "device 2"})
	_, more := loaders.DeviceEvents(ports)(t.Context(), []loaders.PageKey{{ID: "device 1"}})
	for _, err := range append(failures, more...) {
		if e := errs.From(err); e == nil || e.Code != errs.Unavailable {
			t.Errorf("got %v", err)
		}
	}
}

func TestListIsLoadedOnceForEachCombinationOfArguments(t *testing.T) {
	t.Parallel()
	port := &devices{}
	key := func(id string, first int) loaders.PageKey {
		return loaders.PageKey{ID: id, Page: bff.PageRequest{First: first}}
	}
	pages, failures := loaders.DeviceEvents(over(port, trips{}))(t.Context(), []loaders.PageKey{
		key("device 1", 5), key("device 2", 7), key("device 1", 7), key("other", 5), key("device 2", 13),
	})
	for i, want := range []string{"device 1 5", "device 2 7", "device 1 7"} {
		if failures[i] != nil || len(pages[i].Items) != 1 || pages[i].Items[0].ID != want {
			t.Errorf("page %d is %v, %v, want %s", i, pages[i], failures[i], want)
		}
	}
	if len(pages[3].Items) != 0 || failures[3] != nil {
		t.Errorf("the omitted device has %v, %v, want an empty page", pages[3], failures[3])
	}
	if e := errs.From(failures[4]); e == nil || e.Code != errs.InvalidArgument {
		t.Errorf("invalid arguments return %v", failures[4])
	}
	slices.Sort(port.calls)
	if want := []string{"events 13 device 2", "events 5 device 1 other", "events 7 device 1 device 2"}; !slices.Equal(port.calls, want) {
		t.Errorf("called %q, want %q", port.calls, want)
	}
}

func TestTelemetryKeysAreSplit(t *testing.T) {
	t.Parallel()
	port := &devices{}
	series, failures := loaders.DeviceSeries(over(port, trips{}))(t.Context(), []loaders.SeriesKey{
		{DeviceID: "device 1", Keys: "t,h", StepSeconds: 60, To: time.Unix(1, 0)},
		{DeviceID: "device 2", Keys: "t,h", StepSeconds: 60, To: time.Unix(1, 0)},
	})
	if failures[0] != nil || len(series[0]) != 1 || series[0][0].Key != "t" || len(series[1]) != 0 {
		t.Errorf("got %v, %v", series, failures)
	}
	if want := []string{"telemetry [t h] 60 device 1 device 2"}; !slices.Equal(port.calls, want) {
		t.Errorf("called %q, want %q", port.calls, want)
	}
}

func TestVehicleWithoutOpenTripIsNil(t *testing.T) {
	t.Parallel()
	ports := over(&devices{}, trips{})
	open, failures := loaders.OpenTrips(ports)(t.Context(), []string{"device 1", "device 2"})
	if open[0].ID != "trip 1" || open[1] != nil || errors.Join(failures...) != nil {
		t.Errorf("got %v, %v", open, failures)
	}
	tracks, _ := loaders.Tracks(ports)(t.Context(), []loaders.TrackKey{{TripID: "trip 1", MaxPoints: 2}, {TripID: "trip 1", MaxPoints: 3}})
	if len(tracks[0]) != 2 || len(tracks[1]) != 3 {
		t.Errorf("the tracks have %d and %d points", len(tracks[0]), len(tracks[1]))
	}
}
