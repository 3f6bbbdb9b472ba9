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

// devices knows the devices whose ids begin with "device"; it writes down what it is asked.
type devices struct {
	bff.Devices
	mu    sync.Mutex
	asked []string
	err   error
}

func (d *devices) note(what string, ids []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, what+" "+strings.Join(slices.Sorted(slices.Values(ids)), " "))
}

func (d *devices) GetDevices(_ context.Context, ids []string) ([]*bff.Device, error) {
	d.note("get", ids)
	var found []*bff.Device
	for _, id := range slices.Backward(ids) {
		if strings.HasPrefix(id, "device") {
			found = append(found, &bff.Device{ID: id, Name: "name of " + id})
		}
	}
	return found, d.err
}

func (d *devices) ListDeviceEvents(_ context.Context, ids []string, page bff.PageRequest) (map[string]bff.Page[bff.DeviceEvent], error) {
	d.note(fmt.Sprint("events ", page.First), ids)
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
	d.note(fmt.Sprint("telemetry ", q.Keys, q.StepSeconds), ids)
	return map[string][]*bff.Series{ids[0]: {{Key: q.Keys[0]}}}, d.err
}

// trips knows one open trip, that on device 1.
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

// over gives ports that know nothing, and panic when they are asked, but for devices and trips.
func over(d bff.Devices, t bff.Trips) loaders.Ports {
	return loaders.Ports{
		Accounts: struct{ bff.Accounts }{}, Devices: d, Trips: t, Jobs: struct{ bff.Jobs }{}, Activities: struct{ bff.Activities }{},
	}
}

// loadAll asks for all keys at once and gives their answers in order.
func loadAll[K comparable, V any](ctx context.Context, l *loaders.Loader[K, V], keys ...K) (values []V, failures []error) {
	var thunks []func() (V, error)
	for _, key := range keys {
		thunks = append(thunks, l.LoadThunk(ctx, key))
	}
	for _, wait := range thunks {
		v, err := wait()
		values, failures = append(values, v), append(failures, err)
	}
	return values, failures
}

func TestAnEntityThatTheServiceLeavesOutIsMissing(t *testing.T) {
	t.Parallel()
	port := &devices{}
	set := loaders.NewSet(over(port, trips{}))
	found, failures := loadAll(t.Context(), set.Device, "device 2", "other", "device 1", "device 2")
	if found[0].ID != "device 2" || found[2].ID != "device 1" || found[3] != found[0] || failures[0] != nil || failures[2] != nil {
		t.Errorf("found %v, %v", found, failures)
	}
	if e := errs.From(failures[1]); found[1] != nil || e == nil || e.Code != errs.NotFound || !strings.Contains(e.Message, "device") {
		t.Errorf("what there is not is %v, %v", found[1], failures[1])
	}
	if want := []string{"get device 1 device 2 other"}; !slices.Equal(port.asked, want) {
		t.Errorf("asked %q, want %q", port.asked, want)
	}
}

func TestAServiceThatFailsFailsEveryKey(t *testing.T) {
	t.Parallel()
	set := loaders.NewSet(over(&devices{err: errs.New(errs.Unavailable, "X", "away")}, trips{}))
	_, failures := loadAll(t.Context(), set.Device, "device 1", "device 2")
	_, more := loadAll(t.Context(), set.DeviceEvents, loaders.PageKey{ID: "device 1"})
	for _, err := range append(failures, more...) {
		if e := errs.From(err); e == nil || e.Code != errs.Unavailable {
			t.Errorf("got %v", err)
		}
	}
}

func TestListsAreAskedOnceForEachSetOfArguments(t *testing.T) {
	t.Parallel()
	port := &devices{}
	set := loaders.NewSet(over(port, trips{}))
	key := func(id string, first int) loaders.PageKey {
		return loaders.PageKey{ID: id, Page: bff.PageRequest{First: first}}
	}
	pages, failures := loadAll(t.Context(), set.DeviceEvents,
		key("device 1", 5), key("device 2", 7), key("device 1", 7), key("other", 5), key("device 2", 13))
	for i, want := range []string{"device 1 5", "device 2 7", "device 1 7"} {
		if failures[i] != nil || len(pages[i].Items) != 1 || pages[i].Items[0].ID != want {
			t.Errorf("page %d is %v, %v, want %s", i, pages[i], failures[i], want)
		}
	}
	if len(pages[3].Items) != 0 || failures[3] != nil {
		t.Errorf("what the service leaves out has %v, %v, want an empty page", pages[3], failures[3])
	}
	if e := errs.From(failures[4]); e == nil || e.Code != errs.InvalidArgument {
		t.Errorf("bad arguments answer %v", failures[4])
	}
	slices.Sort(port.asked)
	if want := []string{"events 13 device 2", "events 5 device 1 other", "events 7 device 1 device 2"}; !slices.Equal(port.asked, want) {
		t.Errorf("asked %q, want %q", port.asked, want)
	}
}

func TestTelemetryKeysArriveApart(t *testing.T) {
	t.Parallel()
	port := &devices{}
	set := loaders.NewSet(over(port, trips{}))
	series, failures := loadAll(t.Context(), set.DeviceSeries,
		loaders.SeriesKey{DeviceID: "device 1", Keys: "t,h", StepSeconds: 60, To: time.Unix(1, 0)},
		loaders.SeriesKey{DeviceID: "device 2", Keys: "t,h", StepSeconds: 60, To: time.Unix(1, 0)})
	if failures[0] != nil || len(series[0]) != 1 || series[0][0].Key != "t" || len(series[1]) != 0 {
		t.Errorf("got %v, %v", series, failures)
	}
	if want := []string{"telemetry [t h] 60 device 1 device 2"}; !slices.Equal(port.asked, want) {
		t.Errorf("asked %q, want %q", port.asked, want)
	}
}

func TestAVehicleMayBeOnNoTrip(t *testing.T) {
	t.Parallel()
	set := loaders.NewSet(over(&devices{}, trips{}))
	open, failures := loadAll(t.Context(), set.TripOnVehicle, "device 1", "device 2")
	if open[0].ID != "trip 1" || open[1] != nil || errors.Join(failures...) != nil {
		t.Errorf("got %v, %v", open, failures)
	}
	tracks, _ := loadAll(t.Context(), set.Track, loaders.TrackKey{TripID: "trip 1", MaxPoints: 2}, loaders.TrackKey{TripID: "trip 1", MaxPoints: 3})
	if len(tracks[0]) != 2 || len(tracks[1]) != 3 {
		t.Errorf("the tracks have %d and %d points", len(tracks[0]), len(tracks[1]))
	}
}

func TestASetForgets(t *testing.T) {
	t.Parallel()
	port := &devices{}
	ports := over(port, trips{})
	ctx := loaders.NewContext(t.Context(), loaders.NewSet(ports))
	for range 2 {
		loadAll(ctx, loaders.FromContext(ctx).Device, "device 1")
	}
	loaders.FromContext(ctx).Forget(ports)
	loadAll(ctx, loaders.FromContext(ctx).Device, "device 1")
	if want := []string{"get device 1", "get device 1"}; !slices.Equal(port.asked, want) {
		t.Errorf("asked %q, want %q", port.asked, want)
	}
}

// A panic of a port is an error of the keys that needed it, and of no other.
func TestAPanicStaysWhereItIs(t *testing.T) {
	t.Parallel()
	set := loaders.NewSet(over(&devices{}, struct{ bff.Trips }{}))
	_, failures := loadAll(t.Context(), set.Trip, "trip 1", "trip 2")
	if _, others := loadAll(t.Context(), set.Device, "device 1"); others[0] != nil {
		t.Error(others[0])
	}
	for _, err := range failures {
		if e := errs.From(err); e == nil || e.Code != errs.Internal || strings.Contains(e.Message, "panic") || !strings.Contains(err.Error(), "goroutine") {
			t.Errorf("got %v", err)
		}
	}
}
