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
