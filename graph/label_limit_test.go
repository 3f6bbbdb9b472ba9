package graph_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/graph/exec"
	"github.com/sluicehq/sluice/internal/caller"
)

// limitedRoots says what an API key with deviceLabels and every scope gets at each root field: "refused" by its labels,
// or a document whose response must say nothing of the other site. $device, $command, … are ids of the other site; ""
// is for a field that refers to no device.
var limitedRoots = map[string]string{
	"Query.node": `query($device: ID!, $trip: ID!, $job: ID!, $activity: ID!, $account: ID!, $key: ID!) {
		a: node(id: $device) { id } b: node(id: $trip) { id } c: node(id: $job) { id } d: node(id: $activity) { id }
		e: node(id: $account) { ... on Account { name } } f: node(id: $key) { ... on ApiKey { name } } }`,
	"Query.nodes":               `query($device: ID!, $trip: ID!, $job: ID!) { nodes(ids: [$device, $trip, $job]) { ... on Device { name } ... on Trip { status } ... on Job { name } } }`,
	"Query.viewer":              `{ viewer { accountId scopes } }`,
	"Query.overview":            `{ overview { devices { total } activeTrip { id vehicle { id } } jobs { total } recentActivities { title } } }`,
	"Query.device":              `query($device: ID!) { device(id: $device) { name currentTrip { id } jobs { nodes { name } } events { nodes { message } } } }`,
	"Query.devices":             `{ devices { totalCount nodes { name currentTrip { id } jobs { nodes { name } } } } }`,
	"Query.deviceConfigSchemas": "", // of kinds of devices
	"Query.deviceCalls":         `{ deviceCalls { nodes { deviceId } } }`,
	"Query.apiKeys":             `{ apiKeys { nodes { name } } }`,
	"Query.trip":                "refused",
	"Query.trips":               "refused",
	"Query.job":                 "refused",
	"Query.jobs":                "refused",
	"Query.activities":          "refused",
	"Query.activityHistory":     "refused",
	"Query.hydration":           "refused",
	"Query.callers":             "refused",

	"Mutation.registerDevice":        `mutation { registerDevice(input: {name: "x", kind: SENSOR, labels: {site: "south"}}) { device { name } } }`,
	"Mutation.rotateDeviceSecret":    `mutation($device: ID!) { rotateDeviceSecret(id: $device) { device { name } } }`,
	"Mutation.updateDevice":          `mutation($device: ID!) { updateDevice(input: {id: $device, name: "taken"}) { name } }`,
	"Mutation.deleteDevice":          `mutation($device: ID!) { deleteDevice(id: $device) }`,
	"Mutation.sendCommand":           `mutation($device: ID!) { sendCommand(input: {deviceId: $device, name: "x"}) { id } }`,
	"Mutation.cancelCommand":         `mutation($command: ID!) { cancelCommand(id: $command) { id } }`,
	"Mutation.setDeviceConfig":       `mutation($device: ID!) { setDeviceConfig(id: $device, desired: {a: 1}) { desiredVersion } }`,
	"Mutation.setDeviceConfigSchema": `mutation { setDeviceConfigSchema(kind: SENSOR, schema: null) { kind } }`,
	"Mutation.startStream":           `mutation($device: ID!) { startStream(input: {deviceId: $device}) { state } }`,
	"Mutation.stopStream":            `mutation($device: ID!) { stopStream(deviceId: $device) { state } }`,
	"Mutation.moveCamera":            `mutation($device: ID!) { moveCamera(input: {deviceId: $device, pan: 1}) { id } }`,
	"Mutation.takeSnapshot":          `mutation($device: ID!) { takeSnapshot(deviceId: $device) { id } }`,
	"Mutation.createApiKey":          `mutation { createApiKey(input: {name: "wide", scopes: ["device:read"]}) { secret } }`,
	"Mutation.rotateApiKey":          `mutation($key: ID!) { rotateApiKey(id: $key) { secret } }`,
	"Mutation.revokeApiKey":          `mutation($key: ID!) { revokeApiKey(id: $key) { name } }`,
	"Mutation.login":                 "",
	"Mutation.refreshSession":        "",
	"Mutation.logout":                "",
	"Mutation.startTrip":             "refused",
	"Mutation.reportPosition":        "refused",
	"Mutation.endTrip":               "refused",
	"Mutation.createJob":             "refused",
	"Mutation.updateJob":             "refused",
	"Mutation.cancelJob":             "refused",
	"Mutation.retryJob":              "refused",
	"Mutation.deleteJob":             "refused",
	"Mutation.recordActivity":        "refused",
	"Mutation.recordWater":           "refused",
	"Mutation.updateActivity":        "refused",
	"Mutation.deleteActivity":        "refused",
	"Mutation.releaseCaller":         "refused",

	"Subscription.deviceChanged":   "", // by the labels in the event: gateway/live
	"Subscription.commandOutput":   "", // a line has no labels: gateway/live
	"Subscription.tripChanged":     "refused",
	"Subscription.jobChanged":      "refused",
	"Subscription.activityAdded":   "refused",
	"Subscription.activityChanged": "refused",
}

// An API key with labels and every scope reads, counts and changes nothing that refers to another device.
func TestLabelLimitHoldsAtEveryRootField(t *testing.T) {
	t.Parallel()
	h := open(t)
	admin, alice := h.signIn(t, "admin"), h.signIn(t, "alice")
	limited := caller.Caller{Role: caller.Admin, Scopes: caller.ScopesOf(caller.Admin), DeviceLabels: map[string]string{"site": "north"}}
	other := h.otherSite(t, admin, alice)
	secret := h.text(t, admin, `mutation($scopes: [String!]!) { createApiKey(input: {name: "north", scopes: $scopes, deviceLabels: {site: "north"}}) { secret } }`,
		map[string]any{"scopes": limited.Scopes}, "createApiKey", "secret")
	schema := exec.NewExecutableSchema(exec.Config{}).Schema()
	for _, root := range []*ast.Definition{schema.Query, schema.Mutation, schema.Subscription} {
		for _, field := range root.Fields {
			name := root.Name + "." + field.Name
			expected, known := limitedRoots[name]
			switch {
			case strings.HasPrefix(field.Name, "__"):
			case !known:
				t.Errorf("%s is new: say in limitedRoots what a key that is limited by labels gets of it", name)
			case expected == "refused":
				if allowedBy(root, field, limited) {
					t.Errorf("%s is not refused", name)
				}
			case expected != "":
				used := map[string]any{}
				for variable, id := range other.ids {
					if strings.Contains(expected, "$"+variable+":") {
						used[variable] = id
					}
				}
				body, err := json.Marshal(map[string]any{"query": expected, "variables": used})
				if err != nil {
					t.Fatal(err)
				}
				said := through(t, h, t.Context(), who{header: "X-API-Key", secret: secret}, body).Body.String()
				for _, word := range other.words {
					if strings.Contains(said, word) {
						t.Errorf("%s says %q: %s", name, word, said)
					}
				}
			}
		}
	}
	for name := range limitedRoots {
		root, field, _ := strings.Cut(name, ".")
		if schema.Types[root].Fields.ForName(field) == nil {
			t.Errorf("there is no %s", name)
		}
	}
	if got := h.text(t, admin, `query($device: ID!) { device(id: $device) { name } }`, map[string]any{"device": other.ids["device"]}, "device", "name"); got != "southern press" {
		t.Errorf("the other device is now %q", got)
	}
}

func allowedBy(object *ast.Definition, field *ast.FieldDefinition, who caller.Caller) bool {
	return allowed(object, field, slices.DeleteFunc(slices.Clone(who.Scopes), func(scope string) bool { return !who.Has(scope) }))
}

// site is one entity of each kind that refers to a device, and words of which nothing may be said.
type site struct {
	ids   map[string]any
	words []string
}

func (h *environment) otherSite(t *testing.T, admin, alice string) site {
	t.Helper()
	text := func(who, document string, variables map[string]any, path ...string) string {
		t.Helper()
		return h.text(t, who, document, variables, path...)
	}
	s := site{ids: map[string]any{}, words: []string{"southern", "total\":1", "totalCount\":1"}}
	s.ids["device"] = text(admin, `mutation { registerDevice(input: {name: "southern press", kind: VEHICLE, lock: false, labels: {site: "south"}}) { device { id } } }`, nil, "registerDevice", "device", "id")
	about := map[string]any{"device": s.ids["device"]}
	s.ids["trip"] = text(alice, `mutation($device: ID!) { startTrip(input: {vehicleId: $device, position: {latitude: 1, longitude: 2}}) { id } }`, about, "startTrip", "id")
	s.ids["job"] = text(admin, `mutation($device: ID!) { createJob(input: {name: "southern job", kind: "log", payload: {message: "x"}, deviceId: $device}) { id } }`, about, "createJob", "id")
	s.ids["activity"] = text(alice, `mutation($device: ID!) { recordActivity(input: {kind: NOTE, title: "southern note", deviceId: $device}) { id } }`, about, "recordActivity", "id")
	s.ids["command"] = text(admin, `mutation($device: ID!) { sendCommand(input: {deviceId: $device, name: "x"}) { id } }`, about, "sendCommand", "id")
	s.ids["account"] = text(alice, `{ viewer { account { id } } }`, nil, "viewer", "account", "id")
	s.ids["key"] = text(admin, `mutation { createApiKey(input: {name: "southern key", scopes: ["device:read"]}) { apiKey { id } } }`, nil, "createApiKey", "apiKey", "id")
	name := text(alice, `{ viewer { account { name } } }`, nil, "viewer", "account", "name")
	s.words = append(s.words, `"`+name+`"`, `"secret":"`)
	return s
}
