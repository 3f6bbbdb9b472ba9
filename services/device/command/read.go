package command

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
)

// Commands and logs are visible to staff only.

// Bounds of one response, which must fit a gRPC message.
const (
	maxCommandsAnswered = 1_000
	maxLinesAnswered    = 5_000
)

// BatchGet returns the existing commands that the caller may see.
func (s *Service) BatchGet(ctx context.Context, commandIDs []string) ([]Command, error) {
	who, err := caller.Require(ctx, caller.DeviceRead)
	if err != nil {
		return nil, err
	}
	commandIDs, err = input.IDs("ids", ids.Command, commandIDs)
	if err != nil || len(commandIDs) == 0 || !who.Staff() {
		return nil, err
	}
	return s.store.GetCommands(ctx, commandIDs, who.DeviceLabels)
}

// BatchList returns a page of each device's commands, the newest first.
func (s *Service) BatchList(ctx context.Context, deviceIDs []string, request page.Request) ([]device.Page[Command], error) {
	size, err := request.Size()
	if err != nil {
		return nil, err
	}
	devices, err := s.visibleToStaff(ctx, deviceIDs, size, maxCommandsAnswered)
	if err != nil || len(devices) == 0 {
		return nil, err
	}
	pages, err := s.store.ListCommands(ctx, devices, request)
	if err != nil {
		return nil, err
	}
	return device.PagesOf(devices, pages), nil
}

// BatchGetLogs returns the first lines of each command's log.
func (s *Service) BatchGetLogs(ctx context.Context, commandIDs []string, first int) ([]LogLine, error) {
	first, err := page.Request{First: first}.Size()
	if err != nil {
		return nil, err
	}
	commands, err := s.BatchGet(ctx, commandIDs)
	if err != nil || len(commands) == 0 {
		return nil, err
	}
	if first*len(commands) > maxLinesAnswered {
		return nil, errs.Invalid("first", "requests more than %d lines in one response", maxLinesAnswered)
	}
	visible := make([]string, len(commands))
	for i, c := range commands {
		visible[i] = c.ID
	}
	return s.store.CommandLogs(ctx, visible, first)
}

// BatchGetDeviceLogs returns the first lines that each device logged in [from, to), by time.
func (s *Service) BatchGetDeviceLogs(ctx context.Context, deviceIDs []string, from, to time.Time, first int) ([]LogLine, error) {
	first, err := page.Request{First: first}.Size()
	if err != nil {
		return nil, err
	}
	if from, err = input.Time("from", from); err != nil {
		return nil, err
	}
	if to, err = input.Time("to", to); err != nil {
		return nil, err
	}
	if !from.Before(to) {
		return nil, errs.Invalid("from", "must be before to")
	}
	devices, err := s.visibleToStaff(ctx, deviceIDs, first, maxLinesAnswered)
	if err != nil || len(devices) == 0 {
		return nil, err
	}
	return s.store.DeviceLogs(ctx, devices, from, to, first)
}

// visibleToStaff returns the existing devices that the caller may see, if it is staff. size items per device must not
// exceed most.
func (s *Service) visibleToStaff(ctx context.Context, deviceIDs []string, size, most int) ([]string, error) {
	who, err := caller.Require(ctx, caller.DeviceRead)
	if err != nil {
		return nil, err
	}
	if deviceIDs, err = device.KnownIDs("deviceIds", deviceIDs); err != nil {
		return nil, err
	}
	if size*len(deviceIDs) > most && len(deviceIDs) > 1 {
		return nil, errs.Invalid("first", "requests more than %d in one response", most)
	}
	if !who.Staff() {
		return nil, nil
	}
	devices, err := device.Visible(ctx, s.store, who, "deviceIds", deviceIDs)
	return device.IDsOf(devices), err
}

// within applies device.Within to the device of a command.
func (s *Service) within(ctx context.Context, who caller.Caller, id string) error {
	if len(who.DeviceLabels) == 0 {
		return nil
	}
	found, err := s.store.GetCommands(ctx, []string{id}, who.DeviceLabels)
	if err == nil && len(found) == 0 {
		err = errs.Missing("command", id)
	}
	return err
}
