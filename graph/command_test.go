package graph_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestCommandIsSentReadAndCancelled(t *testing.T) {
	t.Parallel()
	h := open(t)
	admin, operator := h.signIn(t, "admin"), h.signIn(t, "operator")
	device := h.text(t, admin, `mutation { registerDevice(input: {name: "v", kind: VEHICLE}) { device { id } } }`, nil, "registerDevice", "device", "id")
	const send = `mutation($d: ID!) { sendCommand(input: {deviceId: $d, name: "blink", arguments: {times: 3}, timeoutSeconds: 90, idempotencyKey: "k"}) {
		id status name arguments version caller deadline sentAt acknowledgedAt result reason device { lockState } log { text } } }`
	sent := h.get(t, operator, send, map[string]any{"d": device}, "sendCommand").(map[string]any)
	id := sent["id"].(string)
	delete(sent, "id")
	delete(sent, "caller")
	want := map[string]any{
		"status": "SENT", "name": "blink", "arguments": map[string]any{"times": 3.0}, "version": 2.0,
		"deadline": "2026-07-01T12:01:30Z", "sentAt": "2026-07-01T12:00:00Z", "acknowledgedAt": nil, "result": nil, "reason": nil,
		"device": map[string]any{"lockState": "LOCKED"}, "log": []any{},
	}
	if fmt.Sprint(sent) != fmt.Sprint(want) {
		t.Errorf("sent %v\nwant %v", sent, want)
	}
	if again := h.text(t, operator, send, map[string]any{"d": device}, "sendCommand", "id"); again != id {
		t.Errorf("the repeat is %s, want %s", again, id)
	}
	hasty := `mutation($d: ID!) { sendCommand(input: {deviceId: $d, name: "blink", timeoutSeconds: 0}) { id } }`
	if a := h.ask(t, operator, hasty, map[string]any{"d": device}); len(a.Errors) != 1 || !strings.Contains(a.text, "timeoutSeconds: must be between 1 and 86400") {
		t.Errorf("no time at all: %s", a.text)
	}
	vast := `mutation($d: ID!) { setDeviceConfig(id: $d, desired: {n: 12345678901234567890}) { inSync } }`
	if a := h.ask(t, operator, vast, map[string]any{"d": device}); len(a.Errors) != 1 || a.Errors[0].extension("code") != "GRAPHQL_VALIDATION_FAILED" {
		t.Errorf("a number that nothing holds: %s", a.text)
	}
	const cancel = `mutation($c: ID!) { cancelCommand(id: $c) { status finishedAt } }`
	over := h.get(t, operator, cancel, map[string]any{"c": id}, "cancelCommand").(map[string]any)
	if fmt.Sprint(over) != "map[finishedAt:2026-07-01T12:00:00Z status:CANCELLED]" {
		t.Errorf("cancelled as %v", over)
	}
	const list = `query($d: ID!) { device(id: $d) { commands { totalCount nodes { id status } } log(from: "2026-01-01T00:00:00Z", to: "2027-01-01T00:00:00Z") { text } } }`
	for who, n := range map[string]string{operator: "1", h.signIn(t, "alice"): "0"} {
		got := h.get(t, who, list, map[string]any{"d": device}, "device", "commands").(map[string]any)
		if fmt.Sprint(len(got["nodes"].([]any))) != n {
			t.Errorf("%v, want %s", got, n)
		}
	}
}
