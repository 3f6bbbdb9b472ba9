package graph_test

import (
	"fmt"
	"testing"
)

const configOf = `query($id: ID!) { device(id: $id) { config {
  desired desiredVersion reported reportedVersion inSync history(first: 1) { totalCount nodes { version desired actor } pageInfo { hasNextPage } }
} } }`

func TestDeviceConfigIsSetAndRead(t *testing.T) {
	t.Parallel()
	h := open(t)
	admin, operator := h.signIn(t, "admin"), h.signIn(t, "operator")
	id := h.text(t, admin, `mutation { registerDevice(input: {name: "v", kind: VEHICLE}) { device { id } } }`, nil, "registerDevice", "device", "id")
	device := map[string]any{"id": id}
	empty := `map[desired:map[] desiredVersion:0 history:map[nodes:[] pageInfo:map[hasNextPage:false] totalCount:0] inSync:true reported:<nil> reportedVersion:<nil>]`
	if got := fmt.Sprint(h.get(t, operator, configOf, device, "device", "config")); got != empty {
		t.Errorf("at first %s", got)
	}
	const set = `mutation($id: ID!, $v: Int, $c: JSON!) { setDeviceConfig(id: $id, desired: $c, expectedVersion: $v) { desiredVersion inSync } }`
	for i := range 2 {
		got := fmt.Sprint(h.get(t, operator, set, map[string]any{"id": id, "v": i, "c": map[string]any{"n": i}}, "setDeviceConfig"))
		if want := fmt.Sprintf("map[desiredVersion:%d inSync:false]", i+1); got != want {
			t.Errorf("set: %s, want %s", got, want)
		}
	}
	operatorID := h.text(t, operator, `{ viewer { account { id } } }`, nil, "viewer", "account", "id")
	want := fmt.Sprintf(`map[desired:map[n:1] desiredVersion:2 history:map[nodes:[map[actor:%s desired:map[n:1] version:2]] `+
		`pageInfo:map[hasNextPage:true] totalCount:2] inSync:false reported:<nil> reportedVersion:<nil>]`, operatorID)
	if got := fmt.Sprint(h.get(t, operator, configOf, device, "device", "config")); got != want {
		t.Errorf("at last %s\nwant %s", got, want)
	}
	if got := h.get(t, h.signIn(t, "alice"), configOf, device, "device", "config"); got != nil {
		t.Errorf("a member sees %v", got)
	}
	stale := h.ask(t, operator, set, map[string]any{"id": id, "v": 1, "c": map[string]any{}})
	if len(stale.Errors) != 1 || stale.Errors[0].extension("reason") != "VERSION_CONFLICT" {
		t.Errorf("a stale version: %s", stale.text)
	}
}

func TestConfigSchemaIsEnforced(t *testing.T) {
	t.Parallel()
	h := open(t)
	admin := h.signIn(t, "admin")
	id := h.text(t, admin, `mutation { registerDevice(input: {name: "c", kind: CAMERA}) { device { id } } }`, nil, "registerDevice", "device", "id")
	const schema = `mutation($s: JSON) { setDeviceConfigSchema(kind: CAMERA, schema: $s) { kind schema } }`
	h.get(t, admin, schema, map[string]any{"s": map[string]any{"properties": map[string]any{"fps": map[string]any{"maximum": 60}}}})
	if got := fmt.Sprint(h.get(t, admin, `{ deviceConfigSchemas { kind schema } }`, nil, "deviceConfigSchemas")); got != `[map[kind:CAMERA schema:map[properties:map[fps:map[maximum:60]]]]]` {
		t.Errorf("schemas %s", got)
	}
	set := map[string]any{"id": id, "c": map[string]any{"fps": 61}}
	const document = `mutation($id: ID!, $c: JSON!) { setDeviceConfig(id: $id, desired: $c) { desiredVersion } }`
	refused := h.ask(t, admin, document, set)
	if len(refused.Errors) != 1 || refused.Errors[0].Message != "desired/fps: maximum: got 61, want 60" || refused.Errors[0].extension("code") != "INVALID_ARGUMENT" {
		t.Errorf("what does not fit: %s", refused.text)
	}
	if got := fmt.Sprint(h.get(t, admin, schema, nil, "setDeviceConfigSchema")); got != "map[kind:CAMERA schema:<nil>]" {
		t.Errorf("taken away: %s", got)
	}
	h.get(t, admin, document, set)
}
