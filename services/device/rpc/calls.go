package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/services/device/maintenance"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

type ledger struct {
	devicev1.UnimplementedCallsServer
	service *maintenance.AuditLog
}

func (s ledger) ListCalls(ctx context.Context, in *devicev1.ListCallsRequest) (*devicev1.ListCallsResponse, error) {
	filter := maintenance.CallFilter{DeviceID: in.GetDeviceId(), APIKeyID: in.GetApiKeyId(), Outcome: in.GetOutcome()}
	found, err := s.service.List(ctx, filter, types.PageRequest(in.GetPage()))
	if err != nil {
		return nil, err
	}
	return &devicev1.ListCallsResponse{Calls: types.Each(found.Items, callMessage), Page: types.PageInfo(found)}, nil
}

func (s ledger) RecordRefusal(ctx context.Context, in *devicev1.RecordRefusalRequest) (*devicev1.RecordRefusalResponse, error) {
	refused := maintenance.Call{DeviceID: in.GetDeviceId(), Name: in.GetName(), Outcome: in.GetOutcome(), Reason: in.GetReason(), TraceID: traceID(ctx)}
	if err := s.service.RecordRefusal(ctx, refused); err != nil {
		return nil, err
	}
	return &devicev1.RecordRefusalResponse{}, nil
}

func callMessage(c maintenance.Call) *devicev1.Call {
	return &devicev1.Call{
		Id: c.ID, DeviceId: c.DeviceID, At: timestamppb.New(c.At), ApiKeyId: c.APIKeyID, AccountId: c.AccountID,
		Name: c.Name, Outcome: c.Outcome, Reason: c.Reason, TookMicros: c.Took.Microseconds(), TraceId: c.TraceID,
	}
}
