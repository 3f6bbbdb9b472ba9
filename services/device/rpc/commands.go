package rpc

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/command"
	"github.com/sluicehq/sluice/services/device/vehicle"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

type commands struct {
	devicev1.UnimplementedCommandsServer
	commands *command.Service
	vehicles *vehicle.Service
}

func (s commands) SendCommand(ctx context.Context, in *devicev1.SendCommandRequest) (*devicev1.Command, error) {
	until, err := types.OptionalTime("queueUntil", in.GetQueueUntil())
	if err != nil {
		return nil, err
	}
	c, err := s.commands.Send(ctx, command.SendInput{
		DeviceID: in.GetDeviceId(), Name: in.GetName(), Arguments: in.GetArgumentsJson(),
		Timeout: time.Duration(in.GetTimeoutSeconds()) * time.Second, QueueUntil: until, IdempotencyKey: in.GetIdempotencyKey(),
	})
	return types.Reply(c, err, shownTo(ctx))
}

func (s commands) CancelCommand(ctx context.Context, in *devicev1.CancelCommandRequest) (*devicev1.Command, error) {
	c, err := s.commands.Cancel(ctx, in.GetId())
	return types.Reply(c, err, shownTo(ctx))
}

func (s commands) BatchGetCommands(ctx context.Context, in *devicev1.BatchGetCommandsRequest) (*devicev1.BatchGetCommandsResponse, error) {
	found, err := s.commands.BatchGet(ctx, in.GetIds())
	if err != nil {
		return nil, err
	}
	return &devicev1.BatchGetCommandsResponse{Commands: types.Each(found, shownTo(ctx))}, nil
}

func (s commands) BatchListCommands(ctx context.Context, in *devicev1.BatchListCommandsRequest) (*devicev1.BatchListCommandsResponse, error) {
	pages, err := s.commands.BatchList(ctx, in.GetDeviceIds(), types.PageRequest(in.GetPage()))
	if err != nil {
		return nil, err
	}
	out := &devicev1.BatchListCommandsResponse{Pages: make([]*devicev1.CommandPage, len(pages))}
	for i, p := range pages {
		out.Pages[i] = &devicev1.CommandPage{DeviceId: p.DeviceID, Commands: types.Each(p.Items, shownTo(ctx)), Page: types.PageInfo(p.Page)}
	}
	return out, nil
}

func (s commands) BatchGetCommandLogs(ctx context.Context, in *devicev1.BatchGetCommandLogsRequest) (*devicev1.LogLines, error) {
	lines, err := s.commands.BatchGetLogs(ctx, in.GetCommandIds(), int(in.GetFirst()))
	return types.Reply(lines, err, linesMessage)
}

func (s commands) BatchGetDeviceLogs(ctx context.Context, in *devicev1.BatchGetDeviceLogsRequest) (*devicev1.LogLines, error) {
	from, err := types.Time("from", in.GetFrom())
	if err != nil {
		return nil, err
	}
	to, err := types.Time("to", in.GetTo())
	if err != nil {
		return nil, err
	}
	lines, err := s.commands.BatchGetDeviceLogs(ctx, in.GetDeviceIds(), from, to, int(in.GetFirst()))
	return types.Reply(lines, err, linesMessage)
}

func (s commands) UnlockVehicle(ctx context.Context, in *devicev1.UnlockVehicleRequest) (*devicev1.Command, error) {
	deadline, err := types.Time("deadline", in.GetDeadline())
	if err != nil {
		return nil, err
	}
	c, err := s.vehicles.Unlock(ctx, in.GetVehicleId(), in.GetReference(), deadline)
	return types.Reply(c, err, shownTo(ctx))
}

func (s commands) LockVehicle(ctx context.Context, in *devicev1.LockVehicleRequest) (*devicev1.LockVehicleResponse, error) {
	if err := s.vehicles.Lock(ctx, in.GetVehicleId(), in.GetReference()); err != nil {
		return nil, err
	}
	return &devicev1.LockVehicleResponse{}, nil
}

// shownTo returns the encoder of commands for the caller of a context: it has no secrets that are not for the caller.
func shownTo(ctx context.Context) func(command.Command) *devicev1.Command {
	who := caller.FromContext(ctx)
	return func(c command.Command) *devicev1.Command { return commandMessage(c.ShownTo(who)) }
}

func linesMessage(lines []command.LogLine) *devicev1.LogLines {
	return &devicev1.LogLines{Lines: types.Each(lines, lineMessage)}
}

func encodeCommand(c command.Command) ([]byte, error) {
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(commandMessage(c.ShownTo(caller.Caller{})))
	if err != nil {
		return nil, fmt.Errorf("write command %s: %w", c.ID, err)
	}
	return encoded, nil
}

func encodeLine(l command.LogLine) ([]byte, error) {
	encoded, err := proto.Marshal(lineMessage(l))
	if err != nil {
		return nil, fmt.Errorf("write a line of the log of %s: %w", l.CommandID, err)
	}
	return encoded, nil
}

func commandMessage(c command.Command) *devicev1.Command {
	return &devicev1.Command{
		Id: c.ID, DeviceId: c.DeviceID, Version: c.Version, Name: c.Name, ArgumentsJson: c.Arguments,
		Status: devicev1.CommandStatus(devicev1.CommandStatus_value["COMMAND_STATUS_"+string(c.Status)]), Caller: c.Caller, Reference: c.Reference,
		QueueUntil: types.Timestamp(c.QueueUntil), Deadline: timestamppb.New(c.Deadline), CreatedAt: timestamppb.New(c.CreatedAt),
		SentAt: types.Timestamp(c.SentAt), AcknowledgedAt: types.Timestamp(c.AcknowledgedAt), FinishedAt: types.Timestamp(c.FinishedAt),
		ResultJson: c.Result, Reason: c.Reason, Error: c.Error,
	}
}

func lineMessage(l command.LogLine) *devicev1.LogLine {
	return &devicev1.LogLine{CommandId: l.CommandID, DeviceId: l.DeviceID, At: timestamppb.New(l.At), Stream: l.Stream, Text: l.Text}
}

func lockMessage(l *device.Lock) devicev1.LockState {
	if l == nil {
		return devicev1.LockState_LOCK_STATE_UNSPECIFIED
	}
	return devicev1.LockState(devicev1.LockState_value["LOCK_STATE_"+string(l.State)])
}
