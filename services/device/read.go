package device

import (
	"context"
	"fmt"
	"slices"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/internal/page"
)

// maxEvents bounds the events of one answer, so that it fits a message.
const maxEvents = 20_000

// sees tells whether the device exists for the caller.
func sees(who caller.Caller, d Device) bool {
	return (who.Staff() || d.Kind == Vehicle) && who.SeesLabels(d.Labels)
}

// BatchGet gives those of the devices that there are and the caller may see.
func (s *Service) BatchGet(ctx context.Context, deviceIDs []string) ([]Device, error) {
	who, err := caller.Require(ctx, caller.DeviceRead)
	if err != nil {
		return nil, err
	}
	return s.seen(ctx, who, "ids", deviceIDs)
}

// seen is those of the devices that there are and who may see.
func (s *Service) seen(ctx context.Context, who caller.Caller, field string, deviceIDs []string) ([]Device, error) {
	deviceIDs, err := known(field, deviceIDs)
	if err != nil || len(deviceIDs) == 0 {
		return nil, err
	}
	devices, err := s.store.Get(ctx, deviceIDs)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(devices, func(d Device) bool { return !sees(who, d) }), nil
}

// within refuses a device that does not exist for a limited caller, before a lock or a rule could take
// longer over one that there is. Others are not asked about: what the store does finds out whether there
// is such a device.
func (s *Service) within(ctx context.Context, who caller.Caller, id string) error {
	if len(who.DeviceLabels) == 0 {
		return nil
	}
	found, err := s.seen(ctx, who, "deviceId", []string{id})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return Missing(id)
	}
	return nil
}

// commandWithin is within for a command and its device.
func (s *Service) commandWithin(ctx context.Context, who caller.Caller, id string) error {
	if len(who.DeviceLabels) == 0 {
		return nil
	}
	found, err := s.store.GetCommands(ctx, []string{id}, who.DeviceLabels)
	if err == nil && len(found) == 0 {
		err = errs.Missing("command", id)
	}
	return err
}

func idsOf(devices []Device) []string {
	all := make([]string, len(devices))
	for i, d := range devices {
		all[i] = d.ID
	}
	return all
}

// List gives a page of the devices that the caller may see.
func (s *Service) List(ctx context.Context, filter Filter, order Order, request page.Request) (page.Page[Device], error) {
	who, err := caller.Require(ctx, caller.DeviceRead)
	if err != nil {
		return page.Page[Device]{}, err
	}
	if err := filter.check(); err != nil {
		return page.Page[Device]{}, err
	}
	if order != ByName && order != Newest {
		return page.Page[Device]{}, errs.Invalid("orderBy", "must be NAME or NEWEST")
	}
	filter, some := filter.narrowed(who)
	if !some {
		return page.Empty[Device](request)
	}
	return s.store.List(ctx, filter, order, request)
}

func (f Filter) check() error {
	if len(f.Kinds) > maxChosen {
		return errs.Invalid("filter.kinds", "are more than %d", maxChosen)
	}
	for i, kind := range f.Kinds {
		if err := checkKind(fmt.Sprintf("filter.kinds[%d]", i), kind); err != nil {
			return err
		}
	}
	if len(f.Presences) > maxChosen {
		return errs.Invalid("filter.presences", "are more than %d", maxChosen)
	}
	for i, presence := range f.Presences {
		if err := checkPresence(fmt.Sprintf("filter.presences[%d]", i), presence); err != nil {
			return err
		}
	}
	if err := checkLabels("filter.labels", f.Labels); err != nil {
		return err
	}
	return input.Line("filter.nameContains", f.NameContains, maxName)
}

// narrowed is the filter for what the caller may see of it; some is false when that is nothing.
func (f Filter) narrowed(who caller.Caller) (narrow Filter, some bool) {
	if f, some = f.within(who.DeviceLabels); !some || who.Staff() {
		return f, some
	}
	if len(f.Kinds) > 0 && !slices.Contains(f.Kinds, Vehicle) {
		return f, false
	}
	f.Kinds = []Kind{Vehicle}
	return f, true
}

// within is the filter for devices that have these labels too.
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
	filter, _ := Filter{}.narrowed(who)
	return s.store.Count(ctx, filter)
}

// EventPage is a page of one device's events.
type EventPage struct {
	DeviceID string
	page.Page[Event]
}

// BatchListEvents gives a page of each device's events, the newest first, for those of the devices
// that there are. The cursor of the request holds for each of them. Events are for staff: for others
// no device has any to show, as if there were none.
func (s *Service) BatchListEvents(ctx context.Context, deviceIDs []string, request page.Request) ([]EventPage, error) {
	who, err := caller.Require(ctx, caller.DeviceRead)
	if err != nil {
		return nil, err
	}
	size, err := request.Size()
	if err != nil {
		return nil, err
	}
	if deviceIDs, err = known("deviceIds", deviceIDs); err != nil {
		return nil, err
	}
	if size*len(deviceIDs) > maxEvents {
		return nil, errs.Invalid("first", "asks for more than %d events in one answer", maxEvents)
	}
	if !who.Staff() {
		return nil, nil
	}
	devices, err := s.seen(ctx, who, "deviceIds", deviceIDs)
	if err != nil || len(devices) == 0 {
		return nil, err
	}
	pages, err := s.store.Events(ctx, idsOf(devices), request)
	if err != nil {
		return nil, err
	}
	answer := make([]EventPage, len(devices))
	for i, d := range devices {
		answer[i] = EventPage{DeviceID: d.ID, Page: pages[d.ID]}
	}
	return answer, nil
}
