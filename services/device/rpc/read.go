package rpc

import (
	"fmt"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/registry"
	"github.com/sluicehq/sluice/services/device/telemetry"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

// Decoding: messages to the service's types.

func kindOf(field string, kind devicev1.Kind) (device.Kind, error) {
	switch kind {
	case devicev1.Kind_KIND_GATEWAY:
		return device.Gateway, nil
	case devicev1.Kind_KIND_CAMERA:
		return device.Camera, nil
	case devicev1.Kind_KIND_SENSOR:
		return device.Sensor, nil
	case devicev1.Kind_KIND_VEHICLE:
		return device.Vehicle, nil
	}
	return "", errs.Invalid(field, "must be GATEWAY, CAMERA, SENSOR or VEHICLE")
}

func presenceOf(field string, presence devicev1.Presence) (device.Presence, error) {
	switch presence {
	case devicev1.Presence_PRESENCE_ONLINE:
		return device.Online, nil
	case devicev1.Presence_PRESENCE_OFFLINE:
		return device.Offline, nil
	case devicev1.Presence_PRESENCE_UNKNOWN:
		return device.Unknown, nil
	}
	return "", errs.Invalid(field, "must be ONLINE, OFFLINE or UNKNOWN")
}

func orderOf(order devicev1.DeviceOrder) (registry.Order, error) {
	switch order {
	case devicev1.DeviceOrder_DEVICE_ORDER_UNSPECIFIED, devicev1.DeviceOrder_DEVICE_ORDER_NAME:
		return registry.ByName, nil
	case devicev1.DeviceOrder_DEVICE_ORDER_NEWEST:
		return registry.Newest, nil
	}
	return "", errs.Invalid("orderBy", "must be NAME or NEWEST")
}

func aggregateOf(aggregate devicev1.Aggregate) (telemetry.Aggregate, error) {
	switch aggregate {
	case devicev1.Aggregate_AGGREGATE_UNSPECIFIED, devicev1.Aggregate_AGGREGATE_AVG:
		return telemetry.Avg, nil
	case devicev1.Aggregate_AGGREGATE_MIN:
		return telemetry.Min, nil
	case devicev1.Aggregate_AGGREGATE_MAX:
		return telemetry.Max, nil
	case devicev1.Aggregate_AGGREGATE_SUM:
		return telemetry.Sum, nil
	case devicev1.Aggregate_AGGREGATE_COUNT:
		return telemetry.Count, nil
	case devicev1.Aggregate_AGGREGATE_LAST:
		return telemetry.Last, nil
	}
	return "", errs.Invalid("aggregate", "must be AVG, MIN, MAX, SUM, COUNT or LAST")
}

func filterOf(in *devicev1.DeviceFilter) (registry.Filter, error) {
	filter := registry.Filter{Labels: in.GetLabels(), NameContains: in.GetNameContains()}
	for i, k := range in.GetKinds() {
		kind, err := kindOf(fmt.Sprintf("filter.kinds[%d]", i), k)
		if err != nil {
			return registry.Filter{}, err
		}
		filter.Kinds = append(filter.Kinds, kind)
	}
	for i, p := range in.GetPresences() {
		presence, err := presenceOf(fmt.Sprintf("filter.presences[%d]", i), p)
		if err != nil {
			return registry.Filter{}, err
		}
		filter.Presences = append(filter.Presences, presence)
	}
	return filter, nil
}

func readingsOf(in []*devicev1.Reading) ([]telemetry.Reading, error) {
	readings := make([]telemetry.Reading, len(in))
	for i, r := range in {
		at, err := types.Time(fmt.Sprintf("readings[%d].at", i), r.GetAt())
		if err != nil {
			return nil, err
		}
		readings[i] = telemetry.Reading{Key: r.GetKey(), At: at, Value: r.GetValue()}
	}
	return readings, nil
}

func draftsOf(in []*devicev1.ImportedDevice) ([]registry.Draft, error) {
	drafts := make([]registry.Draft, len(in))
	for i, d := range in {
		field := fmt.Sprintf("devices[%d]", i)
		kind, err := kindOf(field+".kind", d.GetKind())
		if err != nil {
			return nil, err
		}
		position, err := positionOf(field+".position", d.GetPosition())
		if err != nil {
			return nil, err
		}
		drafts[i] = registry.Draft{ExternalID: d.GetExternalId(), Name: d.GetName(), Kind: kind, Labels: d.GetLabels(), Position: position}
	}
	return drafts, nil
}

func positionOf(field string, in *typesv1.Position) (*device.Position, error) {
	if in == nil {
		return nil, nil
	}
	at, err := types.OptionalTime(field+".at", in.GetAt())
	if err != nil {
		return nil, err
	}
	return &device.Position{
		Latitude: in.GetLatitude(), Longitude: in.GetLongitude(), At: at, Accuracy: in.Accuracy, Place: in.GetPlace(),
	}, nil
}
