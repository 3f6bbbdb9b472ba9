package registry

import (
	"context"
	"fmt"
	"slices"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
)

// maxChosen bounds the kinds, or the presences, of a filter.
const maxChosen = 1_000

// Counts counts devices by presence.
type Counts struct {
	Total, Online, Offline, Unknown int64
}

// maxEvents bounds the events of one response, which must fit a gRPC message.
const maxEvents = 20_000

// BatchGet returns the existing devices that the caller may see.
func (s *Service) BatchGet(ctx context.Context, deviceIDs []string) ([]device.Device, error) {
	who, err := caller.Require(ctx, caller.DeviceRead)
	if err != nil {
		return nil, err
	}
	return device.Visible(ctx, s.store, who, "ids", deviceIDs)
}

// List returns a page of the devices that the caller may see.
func (s *Service) List(ctx context.Context, filter Filter, order Order, request page.Request) (page.Page[device.Device], error) {
	who, err := caller.Require(ctx, caller.DeviceRead)
	if err != nil {
		return page.Page[device.Device]{}, err
	}
	if err := filter.check(); err != nil {
		return page.Page[device.Device]{}, err
	}
	if order != ByName && order != Newest {
		return page.Page[device.Device]{}, errs.Invalid("orderBy", "must be NAME or NEWEST")
	}
	filter, some := filter.Narrow(entity.Device.Visibility(who))
	if !some {
		return page.Empty[device.Device](request)
	}
	found, err := s.store.List(ctx, filter, order, request)
	for i, d := range found.Items {
		found.Items[i] = d.SeenBy(who)
	}
	return found, err
}

func (f Filter) check() error {
	if len(f.Kinds) > maxChosen {
		return errs.Invalid("filter.kinds", "are more than %d", maxChosen)
	}
	for i, kind := range f.Kinds {
		if err := device.CheckKind(fmt.Sprintf("filter.kinds[%d]", i), kind); err != nil {
			return err
		}
	}
	if len(f.Presences) > maxChosen {
		return errs.Invalid("filter.presences", "are more than %d", maxChosen)
	}
	for i, presence := range f.Presences {
		if err := device.CheckPresence(fmt.Sprintf("filter.presences[%d]", i), presence); err != nil {
			return err
		}
	}
	if err := device.CheckLabels("filter.labels", f.Labels); err != nil {
		return err
	}
	return input.Line("filter.nameContains", f.NameContains, device.MaxName)
}

// Narrow returns the filter limited to the visible devices; some is false if it selects none of them.
func (f Filter) Narrow(visible entity.Visibility) (narrow Filter, some bool) {
	if f, some = f.within(visible.Labels); !some || visible.All {
		return f, some
	}
	asked := f.Kinds
	f.Kinds, f.Public = nil, true
	for _, kind := range visible.Kinds {
		if len(asked) == 0 || slices.Contains(asked, device.Kind(kind)) {
			f.Kinds = append(f.Kinds, device.Kind(kind))
		}
	}
	return f, len(f.Kinds) > 0
}

func (f Filter) within(labels map[string]string) (narrow Filter, some bool) {
	if len(labels) == 0 {
		return f, true
	}
	both := own(f.Labels)
	for key, value := range labels {
		if asked, ok := both[key]; ok && asked != value {
			return f, false
		}
		both[key] = value
	}
	f.Labels = both
	return f, true
}

// Count counts the devices that the caller may see.
func (s *Service) Count(ctx context.Context) (Counts, error) {
	who, err := caller.Require(ctx, caller.DeviceRead)
	if err != nil {
		return Counts{}, err
	}
	filter, _ := Filter{}.Narrow(entity.Device.Visibility(who))
	return s.store.Count(ctx, filter)
}

// BatchListEvents returns a page of each existing device's events, the newest first. The cursor of the request
// applies to each device. Only staff have events.
func (s *Service) BatchListEvents(ctx context.Context, deviceIDs []string, request page.Request) ([]device.Page[device.Event], error) {
	who, err := caller.Require(ctx, caller.DeviceRead)
	if err != nil {
		return nil, err
	}
	size, err := request.Size()
	if err != nil {
		return nil, err
	}
	if deviceIDs, err = device.KnownIDs("deviceIds", deviceIDs); err != nil {
		return nil, err
	}
	if size*len(deviceIDs) > maxEvents {
		return nil, errs.Invalid("first", "requests more than %d events in one response", maxEvents)
	}
	if !who.Staff() {
		return nil, nil
	}
	devices, err := device.Visible(ctx, s.store, who, "deviceIds", deviceIDs)
	if err != nil || len(devices) == 0 {
		return nil, err
	}
	known := device.IDsOf(devices)
	pages, err := s.store.Events(ctx, known, request)
	if err != nil {
		return nil, err
	}
	return device.PagesOf(known, pages), nil
}
