package rpc_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/importer"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
	"github.com/sluicehq/sluice/testdata"
)

func (h fixture) activity(t *testing.T, filter *activityv1.ActivityFilter) *activityv1.Activity {
	t.Helper()
	reply, err := h.activities.ListActivities(asSystem(t), &activityv1.ListActivitiesRequest{
		Filter: filter, Page: &typesv1.PageRequest{First: 1},
	})
	if err != nil || len(reply.GetActivities()) == 0 {
		t.Fatalf("no activity, %v", err)
	}
	return reply.GetActivities()[0]
}

func TestWaterWithoutDateUsesNamedDay(t *testing.T) {
	t.Parallel()
	h := build(t)
	options := importer.Options{Account: "bob", Date: "2023-03-28", TimeZone: "America/New_York"}
	h.in(t, importer.KindHydration, text("w.json", `{"water":[{"amount":200.5,"logId":17}]}`), options)
	got := h.activity(t, &activityv1.ActivityFilter{Sources: []string{"fitbit"}})
	if at := time.Date(2023, 3, 28, 4, 0, 0, 0, time.UTC); !got.GetStartedAt().AsTime().Equal(at) {
		t.Errorf("started at %v, want %v", got.GetStartedAt().AsTime(), at)
	}
	if got.GetAmount() != 200.5 || got.GetUnit() != "ml" || got.GetExternalId() != "17" || got.GetAccountId() != h.account(t, "bob") {
		t.Errorf("%v", got)
	}
}

func TestImportOfObservationsStoresAllFields(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.in(t, importer.KindObservations, importer.In(testdata.Files, "activities/telescope-schedule-2023-03-28.sls"),
		importer.Options{Site: "A mountain", Telescope: "T1", Source: "telrun"})
	at := timestamppb.New(time.Date(2023, 3, 28, 2, 38, 42, 0, time.UTC))
	got := h.activity(t, &activityv1.ActivityFilter{
		StartedFrom: at, StartedBefore: timestamppb.New(at.AsTime().Add(time.Second)), Telescope: "T1", Sources: []string{"telrun"},
	})
	o := got.GetObservation()
	if o.GetSite() != "A mountain" || o.GetTarget() != "Barnard 33" || o.GetInstrument() != "R" || o.GetProgramme() != "cas85.sch" || o.GetStatus() != "DONE" {
		t.Errorf("observation %v", o)
	}
	if got.GetTitle() != "Horsehead Nebula R" || got.GetActor() != "observer-22ddcf87" || got.GetEndedAt().AsTime().Sub(at.AsTime()) != time.Minute {
		t.Errorf("activity %v", got)
	}
	if sky := got.GetSky(); sky.GetRightAscension() != 15*(5+40.0/60+59.0/3600) || sky.GetEpoch() != "J2000" || got.GetAccountId() != "" {
		t.Errorf("sky %v, account %q", sky, got.GetAccountId())
	}
}

func TestReadingsUseNamedHeaderAsKey(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.in(t, importer.KindTelemetry, text("t.csv", "sensor;when;Druck\ns1;2026-07-01 12:00;1,5\ns2;2026-07-01 12:00;2,5\n"),
		importer.Options{Columns: map[string]string{"value": "Druck", "time": "when"}, TimeZone: "Europe/Berlin", DeviceName: "Pump {key}"})
	sensors := h.list(t, devicev1.Kind_KIND_SENSOR)
	from := time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC)
	reply, err := h.devices.BatchQueryTelemetry(asSystem(t), &devicev1.BatchQueryTelemetryRequest{
		DeviceIds: []string{sensors["Pump s2"]}, Keys: []string{"Druck"},
		From: timestamppb.New(from), To: timestamppb.New(from.Add(time.Second)),
	})
	if err != nil || len(reply.GetSeries()) != 1 || len(reply.GetSeries()[0].GetPoints()) != 1 || reply.GetSeries()[0].GetPoints()[0].GetValue() != 2.5 {
		t.Errorf("%v, %v", reply, err)
	}
}
