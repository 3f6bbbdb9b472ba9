package rpc_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/caller"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
)

func reading(key string, at time.Time, value float64) *devicev1.Reading {
	return &devicev1.Reading{Key: key, At: timestamppb.New(at), Value: value}
}

// ask asks for the temperature around the time of the recording.
func ask(deviceIDs []string, stepSeconds int32, aggregate devicev1.Aggregate) *devicev1.BatchQueryTelemetryRequest {
	return &devicev1.BatchQueryTelemetryRequest{
		DeviceIds: deviceIDs, Keys: []string{"temperature"}, StepSeconds: stepSeconds, Aggregate: aggregate,
		From: timestamppb.New(time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC)),
		To:   timestamppb.New(time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)),
	}
}

// machine is testdata/telemetry/machine-temperature.csv, its times taken as UTC.
func machine(t *testing.T) []*devicev1.Reading {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "..", "..", "testdata", "telemetry", "machine-temperature.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	readings := make([]*devicev1.Reading, len(rows)-1)
	for i, row := range rows[1:] {
		at, err := time.Parse(time.DateTime, row[0])
		if err != nil {
			t.Fatal(err)
		}
		value, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		readings[i] = reading("temperature", at, value)
	}
	return readings
}

func (h client) record(t *testing.T, id string, readings []*devicev1.Reading) (stored, repeated int64) {
	t.Helper()
	for len(readings) > 0 {
		n := min(len(readings), 5_000)
		got, err := h.RecordReadings(as(t, caller.Admin), &devicev1.RecordReadingsRequest{DeviceId: id, Readings: readings[:n]})
		if err != nil {
			t.Fatal(err)
		}
		stored, repeated = stored+got.GetStored(), repeated+got.GetRepeatedReadings()
		readings = readings[n:]
	}
	return stored, repeated
}

func (h client) points(t *testing.T, in *devicev1.BatchQueryTelemetryRequest) []*devicev1.Point {
	t.Helper()
	got, err := h.BatchQueryTelemetry(as(t, caller.Operator), in)
	if err != nil || len(got.GetSeries()) != 1 {
		t.Fatal(got, err)
	}
	return got.GetSeries()[0].GetPoints()
}

// The recording holds one hour twice, 2014-01-07 02:00 to 02:55, with other values the second time:
// its clock was set back. So 22,695 readings have 22,683 times.
func TestTheMachinesFiguresComeOutAgain(t *testing.T) {
	t.Parallel()
	h := open(t)
	d := h.register(t, "Machine", devicev1.Kind_KIND_SENSOR)
	readings := machine(t)
	started := time.Now()
	if stored, repeated := h.record(t, d.GetId(), readings); stored != 22_695 || repeated != 0 {
		t.Errorf("stored %d, repeated %d", stored, repeated)
	}
	t.Logf("recorded in %v", time.Since(started))
	if stored, repeated := h.record(t, d.GetId(), readings); stored != 0 || repeated != 22_695 {
		t.Errorf("the second time stored %d, repeated %d", stored, repeated)
	}
	var all, high, low int
	for _, p := range h.points(t, ask([]string{d.GetId()}, 0, 0)) {
		all++
		if p.GetValue() >= 100 {
			high++
		}
		if p.GetValue() < 40 {
			low++
		}
	}
	if all != 22_695 || high != 1_586 || low != 399 {
		t.Errorf("%d readings, %d at or above 100, %d below 40", all, high, low)
	}
	counted := 0.0
	for _, p := range h.points(t, ask([]string{d.GetId()}, 86_400, devicev1.Aggregate_AGGREGATE_COUNT)) {
		counted += p.GetValue()
	}
	if counted != 22_695 {
		t.Errorf("counted %v", counted)
	}
	h.seenLast(t, d, readings)
}

// seenLast checks that the device was seen at the last reading, without being changed by that.
func (h client) seenLast(t *testing.T, d *devicev1.Device, readings []*devicev1.Reading) {
	t.Helper()
	got, err := h.BatchGetDevices(as(t, caller.Operator), &devicev1.BatchGetDevicesRequest{Ids: []string{d.GetId()}})
	if err != nil || len(got.GetDevices()) != 1 {
		t.Fatal(got, err)
	}
	d.LastSeenAt = readings[len(readings)-1].GetAt()
	same(t, "the device", got.GetDevices()[0], d)
	h.emitted(t, "registered")
}

func TestADeviceIsNotSeenInTheFuture(t *testing.T) {
	t.Parallel()
	h := open(t)
	d := h.register(t, "d", devicev1.Kind_KIND_SENSOR)
	now := h.clock.Now()
	h.record(t, d.GetId(), []*devicev1.Reading{
		reading("k", now.Add(time.Hour), 1), reading("k", now.Add(-time.Minute), 1), reading("k", now.Add(-time.Hour), 1),
	})
	got, err := h.BatchGetDevices(as(t, caller.Operator), &devicev1.BatchGetDevicesRequest{Ids: []string{d.GetId()}})
	if err != nil || !got.GetDevices()[0].GetLastSeenAt().AsTime().Equal(now.Add(-time.Minute)) {
		t.Errorf("seen at %v, %v", got.GetDevices()[0].GetLastSeenAt(), err)
	}
}

func TestSeriesComeInOrderAndEmptyOnesToo(t *testing.T) {
	t.Parallel()
	h := open(t)
	d := h.register(t, "d", devicev1.Kind_KIND_SENSOR)
	at := time.Date(2014, 1, 1, 0, 0, 1, 0, time.UTC)
	h.record(t, d.GetId(), []*devicev1.Reading{reading("b", at, 1), reading("b", at.Add(time.Minute), 4)})
	in := ask([]string{d.GetId(), d.GetId()}, 86_400, 0)
	in.Keys = []string{"b", "a", "b"}
	got, err := h.BatchQueryTelemetry(as(t, caller.Operator), in)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "series", got, &devicev1.BatchQueryTelemetryResponse{Series: []*devicev1.DeviceSeries{
		{DeviceId: d.GetId(), Key: "b", Points: []*devicev1.Point{{At: timestamppb.New(at.Truncate(time.Minute)), Value: 2.5}}},
		{DeviceId: d.GetId(), Key: "a"},
	}})
}
