// Package rpc is the gRPC server of the device service, for the contract sluice.device.v1. It decodes messages, and
// refuses invalid times and unknown enum values.
package rpc

import (
	"cmp"
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/registry"
	"github.com/sluicehq/sluice/services/device/telemetry"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

// Register registers the service on r.
func Register(r grpc.ServiceRegistrar, s *assembly.Service) {
	r = recorded{ServiceRegistrar: r, calls: s.Calls}
	devicev1.RegisterDevicesServer(r, server{registry: s.Registry, telemetry: s.Telemetry})
	devicev1.RegisterCommandsServer(r, commands{commands: s.Commands, vehicles: s.Vehicles})
	devicev1.RegisterRidesServer(r, rides{vehicles: s.Vehicles})
	devicev1.RegisterTwinsServer(r, twins{service: s.Twins})
	devicev1.RegisterCamerasServer(r, cameras{service: s.Cameras})
	devicev1.RegisterCallsServer(r, ledger{service: s.Calls})
}

type server struct {
	devicev1.UnimplementedDevicesServer
	registry  *registry.Service
	telemetry *telemetry.Service
}

func (s server) RegisterDevice(ctx context.Context, in *devicev1.RegisterDeviceRequest) (*devicev1.RegisterDeviceResponse, error) {
	made, err := s.registry.Register(ctx, registry.RegisterInput{
		Name: in.GetName(), Kind: kindOf(in.GetKind()), Labels: in.GetLabels(), Lock: in.Lock, IdempotencyKey: in.GetIdempotencyKey(),
	})
	return types.Reply(made, err, registrationMessage)
}

func (s server) RotateDeviceSecret(ctx context.Context, in *devicev1.RotateDeviceSecretRequest) (*devicev1.RegisterDeviceResponse, error) {
	made, err := s.registry.RotateSecret(ctx, in.GetId())
	return types.Reply(made, err, registrationMessage)
}

func registrationMessage(made registry.Registration) *devicev1.RegisterDeviceResponse {
	return &devicev1.RegisterDeviceResponse{Device: message(made.Device), Secret: made.Secret}
}

func (s server) UpdateDevice(ctx context.Context, in *devicev1.UpdateDeviceRequest) (*devicev1.Device, error) {
	update := registry.UpdateInput{ID: in.GetId(), Name: in.Name, ExpectedVersion: in.ExpectedVersion}
	if in.Labels != nil {
		if update.Labels = in.GetLabels().GetValues(); update.Labels == nil {
			update.Labels = map[string]string{} // set, but empty
		}
	}
	d, err := s.registry.Update(ctx, update)
	return types.Reply(d, err, message)
}

func (s server) DeleteDevice(ctx context.Context, in *devicev1.DeleteDeviceRequest) (*devicev1.DeleteDeviceResponse, error) {
	if err := s.registry.Delete(ctx, in.GetId(), in.ExpectedVersion); err != nil {
		return nil, err
	}
	return &devicev1.DeleteDeviceResponse{}, nil
}

func (s server) BatchGetDevices(ctx context.Context, in *devicev1.BatchGetDevicesRequest) (*devicev1.BatchGetDevicesResponse, error) {
	devices, err := s.registry.BatchGet(ctx, in.GetIds())
	if err != nil {
		return nil, err
	}
	return &devicev1.BatchGetDevicesResponse{Devices: types.Each(devices, message)}, nil
}

func (s server) ListDevices(ctx context.Context, in *devicev1.ListDevicesRequest) (*devicev1.ListDevicesResponse, error) {
	order, err := orderOf(in.GetOrderBy())
	if err != nil {
		return nil, err
	}
	devices, err := s.registry.List(ctx, filterOf(in.GetFilter()), order, types.PageRequest(in.GetPage()))
	if err != nil {
		return nil, err
	}
	return &devicev1.ListDevicesResponse{Devices: types.Each(devices.Items, message), Page: types.PageInfo(devices)}, nil
}

func (s server) CountDevices(ctx context.Context, _ *devicev1.CountDevicesRequest) (*devicev1.DeviceCounts, error) {
	counts, err := s.registry.Count(ctx)
	if err != nil {
		return nil, err
	}
	return &devicev1.DeviceCounts{Total: counts.Total, Online: counts.Online, Offline: counts.Offline, Unknown: counts.Unknown}, nil
}

func (s server) BatchListEvents(ctx context.Context, in *devicev1.BatchListEventsRequest) (*devicev1.BatchListEventsResponse, error) {
	pages, err := s.registry.BatchListEvents(ctx, in.GetDeviceIds(), types.PageRequest(in.GetPage()))
	if err != nil {
		return nil, err
	}
	out := &devicev1.BatchListEventsResponse{Pages: make([]*devicev1.DeviceEventPage, len(pages))}
	for i, p := range pages {
		out.Pages[i] = &devicev1.DeviceEventPage{DeviceId: p.DeviceID, Events: types.Each(p.Items, eventMessage), Page: types.PageInfo(p.Page)}
	}
	return out, nil
}

func (s server) BatchQueryTelemetry(ctx context.Context, in *devicev1.BatchQueryTelemetryRequest) (*devicev1.BatchQueryTelemetryResponse, error) {
	from, err := types.Time("from", in.GetFrom())
	if err != nil {
		return nil, err
	}
	to, err := types.Time("to", in.GetTo())
	if err != nil {
		return nil, err
	}
	zone, err := input.Zone("timeZone", cmp.Or(in.GetTimeZone(), "UTC"))
	if err != nil {
		return nil, err
	}
	series, err := s.telemetry.Query(ctx, telemetry.Query{
		DeviceIDs: in.GetDeviceIds(), Keys: in.GetKeys(), From: from, To: to,
		Step: time.Duration(in.GetStepSeconds()) * time.Second, Zone: zone, Aggregate: aggregateOf(in.GetAggregate()),
	})
	if err != nil {
		return nil, err
	}
	return &devicev1.BatchQueryTelemetryResponse{Series: types.Each(series, seriesMessage)}, nil
}

func (s server) RecordReadings(ctx context.Context, in *devicev1.RecordReadingsRequest) (*devicev1.RecordReadingsResponse, error) {
	readings, err := readingsOf(in.GetReadings())
	if err != nil {
		return nil, err
	}
	record := s.telemetry.Record
	if in.GetCorrect() {
		record = s.telemetry.Correct
	}
	recorded, err := record(ctx, in.GetDeviceId(), readings)
	if err != nil {
		return nil, err
	}
	return &devicev1.RecordReadingsResponse{Stored: recorded.Stored, RepeatedReadings: recorded.Repeated, Updated: recorded.Updated}, nil
}

func (s server) ImportDevices(ctx context.Context, in *devicev1.ImportDevicesRequest) (*devicev1.ImportDevicesResponse, error) {
	drafts, err := draftsOf(in.GetDevices())
	if err != nil {
		return nil, err
	}
	done, err := s.registry.Import(ctx, registry.ImportInput{Source: in.GetSource(), Drafts: drafts, KeepKnown: in.GetKeepKnown(), IssueSecrets: in.GetIssueSecrets()})
	if err != nil {
		return nil, err
	}
	return &devicev1.ImportDevicesResponse{Devices: types.Each(done.Devices, message), Created: done.Created, Secrets: done.Secrets}, nil
}
