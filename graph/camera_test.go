package graph_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestCameraFieldsAndMutations(t *testing.T) {
	t.Parallel()
	h := open(t)
	admin, operator := h.signIn(t, "admin"), h.signIn(t, "operator")
	id := h.text(t, admin, `mutation { registerDevice(input: {name: "c", kind: CAMERA}) { device { id } } }`, nil, "registerDevice", "device", "id")
	camera := map[string]any{"id": id}
	started := fmt.Sprint(h.get(t, operator, `mutation($id: ID!) { startStream(input: {deviceId: $id, viewer: "tab"}) { state viewers leaseUntil reason } }`, camera, "startStream"))
	if started != "map[leaseUntil:2026-07-01T12:01:00Z reason:<nil> state:STARTING viewers:1]" {
		t.Errorf("started: %s", started)
	}
	if got := fmt.Sprint(h.get(t, operator, `query($id: ID!) { device(id: $id) { stream { state viewers leaseUntil } } }`, camera, "device", "stream")); got != "map[leaseUntil:<nil> state:STARTING viewers:1]" {
		t.Errorf("as another viewer sees it: %s", got)
	}
	stopped := fmt.Sprint(h.get(t, operator, `mutation($id: ID!) { stopStream(deviceId: $id, viewer: "tab") { state viewers leaseUntil } }`, camera, "stopStream"))
	if stopped != "map[leaseUntil:<nil> state:STARTING viewers:0]" {
		t.Errorf("stopped: %s", stopped)
	}
	if got := fmt.Sprint(h.get(t, operator, `mutation($id: ID!) { moveCamera(input: {deviceId: $id, pan: -12.5, zoom: 2}) { name arguments status } }`, camera, "moveCamera")); got != "map[arguments:map[pan:-12.5 zoom:2] name:moveCamera status:SENT]" {
		t.Errorf("moved: %s", got)
	}
	far := h.ask(t, operator, `mutation($id: ID!) { moveCamera(input: {deviceId: $id, tilt: 91}) { id } }`, camera)
	if len(far.Errors) != 1 || !strings.HasPrefix(far.Errors[0].Message, "tilt: must be between -90 and 90") {
		t.Errorf("too far: %s", far.text)
	}
	for range 100 {
		a := h.ask(t, operator, `mutation($id: ID!) { startStream(input: {deviceId: $id}) { state } }`, camera)
		if len(a.Errors) == 0 {
			continue
		}
		e := a.Errors[0]
		if e.extension("code") != "RESOURCE_EXHAUSTED" || e.extension("reason") != "STREAM_FLAPPING" || e.Extensions["retryable"] != true || e.Extensions["retryAfterMs"] == nil {
			t.Errorf("a loop: %s", a.text)
		}
		return
	}
	t.Error("a loop is not refused")
}
