package rpc_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
)

// What lies outside of an API key's limit does not exist for it, whatever its account may see.
func TestAKeyKnowsOnlyTheDevicesOfItsLimit(t *testing.T) {
	t.Parallel()
	h := open(t)
	inside := h.register(t, "inside", devicev1.Kind_KIND_CAMERA) // at site north
	made, err := h.RegisterDevice(as(t, caller.Admin), &devicev1.RegisterDeviceRequest{
		Name: "outside", Kind: devicev1.Kind_KIND_CAMERA, Labels: map[string]string{"site": "south"},
	})
	if err != nil {
		t.Fatal(err)
	}
	outside := made.GetDevice()
	key := caller.NewContext(t.Context(), caller.Caller{
		AccountID: "account_admin", APIKeyID: "apikey_1", Role: caller.Admin, Scopes: caller.ScopesOf(caller.Admin),
		DeviceLabels: map[string]string{"site": "north"},
	})
	both := []string{inside.GetId(), outside.GetId()}

	got, err := h.BatchGetDevices(key, &devicev1.BatchGetDevicesRequest{Ids: both})
	if err != nil || len(got.GetDevices()) != 1 || got.GetDevices()[0].GetId() != inside.GetId() {
		t.Errorf("gets %v, %v", got, err)
	}
	for labels, want := range map[string]int{"": 1, "north": 1, "south": 0} {
		filter := &devicev1.DeviceFilter{}
		if labels != "" {
			filter.Labels = map[string]string{"site": labels}
		}
		list, err := h.ListDevices(key, &devicev1.ListDevicesRequest{Filter: filter})
		if err != nil || len(list.GetDevices()) != want {
			t.Errorf("lists %v of %q, %v", list, labels, err)
		}
	}
	if n, err := h.CountDevices(key, &devicev1.CountDevicesRequest{}); err != nil || n.GetTotal() != 1 {
		t.Errorf("counts %v, %v", n, err)
	}
	events, err := h.BatchListEvents(key, &devicev1.BatchListEventsRequest{DeviceIds: both})
	if err != nil || len(events.GetPages()) != 1 {
		t.Errorf("sees the events %v, %v", events, err)
	}
	series, err := h.BatchQueryTelemetry(key, ask(both, 0, 0))
	if err != nil || len(series.GetSeries()) != 1 {
		t.Errorf("sees the series %v, %v", series, err)
	}

	_, err = h.UpdateDevice(key, &devicev1.UpdateDeviceRequest{Id: outside.GetId(), Name: proto.String("mine")})
	refused(t, "update outside", err, errs.NotFound, errs.ReasonNotFound, outside.GetId())
	_, err = h.DeleteDevice(key, &devicev1.DeleteDeviceRequest{Id: outside.GetId()})
	refused(t, "delete outside", err, errs.NotFound, errs.ReasonNotFound, outside.GetId())
	_, err = h.RecordReadings(key, &devicev1.RecordReadingsRequest{DeviceId: outside.GetId(), Readings: []*devicev1.Reading{reading("k", h.clock.Now(), 1)}})
	refused(t, "record outside", err, errs.NotFound, errs.ReasonNotFound, outside.GetId())
	_, err = h.UpdateDevice(key, &devicev1.UpdateDeviceRequest{Id: inside.GetId(), Labels: &devicev1.Labels{Values: map[string]string{"site": "south"}}})
	refused(t, "push outside", err, errs.PermissionDenied, errs.ReasonNotAllowed, "limited")
	_, err = h.RegisterDevice(key, &devicev1.RegisterDeviceRequest{Name: "n", Kind: devicev1.Kind_KIND_CAMERA})
	refused(t, "register outside", err, errs.PermissionDenied, errs.ReasonNotAllowed, "limited")
	_, err = h.ImportDevices(key, &devicev1.ImportDevicesRequest{Source: "s", Devices: []*devicev1.ImportedDevice{bus("a", "good")}})
	refused(t, "import", err, errs.PermissionDenied, errs.ReasonNotAllowed, "")
}
