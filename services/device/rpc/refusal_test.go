package rpc_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/device/telemetry"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
)

func TestBadDevicesAreRefused(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), as(t, caller.Admin)
	many := map[string]string{}
	for i := range 33 {
		many[fmt.Sprint(i)] = ""
	}
	for text, in := range map[string]*devicev1.RegisterDeviceRequest{
		"name: is missing":          {Name: " ", Kind: devicev1.Kind_KIND_CAMERA},
		"name: is longer":           {Name: strings.Repeat("é", 201), Kind: devicev1.Kind_KIND_CAMERA},
		"name: must be UTF-8":       {Name: "a\x00b", Kind: devicev1.Kind_KIND_CAMERA},
		"kind: must be":             {Name: "a"},
		"kind: must be GATEWAY":     {Name: "a", Kind: 99},
		"labels: are more than 32":  {Name: "a", Kind: devicev1.Kind_KIND_CAMERA, Labels: many},
		"labels: the key \"\"":      {Name: "a", Kind: devicev1.Kind_KIND_CAMERA, Labels: map[string]string{"": "x"}},
		"labels: the key \"kkkk":    {Name: "a", Kind: devicev1.Kind_KIND_CAMERA, Labels: map[string]string{strings.Repeat("k", 64): "x"}},
		"labels.site: is longer":    {Name: "a", Kind: devicev1.Kind_KIND_CAMERA, Labels: map[string]string{"site": strings.Repeat("v", 256)}},
		"idempotencyKey: is longer": {Name: "a", Kind: devicev1.Kind_KIND_CAMERA, IdempotencyKey: strings.Repeat("k", 201)},
	} {
		_, err := h.RegisterDevice(ctx, in)
		refused(t, text, err, errs.InvalidArgument, errs.ReasonInvalidField, text)
	}
	for text, in := range map[string]*devicev1.UpdateDeviceRequest{
		"id: ":             {Id: "device_x"},
		"not of a device":  {Id: ids.New(ids.Trip)},
		"name: is missing": {Id: ids.New(ids.Device), Name: proto.String("")},
	} {
		_, err := h.UpdateDevice(ctx, in)
		refused(t, text, err, errs.InvalidArgument, errs.ReasonInvalidField, text)
	}
	_, err := h.DeleteDevice(ctx, &devicev1.DeleteDeviceRequest{Id: "x"})
	refused(t, "delete", err, errs.InvalidArgument, errs.ReasonInvalidField, "id: ")
}

func TestBadListsAreRefused(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), as(t, caller.Admin)
	for text, in := range map[string]*devicev1.ListDevicesRequest{
		"filter.kinds[1]: must be":       {Filter: &devicev1.DeviceFilter{Kinds: []devicev1.Kind{devicev1.Kind_KIND_CAMERA, 0}}},
		"filter.presences[0]: must be":   {Filter: &devicev1.DeviceFilter{Presences: []devicev1.Presence{77}}},
		"filter.labels: the key":         {Filter: &devicev1.DeviceFilter{Labels: map[string]string{"a\x00": ""}}},
		"filter.nameContains: must be":   {Filter: &devicev1.DeviceFilter{NameContains: "\x00"}},
		"filter.nameContains: is longer": {Filter: &devicev1.DeviceFilter{NameContains: strings.Repeat("a", 201)}},
		"orderBy: must be":               {OrderBy: 9},
		"first: must be":                 {Page: &typesv1.PageRequest{First: 1001}},
		"after: is not a cursor":         {Page: &typesv1.PageRequest{After: "%%%"}},
	} {
		_, err := h.ListDevices(ctx, in)
		refused(t, text, err, errs.InvalidArgument, errs.ReasonInvalidField, text)
	}
	tooMany := make([]string, 1_001)
	_, err := h.BatchGetDevices(ctx, &devicev1.BatchGetDevicesRequest{Ids: tooMany})
	refused(t, "ids", err, errs.InvalidArgument, errs.ReasonInvalidField, "ids: are more")
	_, err = h.BatchListEvents(ctx, &devicev1.BatchListEventsRequest{DeviceIds: tooMany})
	refused(t, "device ids", err, errs.InvalidArgument, errs.ReasonInvalidField, "deviceIds: are more")
	some := make([]string, 21)
	for i := range some {
		some[i] = ids.New(ids.Device)
	}
	_, err = h.BatchListEvents(ctx, &devicev1.BatchListEventsRequest{DeviceIds: some, Page: &typesv1.PageRequest{First: 1_000}})
	refused(t, "events", err, errs.InvalidArgument, errs.ReasonInvalidField, "first: ")
}

func TestBadImportsAreRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), as(t, caller.Admin)
	placed := func(p *typesv1.Position) *devicev1.ImportedDevice {
		d := bus("b", "bus")
		d.Position = p
		return d
	}
	for text, bad := range map[string]*devicev1.ImportedDevice{
		"devices[1].externalId: is missing":   bus("", "bus"),
		"devices[1].name: is missing":         bus("b", ""),
		"devices[1].kind: must be":            {ExternalId: "b", Name: "bus"},
		"devices[1].labels: the key":          {ExternalId: "b", Name: "bus", Kind: devicev1.Kind_KIND_CAMERA, Labels: map[string]string{"": ""}},
		"devices[1].position.latitude: must":  placed(&typesv1.Position{Latitude: math.NaN()}),
		"devices[1].position.longitude: must": placed(&typesv1.Position{Longitude: 180.1}),
		"devices[1].position.accuracy: must":  placed(&typesv1.Position{Accuracy: proto.Float64(math.Inf(1))}),
		"devices[1].position.at: is not":      placed(&typesv1.Position{At: &timestamppb.Timestamp{Nanos: -1}}),
		"devices[1].position.at: must be":     placed(&typesv1.Position{At: timestamppb.New(time.Date(1899, 12, 31, 0, 0, 0, 0, time.UTC))}),
		"devices[1].position.place: must be":  placed(&typesv1.Position{Place: "a\nb"}),
	} {
		_, err := h.ImportDevices(ctx, &devicev1.ImportDevicesRequest{Source: "s", Devices: []*devicev1.ImportedDevice{bus("a", "good"), bad}})
		refused(t, text, err, errs.InvalidArgument, errs.ReasonInvalidField, text)
	}
	_, err := h.ImportDevices(ctx, &devicev1.ImportDevicesRequest{Source: "", Devices: []*devicev1.ImportedDevice{bus("a", "good")}})
	refused(t, "source", err, errs.InvalidArgument, errs.ReasonInvalidField, "source: ")
	_, err = h.ImportDevices(ctx, &devicev1.ImportDevicesRequest{Source: "s", Devices: make([]*devicev1.ImportedDevice, 1_001)})
	refused(t, "too many", err, errs.InvalidArgument, errs.ReasonInvalidField, "devices")
	if n, err := h.CountDevices(ctx, &devicev1.CountDevicesRequest{}); err != nil || n.GetTotal() != 0 {
		t.Errorf("there are %v, %v", n, err)
	}
}

func TestBadReadingsAreRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), as(t, caller.Admin)
	d := h.register(t, "d", devicev1.Kind_KIND_SENSOR)
	now := h.clock.Now()
	for text, bad := range map[string]*devicev1.Reading{
		"readings[1].value: must be a number":  reading("k", now, math.NaN()),
		"readings[1].value: must be":           reading("k", now, math.Inf(-1)),
		"readings[1].value: must be a number ": reading("k", now, 1.1e100),
		"readings[1].at: must be":              reading("k", time.Date(2201, 1, 1, 0, 0, 0, 0, time.UTC), 1),
		"readings[1].at: is missing":           {Key: "k", Value: 1},
		"readings[1].at: is not a time":        {Key: "k", At: &timestamppb.Timestamp{Seconds: math.MaxInt64}},
		"readings[1].key: is missing":          reading("", now, 1),
		"readings[1].key: must be UTF-8":       reading("a\x00", now, 1),
	} {
		_, err := h.RecordReadings(ctx, &devicev1.RecordReadingsRequest{DeviceId: d.GetId(), Readings: []*devicev1.Reading{reading("k", now, 1), bad}})
		refused(t, text, err, errs.InvalidArgument, errs.ReasonInvalidField, text)
	}
	for _, n := range []int{0, 5_001} {
		readings := make([]*devicev1.Reading, n)
		for i := range readings {
			readings[i] = reading("k", now, 1)
		}
		_, err := h.RecordReadings(ctx, &devicev1.RecordReadingsRequest{DeviceId: d.GetId(), Readings: readings})
		refused(t, fmt.Sprint(n, " readings"), err, errs.InvalidArgument, errs.ReasonInvalidField, "readings: must be 1 to 5000")
	}
	got, err := h.BatchQueryTelemetry(ctx, ask([]string{d.GetId()}, 0, 0))
	if err != nil || len(got.GetSeries()[0].GetPoints()) != 0 {
		t.Errorf("kept %v, %v", got, err)
	}
}

func TestBadTelemetryQueriesAreRefused(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), as(t, caller.Admin)
	with := func(change func(in *devicev1.BatchQueryTelemetryRequest)) *devicev1.BatchQueryTelemetryRequest {
		in := ask([]string{ids.New(ids.Device)}, 86_400, devicev1.Aggregate_AGGREGATE_AVG)
		change(in)
		return in
	}
	type request = devicev1.BatchQueryTelemetryRequest
	for text, in := range map[string]*request{
		"keys: must be 1 to 20":        with(func(in *request) { in.Keys = nil }),
		"keys: must be 1 to":           with(func(in *request) { in.Keys = make([]string, 21) }),
		"keys[0]: is missing":          with(func(in *request) { in.Keys = []string{""} }),
		"from: is missing":             with(func(in *request) { in.From = nil }),
		"to: is missing":               with(func(in *request) { in.To = nil }),
		"from: must be before to":      with(func(in *request) { in.To = in.From }),
		"from: must be between":        with(func(in *request) { in.From = timestamppb.New(time.Date(1899, 1, 1, 0, 0, 0, 0, time.UTC)) }),
		"to: must be between":          with(func(in *request) { in.To = timestamppb.New(time.Date(2201, 1, 1, 0, 0, 0, 0, time.UTC)) }),
		"stepSeconds: must be":         with(func(in *request) { in.StepSeconds = -1 }),
		"aggregate: must be":           with(func(in *request) { in.Aggregate = 42 }),
		"timeZone: ":                   with(func(in *request) { in.TimeZone = "Mars/Olympus_Mons" }),
		"deviceIds: are more than 100": with(func(in *request) { in.DeviceIds = make([]string, 1_001) }),
	} {
		_, err := h.BatchQueryTelemetry(ctx, in)
		refused(t, text, err, errs.InvalidArgument, errs.ReasonInvalidField, text)
	}
	_, err := h.BatchQueryTelemetry(ctx, with(func(in *request) { in.StepSeconds = 60 }))
	refused(t, "steps", err, errs.InvalidArgument, telemetry.ReasonTooManyPoints, "stepSeconds")
}
