package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/ids"
)

// probe is a document that takes an id as $id, of an entity of the kind.
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
		{ids.Trip, `mutation($id: ID!) { endTrip(tripId: $id, expectedVersion: 99) { id } }`},
		{ids.Account, `query($id: ID!) { hydration(from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z", accountId: $id) { totalMl } }`},
		{ids.Account, `query($id: ID!) { activities(filter: {accountId: $id}) { totalCount nodes { id } } }`},
		{ids.Account, `query($id: ID!) { trips(filter: {accountIds: [$id]}) { totalCount nodes { id } } }`},
		{ids.Device, `query($id: ID!) { device(id: $id) { id name } }`},
		{ids.Device, `query($id: ID!) { activities(filter: {deviceId: $id}) { totalCount nodes { id } } }`},
		{ids.Device, `query($id: ID!) { trips(filter: {vehicleIds: [$id]}) { totalCount nodes { id } } }`},
		{ids.Device, `mutation($id: ID!) { startTrip(input: {vehicleId: $id, position: {latitude: 1, longitude: 1}}) { id } }`},
		{ids.Device, `mutation($id: ID!) { updateDevice(input: {id: $id, name: "x"}) { id } }`},
		{ids.Device, `mutation($id: ID!) { updateDevice(input: {id: $id, name: "x", expectedVersion: 99}) { id } }`},
		{ids.Device, `mutation($id: ID!) { rotateDeviceSecret(id: $id) { secret } }`},
		{ids.Device, `mutation($id: ID!) { setDeviceConfig(id: $id, desired: {a: 1}) { desiredVersion } }`},
		{ids.Device, `mutation($id: ID!) { setDeviceConfig(id: $id, desired: {a: 1}, expectedVersion: 99) { desiredVersion } }`},
		{ids.Device, `mutation($id: ID!) { sendCommand(input: {deviceId: $id, name: "unlock"}) { id } }`},
		{ids.Device, `mutation($id: ID!) { deleteDevice(id: $id, expectedVersion: 99) }`},
		{ids.Device, `mutation($id: ID!) { deleteDevice(id: $id) }`},
		{ids.Device, `mutation($id: ID!) { recordActivity(input: {kind: NOTE, title: "x", deviceId: $id}) { title device { id } } }`},
		{ids.Device, `mutation($id: ID!) { createJob(input: {name: "x", kind: "log", payload: {message: "x"}, runAt: "2099-01-01T00:00:00Z", deviceId: $id}) { name device { id } } }`},
		{ids.Device, `query($id: ID!) { jobs(filter: {deviceId: $id}) { totalCount nodes { id } } }`},
		{ids.Trip, `mutation($id: ID!) { recordActivity(input: {kind: NOTE, title: "x", tripId: $id}) { title trip { id } } }`},
		{ids.Job, `mutation($id: ID!) { recordActivity(input: {kind: NOTE, title: "x", jobId: $id}) { title } }`},
		{ids.Job, `query($id: ID!) { job(id: $id) { id } }`},
		{ids.Job, `mutation($id: ID!) { cancelJob(id: $id) { id } }`},
		{ids.Job, `mutation($id: ID!) { retryJob(id: $id) { id } }`},
		{ids.Job, `mutation($id: ID!) { updateJob(input: {id: $id, name: "x"}) { id } }`},
		{ids.Job, `mutation($id: ID!) { deleteJob(id: $id) }`},
		{ids.APIKey, `mutation($id: ID!) { rotateApiKey(id: $id) { secret } }`},
		{ids.APIKey, `mutation($id: ID!) { revokeApiKey(id: $id) { id } }`},
	}
	for _, kind := range []ids.Kind{ids.Trip, ids.Account, ids.Device, ids.Job, ids.APIKey, ids.Activity} {
		all = append(all,
			probe{kind, `query($id: ID!) { node(id: $id) { id } }`},
			probe{kind, `query($id: ID!) { nodes(ids: [$id, $id]) { id __typename } }`})
	}
	return all
}

// What a caller may not see is answered exactly like what there is not, by whatever field it is asked
// for: the same status, headers and bytes, but for the request's own id and the id that was asked for.
func TestNobodyFindsOutWhatExists(t *testing.T) {
	t.Parallel()
	p := start(t, serveDemo(t.TempDir(), "--http-introspection")...)
	admin, bob := p.signIn(t, "admin"), p.signIn(t, "bob")
	north := ask[struct{ CreateAPIKey struct{ Secret string } }](t, p, admin, `mutation { createApiKey(input: {name: "north", deviceLabels: {site: "north"},
		scopes: ["device:read", "device:write", "device:configure", "device:command", "trip:read", "trip:write", "activity:read", "activity:write", "job:read", "job:write", "account:read"]}) { secret } }`, nil).CreateAPIKey.Secret
	strangers := ask[struct{ CreateAPIKey struct{ Secret string } }](t, p, admin, `mutation { createApiKey(input: {name: "few", scopes: ["account:read"]}) { secret } }`, nil).CreateAPIKey.Secret
	for _, who := range []struct {
		name, credential string
		blindTo          []ids.Kind // of which others' are not to be seen
	}{
		{"a member", p.signIn(t, "alice"), []ids.Kind{ids.Trip, ids.Account, ids.Device, ids.Job, ids.APIKey, ids.Activity}},
		{"a key for some devices", north, []ids.Kind{ids.Device}},
		{"a key with few scopes", strangers, []ids.Kind{ids.Trip, ids.Device, ids.Job, ids.Activity}},
		{"nobody", "", []ids.Kind{ids.Trip, ids.Account, ids.Device, ids.Job, ids.APIKey, ids.Activity}},
	} {
		foreign := foreignEntities(t, p, admin, bob) // that nobody has named yet
		for _, probe := range probes() {
			if !slices.Contains(who.blindTo, probe.kind) {
				continue
			}
			t.Run(who.name+"/"+string(probe.kind)+"/"+probe.document, func(t *testing.T) {
				theirs := p.shape(t, who.credential, probe.document, foreign[probe.kind])
				nothing := p.shape(t, who.credential, probe.document, ids.New(probe.kind))
				if strings.Contains(theirs, "VALIDATION_FAILED") {
					t.Fatalf("the document does not fit the schema: %s", theirs)
				}
				if theirs != nothing {
					t.Errorf("what is another's is answered\n%s\nand what there is not\n%s", theirs, nothing)
				}
			})
		}
	}
}

// foreignEntities are one of each kind, which neither alice nor a key for the devices of the north sees.
func foreignEntities(t *testing.T, p *program, admin, bob string) map[ids.Kind]string {
	t.Helper()
	car := ask[struct {
		RegisterDevice struct{ Device struct{ ID string } }
	}](t, p, admin,
		`mutation { registerDevice(input: {name: "car", kind: VEHICLE, labels: {site: "south"}}) { device { id } } }`, nil).RegisterDevice.Device.ID
	sensor := ask[struct {
		RegisterDevice struct{ Device struct{ ID string } }
	}](t, p, admin,
		`mutation { registerDevice(input: {name: "sensor", kind: SENSOR, labels: {site: "south"}}) { device { id } } }`, nil).RegisterDevice.Device.ID
	job := ask[struct{ CreateJob struct{ ID string } }](t, p, admin,
		`mutation { createJob(input: {name: "later", kind: "log", payload: {message: "x"}, runAt: "2099-01-01T00:00:00Z"}) { id } }`, nil).CreateJob.ID
	key := ask[struct {
		CreateAPIKey struct{ APIKey struct{ ID string } }
	}](t, p, admin, `mutation { createApiKey(input: {name: "k", scopes: ["trip:read"]}) { apiKey { id } } }`, nil).CreateAPIKey.APIKey.ID
	for _, open := range ask[struct {
		Trips struct{ Nodes []struct{ ID string } }
	}](t, p, bob, `{ trips(filter: {statuses: [UNLOCKING, IN_PROGRESS]}) { nodes { id } } }`, nil).Trips.Nodes {
		ask[any](t, p, bob, `mutation($id: ID!) { endTrip(tripId: $id) { id } }`, vars{"id": open.ID})
	}
	bobs := ask[struct {
		StartTrip      struct{ ID string }
		RecordActivity struct{ ID string }
	}](t, p, bob, `mutation($car: ID!) {
		startTrip(input: {vehicleId: $car, position: {latitude: 1, longitude: 1}}) { id }
		recordActivity(input: {kind: NOTE, title: "bob's own"}) { id }
	}`, vars{"car": car})
	account := ask[struct {
		Viewer struct{ Account struct{ ID string } }
	}](t, p, bob, `{ viewer { account { id } } }`, nil).Viewer.Account.ID
	return map[ids.Kind]string{
		ids.Device: sensor, ids.Job: job, ids.APIKey: key, ids.Trip: bobs.StartTrip.ID, ids.Activity: bobs.RecordActivity.ID, ids.Account: account,
	}
}

// What differs from one request to the next whatever is asked: names of requests, times, and what is
// left to spend.
var passing = regexp.MustCompile(`"requestId":"[^"]*"|"remaining":[0-9]+|r=[0-9]+;t=[0-9]+`)

// shape is the whole answer as it looks, without what passes and the id.
func (p *program) shape(t *testing.T, credential, document, id string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": document, "variables": vars{"id": id}})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/graphql-response+json"}}
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
