package security

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/sluicehq/sluice/e2e/harness"
	"github.com/sluicehq/sluice/internal/ids"
)

// probe is a document that takes an id as $id, of an entity of the kind, and may name a job as $job and an activity of
// the caller as $activity.
type probe struct {
	kind     ids.Kind
	document string
}

// probes are all ways in which an id can be asked for, of all kinds.
func probes() []probe {
	all := []probe{
		{ids.Trip, `query($id: ID!) { trip(id: $id) { id status } }`},
		{ids.Trip, `mutation($id: ID!) { reportPosition(tripId: $id, position: {latitude: 1, longitude: 1}) { id } }`},
		{ids.Trip, `mutation($id: ID!) { endTrip(tripId: $id) { id } }`},
		{ids.Trip, `mutation($id: ID!) { endTrip(tripId: $id, position: {latitude: 1, longitude: 1}) { id } }`},
		{ids.Trip, `mutation($id: ID!) { endTrip(tripId: $id, expectedVersion: 99) { id } }`},
		{ids.Trip, `mutation($id: ID!) { recordActivity(input: {kind: NOTE, title: "x", tripId: $id}) { title trip { id } } }`},
		{ids.Account, `query($id: ID!) { hydration(from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z", accountId: $id) { totalMl } }`},
		{ids.Account, `query($id: ID!) { activities(filter: {accountId: $id}) { totalCount nodes { id } } }`},
		{ids.Account, `query($id: ID!) { trips(filter: {accountIds: [$id]}) { totalCount nodes { id } } }`},
		{ids.Device, `query($id: ID!) { device(id: $id) { id name } }`},
		{ids.Device, `query($id: ID!) { device(id: $id) { config { desiredVersion } commands { totalCount } events { totalCount } stream { state } jobs { totalCount } } }`},
		{ids.Device, `query($id: ID!) { activities(filter: {deviceId: $id}) { totalCount nodes { id } } }`},
		{ids.Device, `query($id: ID!) { trips(filter: {vehicleIds: [$id]}) { totalCount nodes { id } } }`},
		{ids.Device, `query($id: ID!) { jobs(filter: {deviceId: $id}) { totalCount nodes { id } } }`},
		{ids.Device, `query($id: ID!) { deviceCalls(filter: {deviceId: $id}) { totalCount } }`},
		{ids.Device, `mutation($id: ID!) { startTrip(input: {vehicleId: $id, position: {latitude: 1, longitude: 1}}) { id } }`},
		{ids.Device, `mutation($id: ID!) { updateDevice(input: {id: $id, name: "x"}) { id } }`},
		{ids.Device, `mutation($id: ID!) { updateDevice(input: {id: $id, name: "x", expectedVersion: 99}) { id } }`},
		{ids.Device, `mutation($id: ID!) { rotateDeviceSecret(id: $id) { secret } }`},
		{ids.Device, `mutation($id: ID!) { setDeviceConfig(id: $id, desired: {a: 1}) { desiredVersion } }`},
		{ids.Device, `mutation($id: ID!) { setDeviceConfig(id: $id, desired: {a: 1}, expectedVersion: 99) { desiredVersion } }`},
		{ids.Device, `mutation($id: ID!) { sendCommand(input: {deviceId: $id, name: "unlock"}) { id } }`},
		{ids.Device, `mutation($id: ID!) { sendCommand(input: {deviceId: $id, name: "startStream"}) { id } }`},
		{ids.Device, `mutation($id: ID!) { deleteDevice(id: $id, expectedVersion: 99) }`},
		{ids.Device, `mutation($id: ID!) { deleteDevice(id: $id) }`},
		{ids.Device, `mutation($id: ID!) { startStream(input: {deviceId: $id}) { state } }`},
		{ids.Device, `mutation($id: ID!) { stopStream(deviceId: $id) { state } }`},
		{ids.Device, `mutation($id: ID!) { moveCamera(input: {deviceId: $id, pan: 0.5}) { id } }`},
		{ids.Device, `mutation($id: ID!) { takeSnapshot(deviceId: $id) { id } }`},
		{ids.Device, `mutation($id: ID!) { recordActivity(input: {kind: NOTE, title: "x", deviceId: $id}) { title device { id } } }`},
		{ids.Device, `mutation($id: ID!) { createJob(input: {name: "x", kind: "log", payload: {message: "x"}, runAt: "2099-01-01T00:00:00Z", deviceId: $id}) { name device { id } } }`},
		{ids.Device, `mutation($id: ID!, $job: ID!) { updateJob(input: {id: $job, deviceId: $id}) { name device { id } } }`},
		{ids.Device, `mutation($id: ID!, $activity: ID!) { updateActivity(input: {id: $activity, deviceId: $id}) { title device { id } } }`},
		{ids.Trip, `mutation($id: ID!, $activity: ID!) { updateActivity(input: {id: $activity, tripId: $id}) { title trip { id } } }`},
		{ids.Job, `mutation($id: ID!, $activity: ID!) { updateActivity(input: {id: $activity, jobId: $id}) { title } }`},
		{ids.Activity, `mutation($id: ID!) { updateActivity(input: {id: $id, title: "x"}) { id } }`},
		{ids.Activity, `mutation($id: ID!) { deleteActivity(id: $id, expectedVersion: 99) }`},
		{ids.Activity, `mutation($id: ID!) { deleteActivity(id: $id) }`},
		{ids.Activity, `query($id: ID!) { activityHistory(id: $id) { version } }`},
		{ids.Command, `mutation($id: ID!) { cancelCommand(id: $id) { id } }`},
		{ids.Job, `mutation($id: ID!) { recordActivity(input: {kind: NOTE, title: "x", jobId: $id}) { title } }`},
		{ids.Job, `query($id: ID!) { job(id: $id) { id } }`},
		{ids.Job, `mutation($id: ID!) { cancelJob(id: $id) { id } }`},
		{ids.Job, `mutation($id: ID!) { retryJob(id: $id) { id } }`},
		{ids.Job, `mutation($id: ID!) { updateJob(input: {id: $id, name: "x"}) { id } }`},
		{ids.Job, `mutation($id: ID!) { deleteJob(id: $id) }`},
		{ids.APIKey, `mutation($id: ID!) { rotateApiKey(id: $id) { secret } }`},
		{ids.APIKey, `mutation($id: ID!) { revokeApiKey(id: $id) { id } }`},
		{ids.APIKey, `query($id: ID!) { deviceCalls(filter: {apiKeyId: $id}) { totalCount } }`},
	}
	for _, kind := range kindsProbed() {
		all = append(all,
			probe{kind, `query($id: ID!) { node(id: $id) { id } }`},
			probe{kind, `query($id: ID!) { nodes(ids: [$id, $id]) { id __typename } }`})
	}
	return all
}

func kindsProbed() []ids.Kind {
	return []ids.Kind{ids.Trip, ids.Account, ids.Device, ids.Command, ids.Job, ids.APIKey, ids.Activity}
}

// heardOf are all subscriptions that take an id, as probes.
func heardOf() []probe {
	return []probe{
		{ids.Trip, `subscription($id: ID!) { tripChanged(id: $id) { id status } }`},
		{ids.Command, `subscription($id: ID!) { commandOutput(commandId: $id) { text } }`},
		{ids.Device, `subscription($id: ID!) { jobChanged(filter: {deviceId: $id}) { id } }`},
		{ids.Device, `subscription($id: ID!) { activityAdded(filter: {deviceId: $id}) { title } }`},
		{ids.Device, `subscription($id: ID!) { activityChanged(filter: {deviceId: $id}) { title } }`},
		{ids.Account, `subscription($id: ID!) { activityChanged(filter: {accountId: $id}) { title } }`},
		{ids.Account, `subscription($id: ID!) { activityAdded(filter: {accountId: $id}) { title } }`},
	}
}

// There is no place for an id in the schema that the tests of this file leave out.
func TestProbesCoverAllIDArgumentsOfSchema(t *testing.T) {
	t.Parallel()
	schema := readSchema(t)
	probed := map[string]bool{}
	for _, p := range append(probes(), heardOf()...) {
		document, problems := gqlparser.LoadQueryWithRules(schema, p.document, rules.NewDefaultRules())
		if problems != nil {
			t.Fatalf("%s: %v", p.document, problems)
		}
		operation := document.Operations[0]
		for _, selected := range operation.SelectionSet {
			field := selected.(*ast.Field)
			for _, argument := range field.Arguments {
				for _, place := range placesOf(argument.Value, "id") {
					probed[field.ObjectDefinition.Name+"."+field.Name+"("+argument.Name+place+")"] = true
				}
			}
		}
	}
	known := map[string]bool{}
	for _, object := range schema.Types {
		for _, field := range object.Fields {
			for _, argument := range field.Arguments {
				for _, place := range placesForIDs(schema, argument.Type, nil) {
					known[object.Name+"."+field.Name+"("+argument.Name+place+")"] = true
				}
			}
		}
	}
	delete(known, "Mutation.updateJob(input.id)") // named beside another id
	for place := range known {
		if !probed[place] {
			t.Errorf("nothing probes %s", place)
		}
	}
	if len(known) < 30 {
		t.Errorf("the schema has ids in %v alone", slices.Sorted(maps.Keys(known)))
	}
}

func readSchema(t *testing.T) *ast.Schema {
	t.Helper()
	files, err := filepath.Glob("../../schema/*.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	var sources []*ast.Source
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, &ast.Source{Name: file, Input: string(text)})
	}
	schema, err := gqlparser.LoadSchema(sources...)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// placesForIDs are the ways down from an argument of the type to ids, as in ".deviceId".
func placesForIDs(schema *ast.Schema, of *ast.Type, above []string) (places []string) {
	name := of.Name()
	if name == "ID" {
		return []string{""}
	}
	if slices.Contains(above, name) || schema.Types[name].Kind != ast.InputObject {
		return nil
	}
	for _, field := range schema.Types[name].Fields {
		for _, place := range placesForIDs(schema, field.Type, append(above, name)) {
			places = append(places, "."+field.Name+place)
		}
	}
	return places
}

// placesOf are the ways down from a value to where the variable stands.
func placesOf(value *ast.Value, variable string) (places []string) {
	if value.Kind == ast.Variable && value.Raw == variable {
		return []string{""}
	}
	for _, child := range value.Children {
		for _, place := range placesOf(child.Value, variable) {
			if child.Name != "" {
				place = "." + child.Name + place
			}
			places = append(places, place)
		}
	}
	return places
}

// stranger is somebody who must not find out what there is of others.
type stranger struct {
	name, credential string
	blindTo          []ids.Kind // of which others' are not to be seen
}

func strangers(t *testing.T, p *harness.Program, admin string) []stranger {
	t.Helper()
	key := func(name string, input string) string {
		return harness.Query[struct{ CreateAPIKey struct{ Secret string } }](t, p, admin,
			`mutation { createApiKey(input: {name: "`+name+`", `+input+`}) { secret } }`, nil).CreateAPIKey.Secret
	}
	return []stranger{
		{"a member", p.SignIn(t, "alice"), kindsProbed()},
		{"a key for some devices", key("north", `deviceLabels: {site: "north"}, scopes: ["device:read", "device:write", "device:configure",
			"device:command", "camera:view", "camera:move", "trip:read", "trip:write", "activity:read", "activity:write", "job:read", "job:write", "account:read"]`),
			[]ids.Kind{ids.Device, ids.Command}},
		{"a key with few scopes", key("few", `scopes: ["account:read"]`), []ids.Kind{ids.Trip, ids.Device, ids.Command, ids.Job, ids.Activity}},
		{"nobody", "", kindsProbed()},
	}
}

// asked is a probe that was answered, and the traces of what was done about it.
type asked struct{ name, theirs, nothing string }

// What a caller may not see is answered exactly like what there is not, by whatever field it is asked
// for: the same status, headers and bytes, but for the request's own id and the id that was asked for;
// and it is found out by the same calls and the same SQL, so that it takes the same time.
func TestForeignEntitiesLookAbsent(t *testing.T) {
	t.Parallel()
	t.Run("what is kept", func(t *testing.T) {
		t.Parallel()
		p := harness.Start(t, harness.DemoArgs(t.TempDir())...)
		compareProbes(t, p)
	})
	t.Run("what is asked of the services", func(t *testing.T) {
		t.Parallel()
		spans, endpoint := harness.StartCollector(t)
		p := harness.Start(t, harness.DemoArgs(t.TempDir(), "--telemetry-otlp-endpoint", "http://"+endpoint,
			"--breaker-hedge=false", "--cache-enabled=false", "--auth-cache-ttl=1m")...) // so that the same is done whenever the same is asked
		all := compareProbes(t, p)
		p.StopCleanly(t) // which sends what is left to send
		done := workByTrace(spans.Spans())
		for _, one := range all {
			if theirs, nothing := done[one.theirs], done[one.nothing]; theirs != nothing || theirs == "" {
				t.Errorf("%s: about what is another's it did\n%s\nand about what there is not\n%s", one.name, theirs, nothing)
			}
		}
	})
}

// probeAll compares the answers to all probes by all strangers.
func compareProbes(t *testing.T, p *harness.Program) (all []asked) {
	t.Helper()
	admin, bob := p.SignIn(t, "admin"), p.SignIn(t, "bob")
	for _, who := range strangers(t, p, admin) {
		foreign := foreignEntities(t, p, admin, bob) // that nobody has named yet
		p.Execute(t, who.credential, "{ viewer { scopes } }", nil)
		given := harness.Vars{"job": foreign[ids.Job], "activity": ownActivity(t, p, who.credential)}
		missing := map[ids.Kind]string{}
		for _, kind := range kindsProbed() {
			missing[kind] = ids.New(kind)
		}
		for _, probe := range probes() {
			if !slices.Contains(who.blindTo, probe.kind) {
				continue
			}
			t.Run(who.name+"/"+string(probe.kind)+"/"+probe.document, func(t *testing.T) {
				one := asked{name: t.Name(), theirs: newTrace(), nothing: newTrace()}
				theirs := responseTranscript(t, p, who.credential, probe.document, foreign[probe.kind], given, one.theirs)
				nothing := responseTranscript(t, p, who.credential, probe.document, missing[probe.kind], given, one.nothing)
				if strings.Contains(theirs, "VALIDATION_FAILED") {
					t.Fatalf("the document does not fit the schema: %s", theirs)
				}
				if theirs != nothing {
					t.Errorf("what is another's is answered\n%s\nand what there is not\n%s", theirs, nothing)
				}
				all = append(all, one)
			})
		}
	}
	return all
}

func newTrace() string { return strings.ReplaceAll(uuid.NewString(), "-", "") }

// workByTrace is what was done in each trace, as one text, but for finding out who asks: the gateway forgets what
// it knew of a key when an event tells of it, whenever that comes.
func workByTrace(spans []harness.Span) map[string]string {
	steps := map[string][]string{}
	byID := map[string]harness.Span{}
	for _, s := range spans {
		byID[s.ID] = s
	}
	for _, s := range spans {
		if verifiesKey(s, byID) {
			continue
		}
		steps[s.Trace] = append(steps[s.Trace], strings.TrimSpace(s.Name+" "+strings.Join(strings.Fields(s.SQL), " ")))
	}
	work := map[string]string{}
	for trace, of := range steps {
		work[trace] = strings.Join(slices.Sorted(slices.Values(of)), "\n")
	}
	return work
}

// verifiesKey tells whether the span is of, or within, the call that finds out who asks.
func verifiesKey(s harness.Span, byID map[string]harness.Span) bool {
	for known := true; known; s, known = byID[s.Parent] {
		if strings.HasSuffix(s.Name, "VerifyApiKey") {
			return true
		}
	}
	return false
}

// foreignEntities are one of each kind, which neither alice nor a key for the devices of the north sees.
func foreignEntities(t *testing.T, p *harness.Program, admin, bob string) map[ids.Kind]string {
	t.Helper()
	register := func(kind, lock string) string {
		return harness.Query[struct {
			RegisterDevice struct{ Device struct{ ID string } }
		}](t, p, admin, `mutation { registerDevice(input: {name: "x", kind: `+kind+`, lock: `+lock+`, labels: {site: "south"}}) { device { id } } }`, nil).RegisterDevice.Device.ID
	}
	car, sensor := register("VEHICLE", "false"), register("SENSOR", "null")
	made := harness.Query[struct {
		CreateJob    struct{ ID string }
		CreateAPIKey struct{ APIKey struct{ ID string } }
		SendCommand  struct{ ID string }
	}](t, p, admin, `mutation($sensor: ID!) {
		createJob(input: {name: "later", kind: "log", payload: {message: "x"}, runAt: "2099-01-01T00:00:00Z", deviceId: $sensor}) { id }
		recordActivity(input: {kind: NOTE, title: "of the sensor", deviceId: $sensor}) { id }
		createApiKey(input: {name: "k", scopes: ["trip:read"]}) { apiKey { id } }
		sendCommand(input: {deviceId: $sensor, name: "calibrate"}) { id }
	}`, harness.Vars{"sensor": sensor})
	for _, open := range harness.Query[struct {
		Trips struct{ Nodes []struct{ ID string } }
	}](t, p, bob, `{ trips(filter: {statuses: [UNLOCKING, IN_PROGRESS]}) { nodes { id } } }`, nil).Trips.Nodes {
		harness.Query[any](t, p, bob, `mutation($id: ID!) { endTrip(tripId: $id) { id } }`, harness.Vars{"id": open.ID})
	}
	bobs := harness.Query[struct {
		StartTrip      struct{ ID string }
		RecordActivity struct{ ID string }
	}](t, p, bob, `mutation($car: ID!) {
		startTrip(input: {vehicleId: $car, position: {latitude: 1, longitude: 1}}) { id }
		recordActivity(input: {kind: NOTE, title: "bob's own"}) { id }
	}`, harness.Vars{"car": car})
	account := harness.Query[struct {
		Viewer struct{ Account struct{ ID string } }
	}](t, p, bob, `{ viewer { account { id } } }`, nil).Viewer.Account.ID
	of := map[ids.Kind]string{
		ids.Device: sensor, ids.Job: made.CreateJob.ID, ids.APIKey: made.CreateAPIKey.APIKey.ID, ids.Command: made.SendCommand.ID,
		ids.Trip: bobs.StartTrip.ID, ids.Activity: bobs.RecordActivity.ID, ids.Account: account,
	}
	return of
}

// What differs from one request to the next whatever is asked: names of requests, times, places in the
// stream, and what is left to spend.
var passing = regexp.MustCompile(`"requestId":"[^"]*"|"remaining":[0-9]+|r=[0-9]+;t=[0-9]+|max-age=[0-9]+|"cursor":"[^"]*"|(?m)^id: \S+`)

// ownActivity records an activity of the caller and returns its id, or an id of nothing for a caller who may not.
func ownActivity(t *testing.T, p *harness.Program, credential string) string {
	t.Helper()
	a := p.Execute(t, credential, `mutation { recordActivity(input: {kind: NOTE, title: "own"}) { id } }`, nil)
	if len(a.Errors) > 0 {
		return ids.New(ids.Activity)
	}
	return harness.Data[struct{ RecordActivity struct{ ID string } }](t, a).RecordActivity.ID
}

// responseTranscript returns the whole response, without the id and without what differs between any two requests.
func responseTranscript(t *testing.T, p *harness.Program, credential, document, id string, given harness.Vars, trace string) string {
	t.Helper()
	variables := maps.Clone(given)
	variables["id"] = id
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/graphql-response+json"},
		"Sluice-Cost": {"1"},
		"Traceparent": {fmt.Sprintf("00-%s-%s-01", trace, trace[:16])},
	}
	if strings.HasPrefix(credential, "sluice_") {
		request.Header.Set("X-API-Key", credential)
	} else if credential != "" {
		request.Header.Set("Authorization", "Bearer "+credential)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"X-Request-Id", "Date", "Content-Length"} { // the last is that of the former
		response.Header.Del(name)
	}
	var headers bytes.Buffer
	_ = response.Header.Write(&headers) // a buffer takes everything
	whole := response.Status + "\n" + headers.String() + string(text)
	return passing.ReplaceAllString(strings.ReplaceAll(whole, id, "ID"), "…")
}
