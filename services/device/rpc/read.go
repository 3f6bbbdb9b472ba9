package rpc

import (
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/registry"
	"github.com/sluicehq/sluice/services/device/telemetry"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

// Decoding: messages to the service's types.

// The use cases refuse a kind, a presence or an aggregate that they do not know.

func kindOf(kind devicev1.Kind) device.Kind {
	return device.Kind(strings.TrimPrefix(kind.String(), "KIND_"))
}

func presenceOf(presence devicev1.Presence) device.Presence {
	return device.Presence(strings.TrimPrefix(presence.String(), "PRESENCE_"))
}

func aggregateOf(aggregate devicev1.Aggregate) telemetry.Aggregate {
	if aggregate == devicev1.Aggregate_AGGREGATE_UNSPECIFIED {
		return telemetry.Avg
	}
	return telemetry.Aggregate(strings.TrimPrefix(aggregate.String(), "AGGREGATE_"))
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

func filterOf(in *devicev1.DeviceFilter) registry.Filter {
	return registry.Filter{
		Labels: in.GetLabels(), NameContains: in.GetNameContains(),
		Kinds: types.Each(in.GetKinds(), kindOf), Presences: types.Each(in.GetPresences(), presenceOf),
	}
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
		position, err := positionOf(field+".position", d.GetPosition())
		if err != nil {
			return nil, err
		}
		drafts[i] = registry.Draft{ExternalID: d.GetExternalId(), Name: d.GetName(), Kind: kindOf(d.GetKind()), Labels: d.GetLabels(), Position: position}
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
