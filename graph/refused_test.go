package graph_test

import (
	"fmt"
	"strings"
	"testing"
)

// What the scopes of a key do not allow is refused before a service is asked, and yet among the calls.
func TestWhatAKeyMayNotDoIsAmongItsCalls(t *testing.T) {
	t.Parallel()
	h := open(t)
	admin := h.signIn(t, "admin")
	camera := h.text(t, admin, `mutation { registerDevice(input: {name: "c", kind: CAMERA}) { device { id } } }`, nil, "registerDevice", "device", "id")
	key := h.text(t, admin, `mutation { createApiKey(input: {name: "k", scopes: ["device:read"], deviceLabels: {site: "north"}}) { secret } }`, nil, "createApiKey", "secret")
	for _, document := range []string{
		`mutation($id: ID!) { moveCamera(input: {deviceId: $id, pan: 1}) { id } }`,
		`mutation($id: ID!) { deleteDevice(id: $id) }`,
		`mutation($id: ID!) { setDeviceConfig(id: $id, desired: {a: 1}) { inSync } }`,
		`mutation($id: ID!) { startTrip(input: {vehicleId: $id, position: {latitude: 48, longitude: 11}}) { id } }`, // which is no call to a device
	} {
		body := fmt.Sprintf(`{"query": %q, "variables": {"id": %q}}`, document, camera)
		for _, w := range []who{{header: "X-API-Key", secret: key}, {header: "Authorization", secret: h.signIn(t, "alice")}} { // hers are not kept
			if got := through(t, h, t.Context(), w, []byte(body)).Body.String(); !strings.Contains(got, "PERMISSION_DENIED") && !strings.Contains(got, "NOT_FOUND") {
				t.Errorf("%s: answered %s", document, got)
			}
		}
	}
	got := fmt.Sprint(h.get(t, admin, `query($id: ID!) { deviceCalls(filter: {deviceId: $id}) { nodes { name outcome reason } } }`, map[string]any{"id": camera}, "deviceCalls", "nodes"))
	const want = "[map[name:SetConfig outcome:PERMISSION_DENIED reason:SCOPE_MISSING]" +
		" map[name:DeleteDevice outcome:PERMISSION_DENIED reason:SCOPE_MISSING] map[name:MoveCamera outcome:PERMISSION_DENIED reason:SCOPE_MISSING]]"
	if got != want {
		t.Errorf("kept %s\nwant %s", got, want)
	}
	if events := fmt.Sprint(h.get(t, admin, `query($id: ID!) { device(id: $id) { events { nodes { type } } } }`, map[string]any{"id": camera}, "device", "events", "nodes")); events != "[map[type:REGISTERED]]" {
		t.Errorf("the events are %s", events)
	}
}
