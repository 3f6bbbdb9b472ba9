package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/services/device"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

// ledger is the part of the service that tells what was called.
type ledger struct {
	devicev1.UnimplementedCallsServer
	service *device.Service
}

func (s ledger) ListCalls(ctx context.Context, in *devicev1.ListCallsRequest) (*devicev1.ListCallsResponse, error) {
	filter := device.CallFilter{DeviceID: in.GetDeviceId(), APIKeyID: in.GetApiKeyId(), Outcome: in.GetOutcome()}
	calls, err := s.service.ListCalls(ctx, filter, types.PageRequest(in.GetPage()))
	if err != nil {
		return nil, err
	}
	return &devicev1.ListCallsResponse{Calls: types.Each(calls.Items, callMessage), Page: types.PageInfo(calls)}, nil
}

func callMessage(c device.Call) *devicev1.Call {
	return &devicev1.Call{
		Id: c.ID, DeviceId: c.DeviceID, At: timestamppb.New(c.At), ApiKeyId: c.APIKeyID, AccountId: c.AccountID,
		Name: c.Name, Outcome: c.Outcome, Reason: c.Reason, TookMicros: c.Took.Microseconds(), TraceId: c.TraceID,
	}
}
