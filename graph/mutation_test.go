package graph_test

import "testing"

// What a mutation answers is what there is after it, also for what the request had loaded before.
func TestMutationReadsWhatItChanged(t *testing.T) {
	t.Parallel()
	h := open(t)
	admin := h.signIn(t, "admin")
	made := h.oneOfEach(t)
	a := h.get(t, admin, `mutation($job: ID!, $device: ID!) {
		before: updateJob(input: {id: $job, deviceId: $device}) { device { name } }
		between: updateDevice(input: {id: $device, name: "renamed"}) { name jobs { nodes { name } } }
		after: updateJob(input: {id: $job, name: "renamed too"}) { name device { name } }
		last: updateDevice(input: {id: $device, labels: {site: "north"}}) { labels jobs { nodes { name } } }
	}`, map[string]any{"job": made["Job"], "device": made["Device"]}).(map[string]any)
	for _, c := range []struct {
		path []string
		want string
	}{
		{[]string{"before", "device", "name"}, "v"},
		{[]string{"between", "name"}, "renamed"},
		{[]string{"after", "device", "name"}, "renamed"},
		{[]string{"after", "name"}, "renamed too"},
		{[]string{"last", "labels", "site"}, "north"},
	} {
		var at any = a
		for _, name := range c.path {
			at = at.(map[string]any)[name]
		}
		if at != c.want {
			t.Errorf("%v is %v, want %s", c.path, at, c.want)
		}
	}
	jobs := a["last"].(map[string]any)["jobs"].(map[string]any)["nodes"].([]any)
	if len(jobs) != 1 || jobs[0].(map[string]any)["name"] != "renamed too" {
		t.Errorf("the device's jobs are %v", jobs)
	}
}

func TestFailedMutationFieldDoesNotStopTheNext(t *testing.T) {
	t.Parallel()
	h := open(t)
	admin := h.signIn(t, "admin")
	made := h.oneOfEach(t)
	a := h.ask(t, admin, `mutation($device: ID!) {
		stale: updateDevice(input: {id: $device, name: "x", expectedVersion: 99}) { name }
		good: updateDevice(input: {id: $device, name: "y"}) { name }
	}`, map[string]any{"device": made["Device"]})
	if len(a.Errors) != 1 || a.Errors[0].extension("reason") != "VERSION_CONFLICT" || a.Errors[0].extension("code") != "ABORTED" || a.Data["stale"] != nil {
		t.Errorf("answered %s", a.text)
	}
	if good, _ := a.Data["good"].(map[string]any); good["name"] != "y" {
		t.Errorf("answered %s", a.text)
	}
}

// A 0 that a caller writes is refused, and not taken for nothing written.
func TestZeroArgumentIsRefusedAndNotTheDefault(t *testing.T) {
	t.Parallel()
	h := open(t)
	admin := h.signIn(t, "admin")
	for _, document := range []string{
		`mutation { createApiKey(input: {name: "x", scopes: ["trip:read"], pointsPerMinute: 0}) { secret } }`,
		`mutation { createJob(input: {name: "x", kind: "log", payload: {message: "x"}, maxAttempts: 0}) { id } }`,
		`mutation { createJob(input: {name: "x", kind: "log", payload: {message: "x"}, timeoutSeconds: 0}) { id } }`,
		`mutation { recordWater(input: {amountMl: 0}) { id } }`,
		`{ devices(first: 0) { nodes { id } } }`,
		`{ trips(first: -1) { nodes { id } } }`,
		`{ jobs(first: 1001) { nodes { id } } }`,
	} {
		if a := h.ask(t, admin, document, nil); len(a.Errors) != 1 || a.Errors[0].extension("code") != "INVALID_ARGUMENT" {
			t.Errorf("%s: answered %s", document, a.text)
		}
	}
}

// What an owner corrects and deletes shows in every answer after it, and in the history.
func TestCorrectedActivityShowsAtOnce(t *testing.T) {
	t.Parallel()
	h := open(t)
	alice, bob := h.signIn(t, "alice"), h.signIn(t, "bob")
	id := h.text(t, alice, `mutation { recordWater(input: {amountMl: 900}) { id } }`, nil, "recordWater", "id")
	vars := map[string]any{"id": id}
	total := func() any {
		t.Helper()
		return h.get(t, alice, `{ hydration(from: "2000-01-01T00:00:00Z", to: "2099-01-01T00:00:00Z") { totalMl } }`, nil, "hydration", "totalMl")
	}
	if got := total(); got != 900.0 {
		t.Errorf("the total is %v", got)
	}
	a := h.get(t, alice, `mutation($id: ID!) { updateActivity(input: {id: $id, amount: 300, content: "by hand", expectedVersion: 1}) { title content amount version } }`, vars, "updateActivity").(map[string]any)
	if a["title"] != "Water, 300 ml" || a["content"] != "by hand" || a["amount"] != 300.0 || a["version"] != 2.0 || total() != 300.0 {
		t.Errorf("corrected: %v, a total of %v", a, total())
	}
	a = h.get(t, alice, `mutation($id: ID!) { updateActivity(input: {id: $id, clear: [CONTENT]}) { content version } }`, vars, "updateActivity").(map[string]any)
	if a["content"] != nil || a["version"] != 3.0 {
		t.Errorf("cleared: %v", a)
	}
	for document, reason := range map[string]string{
		`mutation($id: ID!) { updateActivity(input: {id: $id, amount: 1, expectedVersion: 1}) { id } }`: "VERSION_CONFLICT",
		`mutation($id: ID!) { deleteActivity(id: $id, expectedVersion: 1) }`:                            "VERSION_CONFLICT",
		`mutation($id: ID!) { updateActivity(input: {id: $id, amount: 0}) { id } }`:                     "INVALID_FIELD",
		`mutation($id: ID!) { updateActivity(input: {id: $id, clear: [AMOUNT]}) { id } }`:               "INVALID_FIELD",
	} {
		if a := h.ask(t, alice, document, vars); len(a.Errors) != 1 || a.Errors[0].extension("reason") != reason {
			t.Errorf("%s: answered %s", document, a.text)
		}
	}
	for _, document := range []string{`mutation($id: ID!) { updateActivity(input: {id: $id, amount: 1}) { id } }`, `mutation($id: ID!) { deleteActivity(id: $id) }`} {
		if a := h.ask(t, bob, document, vars); len(a.Errors) != 1 || a.Errors[0].extension("code") != "NOT_FOUND" {
			t.Errorf("%s of another: answered %s", document, a.text)
		}
	}
	if got := h.text(t, alice, `mutation($id: ID!) { deleteActivity(id: $id, expectedVersion: 3) }`, vars, "deleteActivity"); got != id || total() != 0.0 {
		t.Errorf("deleted %s, a total of %v", got, total())
	}
	history := h.get(t, alice, `query($id: ID!) { activityHistory(id: $id) { version withdrawn activity { amount } } }`, vars, "activityHistory").([]any)
	if len(history) != 3 || history[0].(map[string]any)["withdrawn"] != true || history[2].(map[string]any)["activity"].(map[string]any)["amount"] != 900.0 {
		t.Errorf("the history is %v", history)
	}
	if other := h.get(t, bob, `query($id: ID!) { activityHistory(id: $id) { version } }`, vars, "activityHistory").([]any); len(other) != 0 {
		t.Errorf("another sees the history %v", other)
	}
}
