package graph_test

import (
	"fmt"
	"testing"

	"github.com/sluicehq/sluice/internal/ids"
)

// oneOfEach makes one thing of each kind and gives their ids, by type.
func (h *environment) oneOfEach(t testing.TB) map[string]string {
	t.Helper()
	admin, alice := h.signIn(t, "admin"), h.signIn(t, "alice")
	made := map[string]string{
		"Account": h.text(t, alice, `{ viewer { account { id } } }`, nil, "viewer", "account", "id"),
		"ApiKey": h.text(t, admin, `mutation { createApiKey(input: {name: "x", scopes: ["trip:read"]}) { apiKey { id } } }`, nil,
			"createApiKey", "apiKey", "id"),
		"Device": h.text(t, admin, `mutation { registerDevice(input: {name: "v", kind: VEHICLE}) { device { id } } }`, nil,
			"registerDevice", "device", "id"),
		"Job": h.text(t, admin, `mutation { createJob(input: {name: "j", kind: "log", payload: {message: "x"}, cron: "0 0 1 1 *"}) { id } }`, nil,
			"createJob", "id"),
		"Activity": h.text(t, admin, `mutation { recordActivity(input: {kind: NOTE, title: "n", public: true}) { id } }`, nil,
			"recordActivity", "id"),
	}
	made["Command"] = h.text(t, admin, `mutation($d: ID!) { sendCommand(input: {deviceId: $d, name: "blink"}) { id } }`,
		map[string]any{"d": made["Device"]}, "sendCommand", "id")
	made["Trip"] = h.text(t, alice, `mutation($v: ID!) { startTrip(input: {vehicleId: $v, position: {latitude: 48, longitude: 11}}) { id } }`,
		map[string]any{"v": made["Device"]}, "startTrip", "id")
	return made
}

func TestNodeOfEveryKindIsFoundByID(t *testing.T) {
	t.Parallel()
	h := open(t)
	admin := h.signIn(t, "admin")
	made := h.oneOfEach(t)
	var wanted []string
	for kind, id := range made {
		wanted = append(wanted, id)
		node := h.get(t, admin, `query($id: ID!) { node(id: $id) { __typename id } }`, map[string]any{"id": id}, "node").(map[string]any)
		if node["__typename"] != kind || node["id"] != id {
			t.Errorf("%s %s is %v", kind, id, node)
		}
	}
	wanted = append(wanted, wanted[0])
	nodes := h.get(t, admin, `query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, map[string]any{"ids": wanted}, "nodes").([]any)
	for i, node := range nodes {
		if node.(map[string]any)["id"] != wanted[i] {
			t.Errorf("node %d is %v, want %s", i, node, wanted[i])
		}
	}
}

func TestUnknownIDIsNotFound(t *testing.T) {
	t.Parallel()
	h := open(t)
	alice := h.signIn(t, "alice")
	tripOfAlice := h.oneOfEach(t)["Trip"]
	bob := h.signIn(t, "bob")
	for _, c := range []struct{ name, who, id, code string }{
		{"unknown trip", alice, ids.New(ids.Trip), "NOT_FOUND"},
		{"unknown account", alice, ids.New(ids.Account), "NOT_FOUND"},
		{"a kind without a loader", alice, ids.New(ids.Session), "NOT_FOUND"},
		{"a kind that there is not", alice, "spaceship_01jd2k0f3qe8x9w5t7v6m4n2p0", "NOT_FOUND"},
		{"another member's trip", bob, tripOfAlice, "NOT_FOUND"},
		{"empty", alice, "", "INVALID_ARGUMENT"},
		{"malformed", alice, "trip_1", "INVALID_ARGUMENT"},
		{"an injection", alice, "trip_01jd2k0f3qe8x9w5t7v6m4n2p0' OR 1=1", "INVALID_ARGUMENT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := h.ask(t, c.who, `query($id: ID!) { node(id: $id) { id } }`, map[string]any{"id": c.id})
			if a.Data["node"] != nil || len(a.Errors) != 1 || a.Errors[0].extension("code") != c.code {
				t.Errorf("answered %s", a.text)
			}
			a = h.ask(t, c.who, `query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, map[string]any{"ids": []string{tripOfAlice, c.id}})
			last := a.Errors[len(a.Errors)-1]
			if nodes := a.Data["nodes"].([]any); nodes[1] != nil || last.extension("code") != c.code || fmt.Sprint(last.Path) != "[nodes 1]" {
				t.Errorf("among others it is answered %s", a.text)
			}
		})
	}
}

// Every argument that takes an id says so when it is the id of something else.
func TestIDOfAnotherKindIsRefused(t *testing.T) {
	t.Parallel()
	h := open(t)
	admin := h.signIn(t, "admin")
	account := ids.New(ids.Account)
	for _, document := range []string{
		`query($id: ID!) { device(id: $id) { id } }`,
		`query($id: ID!) { trip(id: $id) { id } }`,
		`query($id: ID!) { job(id: $id) { id } }`,
		`query($id: ID!) { hydration(from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z", accountId: $id) { totalMl } }`,
		`query($id: ID!) { trips(filter: {accountIds: [$id]}) { nodes { id } } }`,
		`query($id: ID!) { trips(filter: {vehicleIds: [$id]}) { nodes { id } } }`,
		`query($id: ID!) { jobs(filter: {deviceId: $id}) { nodes { id } } }`,
		`query($id: ID!) { activities(filter: {deviceId: $id}) { nodes { id } } }`,
		`mutation($id: ID!) { rotateApiKey(id: $id) { secret } }`,
		`mutation($id: ID!) { revokeApiKey(id: $id) { id } }`,
		`mutation($id: ID!) { updateDevice(input: {id: $id, name: "x"}) { id } }`,
		`mutation($id: ID!) { deleteDevice(id: $id) }`,
		`mutation($id: ID!) { startTrip(input: {vehicleId: $id, position: {latitude: 1, longitude: 1}}) { id } }`,
		`mutation($id: ID!) { reportPosition(tripId: $id, position: {latitude: 1, longitude: 1}) { id } }`,
		`mutation($id: ID!) { endTrip(tripId: $id) { id } }`,
		`mutation($id: ID!) { createJob(input: {name: "x", kind: "log", payload: {message: "x"}, deviceId: $id}) { id } }`,
		`mutation($id: ID!) { updateJob(input: {id: $id, name: "x"}) { id } }`,
		`mutation($id: ID!) { cancelJob(id: $id) { id } }`,
		`mutation($id: ID!) { retryJob(id: $id) { id } }`,
		`mutation($id: ID!) { deleteJob(id: $id) }`,
		`mutation($id: ID!) { recordActivity(input: {kind: NOTE, title: "x", deviceId: $id}) { id } }`,
		`mutation($id: ID!) { recordActivity(input: {kind: NOTE, title: "x", tripId: $id}) { id } }`,
		`mutation($id: ID!) { recordActivity(input: {kind: NOTE, title: "x", jobId: $id}) { id } }`,
	} {
		t.Run(document, func(t *testing.T) {
			t.Parallel()
			for _, id := range []string{account, ids.New(ids.Event), "sesame"} {
				a := h.ask(t, admin, document, map[string]any{"id": id})
				if len(a.Errors) == 1 && a.Errors[0].extension("code") == "INVALID_ARGUMENT" {
					continue
				}
				if id == account && len(a.Errors) == 0 { // here an account is meant
					continue
				}
				t.Errorf("%s: answered %s", id, a.text)
			}
		})
	}
}
