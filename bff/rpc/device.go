package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
)

// Devices calls the device service. It implements bff.Devices.
type Devices struct {
	commands
	client devicev1.DevicesClient
	twins
	cameras
	deviceCalls
}

var _ bff.Devices = Devices{}

// NewDevices returns the port over a connection.
func NewDevices(conn grpc.ClientConnInterface) Devices {
	return Devices{
		client: devicev1.NewDevicesClient(conn), twins: newTwins(conn), commands: commands{client: devicev1.NewCommandsClient(conn)},
		cameras: newCameras(conn), deviceCalls: newDeviceCalls(conn),
	}
}

// RegisterDevice implements bff.Devices.
func (d Devices) RegisterDevice(ctx context.Context, input bff.RegisterDeviceInput) (*bff.RegisteredDevice, error) {
	labels, err := labels("labels", input.Labels)
	if err != nil {
		return nil, err
	}
	return one(registered)(d.client.RegisterDevice(ctx, &devicev1.RegisterDeviceRequest{
		Name: input.Name, Kind: enumValue[devicev1.Kind](devicev1.Kind_value, "KIND_", string(input.Kind)),
		Labels: labels, Lock: input.Lock, IdempotencyKey: text(input.IdempotencyKey),
	}))
}

// RotateDeviceSecret implements bff.Devices.
func (d Devices) RotateDeviceSecret(ctx context.Context, id string) (*bff.RegisteredDevice, error) {
	return one(registered)(d.client.RotateDeviceSecret(ctx, &devicev1.RotateDeviceSecretRequest{Id: id}))
}

func registered(m *devicev1.RegisterDeviceResponse) *bff.RegisteredDevice {
	return &bff.RegisteredDevice{Device: device(m.GetDevice()), Secret: optionalText(m.GetSecret())}
}

// UpdateDevice implements bff.Devices.
func (d Devices) UpdateDevice(ctx context.Context, input bff.UpdateDeviceInput) (*bff.Device, error) {
	request := &devicev1.UpdateDeviceRequest{Id: input.ID, Name: input.Name, ExpectedVersion: version(input.ExpectedVersion)}
	if named(input.Labels) {
		values, err := labels("labels", input.Labels)
		if err != nil {
			return nil, err
		}
		request.Labels = &devicev1.Labels{Values: values}
	}
	return one(device)(d.client.UpdateDevice(ctx, request))
}

// DeleteDevice implements bff.Devices.
func (d Devices) DeleteDevice(ctx context.Context, id string, expectedVersion *int) error {
	_, err := d.client.DeleteDevice(ctx, &devicev1.DeleteDeviceRequest{Id: id, ExpectedVersion: version(expectedVersion)})
	return err
}

// GetDevices implements bff.Devices.
func (d Devices) GetDevices(ctx context.Context, ids []string) ([]*bff.Device, error) {
	m, err := d.client.BatchGetDevices(ctx, &devicev1.BatchGetDevicesRequest{Ids: ids})
	if err != nil {
		return nil, err
	}
	return each(m.GetDevices(), device), nil
}

// ListDevices implements bff.Devices.
func (d Devices) ListDevices(ctx context.Context, filter *bff.DeviceFilter, order bff.DeviceOrder, request bff.PageRequest) (bff.Page[bff.Device], error) {
	selection, err := deviceFilter(filter)
	if err != nil {
		return bff.Page[bff.Device]{}, err
	}
	m, err := d.client.ListDevices(ctx, &devicev1.ListDevicesRequest{
		Filter: selection, Page: pageRequest(request),
		OrderBy: enumValue[devicev1.DeviceOrder](devicev1.DeviceOrder_value, "DEVICE_ORDER_", string(order)),
	})
	if err != nil {
		return bff.Page[bff.Device]{}, err
	}
	return page(m.GetDevices(), m.GetPage(), device), nil
}

// CountDevices implements bff.Devices.
func (d Devices) CountDevices(ctx context.Context) (*bff.DeviceCounts, error) {
	m, err := d.client.CountDevices(ctx, &devicev1.CountDevicesRequest{})
	if err != nil {
		return nil, err
	}
	return &bff.DeviceCounts{
		Total: int(m.GetTotal()), Online: int(m.GetOnline()), Offline: int(m.GetOffline()), Unknown: int(m.GetUnknown()),
	}, nil
}

// ListDeviceEvents implements bff.Devices.
func (d Devices) ListDeviceEvents(ctx context.Context, deviceIDs []string, request bff.PageRequest) (map[string]bff.Page[bff.DeviceEvent], error) {
	m, err := d.client.BatchListEvents(ctx, &devicev1.BatchListEventsRequest{DeviceIds: deviceIDs, Page: pageRequest(request)})
	if err != nil {
		return nil, err
	}
	pages := make(map[string]bff.Page[bff.DeviceEvent], len(m.GetPages()))
	for _, p := range m.GetPages() {
		pages[p.GetDeviceId()] = page(p.GetEvents(), p.GetPage(), deviceEvent)
	}
	return pages, nil
}

// QueryTelemetry implements bff.Devices.
func (d Devices) QueryTelemetry(ctx context.Context, deviceIDs []string, query bff.TelemetryQuery) (map[string][]*bff.Series, error) {
	m, err := d.client.BatchQueryTelemetry(ctx, &devicev1.BatchQueryTelemetryRequest{
		DeviceIds: deviceIDs, Keys: query.Keys, From: timestamppb.New(query.From), To: timestamppb.New(query.To),
		StepSeconds: *number(&query.StepSeconds), TimeZone: query.TimeZone,
		Aggregate: enumValue[devicev1.Aggregate](devicev1.Aggregate_value, "AGGREGATE_", string(query.Aggregate)),
	})
	if err != nil {
		return nil, err
	}
	series := make(map[string][]*bff.Series, len(deviceIDs))
	for _, s := range m.GetSeries() {
		series[s.GetDeviceId()] = append(series[s.GetDeviceId()], &bff.Series{Key: s.GetKey(), Points: each(s.GetPoints(), point)})
	}
	return series, nil
}

func device(m *devicev1.Device) *bff.Device {
	return &bff.Device{
		ID: m.GetId(), Name: m.GetName(), Kind: enum[bff.DeviceKind](m.GetKind().String(), "KIND_"),
		Labels: nonNil(m.GetLabels()), Version: int(m.GetVersion()),
		Presence:   enum[bff.Presence](m.GetPresence().String(), "PRESENCE_"),
		LastSeenAt: optionalTime(m.GetLastSeenAt()), Position: position(m.GetPosition()), Board: optionalJSON(m.GetBoardJson()), Firmware: optionalText(m.GetFirmware()), CreatedAt: m.GetCreatedAt().AsTime(),
		LockState: lockState(m.GetLockState()), Riders: m.GetRiders(), Audience: audience(m.GetAudience()),
	}
}

func audience(m *devicev1.Audience) *entity.Audience {
	if m == nil {
		return nil
	}
	return &entity.Audience{Staff: m.GetStaff(), Account: m.GetAccountId(), Excluded: m.GetExcludedAccountIds()}
}

func deviceEvent(m *devicev1.DeviceEvent) *bff.DeviceEvent {
	return &bff.DeviceEvent{
		ID: m.GetId(), At: m.GetAt().AsTime(), Type: m.GetType(), Message: m.GetMessage(), Actor: m.GetActor(),
		Data: optionalJSON(m.GetDataJson()),
	}
}

func point(m *devicev1.Point) *bff.Point {
	value := m.GetValue()
	return &bff.Point{At: m.GetAt().AsTime(), Value: &value, ArrivedAt: optionalTime(m.GetArrivedAt())}
}

func deviceFilter(f *bff.DeviceFilter) (*devicev1.DeviceFilter, error) {
	if f == nil {
		return nil, nil
	}
	values, err := labels("filter.labels", f.Labels)
	if err != nil {
		return nil, err
	}
	return &devicev1.DeviceFilter{
		Kinds:     enumValues[devicev1.Kind](devicev1.Kind_value, "KIND_", f.Kinds),
		Presences: enumValues[devicev1.Presence](devicev1.Presence_value, "PRESENCE_", f.Presences),
		Labels:    values, NameContains: text(f.NameContains),
	}, nil
}

func named(v bff.JSON) bool { return len(v) > 0 && string(v) != "null" }

func labels(field string, v bff.JSON) (map[string]string, error) {
	values, err := bff.Labels(v)
	if err != nil {
		return nil, errs.Invalid(field, `must be an object of texts, as in {"site": "north"}`)
	}
	return values, nil
}
