package storetest

import (
	"reflect"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/maintenance"
)

func call(deviceID, key, outcome string, at time.Time) maintenance.Call {
	return maintenance.Call{
		ID: ids.New(ids.Call), DeviceID: deviceID, At: at, APIKeyID: key, AccountID: "a", Name: "StartStream",
		Outcome: outcome, Reason: "R", Took: 1500 * time.Microsecond, TraceID: "t",
	}
}

func listCalls(t *testing.T, s assembly.Store, filter maintenance.CallFilter, request page.Request) page.Page[maintenance.Call] {
	t.Helper()
	p, err := s.ListCalls(t.Context(), filter, request)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func callsList(t *testing.T, s assembly.Store) {
	d, unknown := named("cam", 0), ids.New(ids.Device)
	create(t, s, d)
	kept := []maintenance.Call{
		call(d.ID, "k", "OK", dawn()), call(d.ID, "l", "RESOURCE_EXHAUSTED", dawn().Add(time.Second)), call(unknown, "k", "NOT_FOUND", dawn().Add(time.Minute)),
	}
	events := []device.Event{
		{ID: ids.New(ids.Event), DeviceID: d.ID, At: dawn(), Type: maintenance.Called, Data: "{}"},
		{ID: ids.New(ids.Event), DeviceID: unknown, At: dawn(), Type: maintenance.Called, Data: "{}"},
	}
	if err := s.RecordCalls(t.Context(), kept, events); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Events(t.Context(), []string{d.ID}, page.Request{}); err != nil || found[d.ID].Items[0].Type != maintenance.Called {
		t.Errorf("the events are %+v, %v", found[d.ID], err)
	}
	first := listCalls(t, s, maintenance.CallFilter{}, page.Request{First: 2, WithTotal: true})
	if !reflect.DeepEqual(first.Items, []maintenance.Call{kept[2], kept[1]}) || !first.HasNext || *first.Total != 3 {
		t.Errorf("first %+v", first)
	}
	if rest := listCalls(t, s, maintenance.CallFilter{}, page.Request{First: 2, After: first.Cursors[1]}); len(rest.Items) != 1 || rest.Items[0] != kept[0] {
		t.Errorf("rest %+v", rest)
	}
	for filter, want := range map[maintenance.CallFilter]int{
		{DeviceID: d.ID}: 2, {APIKeyID: "k"}: 2, {Outcome: "OK"}: 1, {DeviceID: unknown, APIKeyID: "l"}: 0,
	} {
		if got := listCalls(t, s, filter, page.Request{}); len(got.Items) != want {
			t.Errorf("%+v: %+v", filter, got.Items)
		}
	}
}
