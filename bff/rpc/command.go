package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/bff"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
)

// commands calls the device service for commands.
type commands struct{ client devicev1.CommandsClient }

var _ bff.Commands = commands{}

// SendCommand implements bff.Commands.
func (c commands) SendCommand(ctx context.Context, input bff.SendCommandInput) (*bff.Command, error) {
	request := &devicev1.SendCommandRequest{
		DeviceId: input.DeviceID, Name: input.Name, QueueUntil: timestamp(input.QueueUntil), IdempotencyKey: text(input.IdempotencyKey),
	}
	if named(input.Arguments) {
		request.ArgumentsJson = string(input.Arguments)
	}
	if input.TimeoutSeconds != nil {
		request.TimeoutSeconds = positive(*input.TimeoutSeconds)
	}
	return one(command)(c.client.SendCommand(ctx, request))
}

// CancelCommand implements bff.Commands.
func (c commands) CancelCommand(ctx context.Context, id string) (*bff.Command, error) {
	return one(command)(c.client.CancelCommand(ctx, &devicev1.CancelCommandRequest{Id: id}))
}

// GetCommands implements bff.Commands.
func (c commands) GetCommands(ctx context.Context, ids []string) ([]*bff.Command, error) {
	m, err := c.client.BatchGetCommands(ctx, &devicev1.BatchGetCommandsRequest{Ids: ids})
	if err != nil {
		return nil, err
	}
	return each(m.GetCommands(), command), nil
}

// ListDeviceCommands implements bff.Commands.
func (c commands) ListDeviceCommands(ctx context.Context, deviceIDs []string, request bff.PageRequest) (map[string]bff.Page[bff.Command], error) {
	m, err := c.client.BatchListCommands(ctx, &devicev1.BatchListCommandsRequest{DeviceIds: deviceIDs, Page: pageRequest(request)})
	if err != nil {
		return nil, err
	}
	pages := make(map[string]bff.Page[bff.Command], len(m.GetPages()))
	for _, p := range m.GetPages() {
		pages[p.GetDeviceId()] = page(p.GetCommands(), p.GetPage(), command)
	}
	return pages, nil
}

// GetCommandLogs implements bff.Commands.
func (c commands) GetCommandLogs(ctx context.Context, commandIDs []string, first int) (map[string][]*bff.LogLine, error) {
	m, err := c.client.BatchGetCommandLogs(ctx, &devicev1.BatchGetCommandLogsRequest{CommandIds: commandIDs, First: *number(&first)})
	if err != nil {
		return nil, err
	}
	return linesBy(m, func(l *bff.LogLine) string { return l.CommandID }), nil
}

// GetDeviceLogs implements bff.Commands.
func (c commands) GetDeviceLogs(ctx context.Context, deviceIDs []string, query bff.LogQuery) (map[string][]*bff.LogLine, error) {
	m, err := c.client.BatchGetDeviceLogs(ctx, &devicev1.BatchGetDeviceLogsRequest{
		DeviceIds: deviceIDs, From: timestamppb.New(query.From), To: timestamppb.New(query.To), First: *number(&query.First),
	})
	if err != nil {
		return nil, err
	}
	return linesBy(m, func(l *bff.LogLine) string { return l.DeviceID }), nil
}

func linesBy(m *devicev1.LogLines, of func(*bff.LogLine) string) map[string][]*bff.LogLine {
	lines := map[string][]*bff.LogLine{}
	for _, l := range each(m.GetLines(), logLine) {
		lines[of(l)] = append(lines[of(l)], l)
	}
	return lines
}

func command(m *devicev1.Command) *bff.Command {
	return &bff.Command{
		ID: m.GetId(), DeviceID: m.GetDeviceId(), Name: m.GetName(), Arguments: optionalJSON(m.GetArgumentsJson()),
		Status: enum[bff.CommandStatus](m.GetStatus().String(), "COMMAND_STATUS_"), Version: int(m.GetVersion()), Caller: m.GetCaller(),
		CreatedAt: m.GetCreatedAt().AsTime(), QueueUntil: optionalTime(m.GetQueueUntil()), Deadline: m.GetDeadline().AsTime(),
		SentAt: optionalTime(m.GetSentAt()), AcknowledgedAt: optionalTime(m.GetAcknowledgedAt()), FinishedAt: optionalTime(m.GetFinishedAt()),
		Result: optionalJSON(m.GetResultJson()), Reason: optionalText(m.GetReason()), Error: optionalText(m.GetError()),
	}
}

func logLine(m *devicev1.LogLine) *bff.LogLine {
	return &bff.LogLine{CommandID: m.GetCommandId(), DeviceID: m.GetDeviceId(), At: m.GetAt().AsTime(), Stream: m.GetStream(), Text: m.GetText()}
}

func lockState(s devicev1.LockState) *bff.LockState {
	if s == devicev1.LockState_LOCK_STATE_UNSPECIFIED {
		return nil
	}
	state := enum[bff.LockState](s.String(), "LOCK_STATE_")
	return &state
}
