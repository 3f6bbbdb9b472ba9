package rpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
)

// deviceCalls calls the audit log of the device service.
type deviceCalls struct{ client devicev1.CallsClient }

func newDeviceCalls(conn grpc.ClientConnInterface) deviceCalls {
	return deviceCalls{client: devicev1.NewCallsClient(conn)}
}

// ListDeviceCalls implements bff.DeviceCalls.
func (d deviceCalls) ListDeviceCalls(ctx context.Context, filter *bff.DeviceCallFilter, request bff.PageRequest) (bff.Page[bff.DeviceCall], error) {
	in := &devicev1.ListCallsRequest{Page: pageRequest(request)}
	if filter != nil {
		in.DeviceId, in.ApiKeyId, in.Outcome = text(filter.DeviceID), text(filter.ApiKeyID), text(filter.Outcome)
	}
	m, err := d.client.ListCalls(ctx, in)
	if err != nil {
		return bff.Page[bff.DeviceCall]{}, err
	}
	return page(m.GetCalls(), m.GetPage(), deviceCall), nil
}

// RecordRefusal implements bff.DeviceCalls.
func (d deviceCalls) RecordRefusal(ctx context.Context, deviceID, name, code, reason string) error {
	_, err := d.client.RecordRefusal(ctx, &devicev1.RecordRefusalRequest{DeviceId: deviceID, Name: name, Outcome: code, Reason: reason})
	return err
}

func deviceCall(m *devicev1.Call) *bff.DeviceCall {
	return &bff.DeviceCall{
		ID: m.GetId(), At: m.GetAt().AsTime(), DeviceID: m.GetDeviceId(), ApiKeyID: m.GetApiKeyId(), AccountID: m.GetAccountId(),
		Name: m.GetName(), Outcome: m.GetOutcome(), Reason: optionalText(m.GetReason()),
		DurationMs: float64(m.GetTookMicros()) / 1000, TraceID: optionalText(m.GetTraceId()),
	}
}
