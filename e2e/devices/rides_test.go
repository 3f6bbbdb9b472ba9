package devices

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sluicehq/sluice/e2e/harness"
)

// deviceFields are the selections of the fields of Device that have subfields or arguments; a field without a row must
// be a plain one. "" is for fields that members may not read, or that another service owns.
var deviceFields = map[string]string{
	"position": "{ latitude longitude at accuracy place }",
	"telemetry": `(keys: ["speed", "charge"], from: "2020-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z") { key points { at value arrivedAt } }
		steps: telemetry(keys: ["speed"], from: $from, to: $to, stepSeconds: 60, aggregate: COUNT) { key points { at value } }
		last: telemetry(keys: ["speed"], from: $from, to: $to, stepSeconds: 3600, aggregate: LAST) { key points { at value } }`,
	"events":      "{ totalCount nodes { at type message } }",
	"commands":    "{ totalCount nodes { createdAt name status } }",
	"log":         "(from: $from, to: $to) { at text }",
	"config":      "{ reportedAt reported }",
	"currentTrip": "{ id }",
	"stream":      "", // camera:view
	"jobs":        "", // job:read
	"storage":     "",
}

// allOfDevice returns a selection of every field of Device.
func allOfDevice(t *testing.T, p *harness.Program, admin string) string {
	t.Helper()
	const query = `{ __type(name: "Device") { fields { name type { kind ofType { kind } } } } }`
	type field struct {
		Name string
		Type struct {
			Kind   string
			OfType struct{ Kind string }
		}
	}
	var selection strings.Builder
	for _, f := range harness.Query[struct {
		Type struct{ Fields []field } `json:"__type"`
	}](t, p, admin, query, nil).Type.Fields {
		more, known := deviceFields[f.Name]
		plain := slices.Contains([]string{f.Type.Kind, f.Type.OfType.Kind}, "SCALAR") || slices.Contains([]string{f.Type.Kind, f.Type.OfType.Kind}, "ENUM")
		switch {
		case known && more != "", !known && plain:
			selection.WriteString(f.Name + " " + more + "\n")
		case !known:
			t.Fatalf("the field Device.%s is new: say in deviceFields what members read of it", f.Name)
		}
	}
	return selection.String()
}

// observer reads everything of a vehicle that the schema has.
type observer struct {
	t        *testing.T
	p        *harness.Program
	vehicle  string
	document string
	from, to time.Time
}

func newObserver(t *testing.T, p *harness.Program, admin, vehicle string) *observer {
	t.Helper()
	all := allOfDevice(t, p, admin)
	return &observer{t: t, p: p, vehicle: vehicle, from: time.Now().Add(-time.Hour).UTC(), to: time.Now().Add(time.Hour).UTC(), document: `
		query($id: ID!, $from: DateTime!, $to: DateTime!) {
			device(id: $id) { ` + all + ` }
			node(id: $id) { id ... on Device { presence lastSeenAt board lockState } }
			devices(first: 200, orderBy: NEWEST) { totalCount nodes { id presence lastSeenAt board firmware lockState version position { latitude at } } }
			online: devices(filter: {presences: [ONLINE]}, orderBy: NEWEST) { totalCount nodes { id } }
			offline: devices(filter: {presences: [OFFLINE]}, orderBy: NEWEST) { totalCount nodes { id } }
			unknown: devices(filter: {presences: [UNKNOWN]}, orderBy: NEWEST) { totalCount nodes { id } }
			overview { devices { total online offline unknown } }
		}`}
}

// reads returns what the caller reads, as a text.
func (o *observer) reads(token string) string {
	o.t.Helper()
	found := harness.Query[map[string]any](o.t, o.p, token, o.document, harness.Vars{"id": o.vehicle, "from": o.from, "to": o.to})
	text, err := json.MarshalIndent(found, "", " ")
	if err != nil {
		o.t.Fatal(err)
	}
	return string(text)
}

// await waits until the callers read the text: the cache learns of a message by its event.
func (o *observer) await(text string, tokens ...string) {
	o.t.Helper()
	for _, token := range tokens {
		harness.Eventually(o.t, harness.Timeout, "a caller reads "+text, func() bool { return strings.Contains(o.reads(token), text) })
	}
}

// must reads the vehicle in both orders of the callers, and again for what the cache then has.
func (o *observer) must(when string, check map[string]func(text string) string) {
	o.t.Helper()
	tokens := slices.Sorted(maps.Keys(check))
	for range 2 {
		slices.Reverse(tokens)
		for _, token := range tokens {
			if what := check[token](o.reads(token)); what != "" {
				o.t.Fatalf("%s: %s", when, what)
			}
		}
	}
}

func equals(who, want string) func(string) string {
	return func(got string) string {
		if got == want {
			return ""
		}
		return fmt.Sprintf("%s reads\n%s\nwant\n%s", who, got, want)
	}
}

func contains(who string, want bool, parts ...string) func(string) string {
	return func(got string) string {
		for _, part := range parts {
			if strings.Contains(got, part) != want {
				return fmt.Sprintf("%s: that it reads %s is %t, want %t:\n%s", who, part, !want, want, got)
			}
		}
		return ""
	}
}

// versions are no secret: staff rename the vehicle during the ride.
var versions = regexp.MustCompile(`"version": \d+`)

func unversioned(text string) string { return versions.ReplaceAllString(text, `"version": 0`) }

// sends publishes one message of each kind whose values contain the digits, and waits until they are stored.
func (w *worker) sends(t *testing.T, digit string) {
	t.Helper()
	four := strings.Repeat(digit, 4)
	for _, m := range []statement{
		{"telemetry", `{"speed": ` + four + `}`},
		{"position", `{"latitude": 48.` + four + `, "longitude": 11.5}`},
		{"state", `{"charge": ` + four + `, "firmware": "v` + four + `"}`},
		{"events", `{"type": "bump", "message": "m` + four + `"}`},
		{"config/reported", `{"version": 0, "config": {"mode": ` + four + `}}`},
	} {
		token := w.client.Publish("devices/"+w.ID+"/"+m.topic, 1, false, m.payload)
		if !token.WaitTimeout(harness.Timeout) || token.Error() != nil {
			t.Fatalf("publish %s: %v", m.topic, token.Error())
		}
	}
}

// follower is a subscription to every vehicle.
type follower struct {
	t    *testing.T
	conn *websocket.Conn
}

func follow(t *testing.T, p *harness.Program, token string) *follower {
	t.Helper()
	f := &follower{t, p.Dial(t, nil)}
	for _, text := range []string{
		`{"type":"connection_init","payload":{"Authorization":"Bearer ` + token + `"}}`,
		`{"id":"1","type":"subscribe","payload":{"query":"subscription { deviceChanged { id name presence lastSeenAt board firmware lockState position { latitude } } }"}}`,
		`{"type":"ping"}`,
	} {
		if err := f.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	f.until("pong")
	return f
}

// until returns the events of the vehicles up to the frame with the text.
func (f *follower) until(text string) (events []string) {
	f.t.Helper()
	for {
		_, frame, err := f.conn.ReadMessage()
		if err != nil {
			f.t.Fatalf("wait for %s: %v", text, err)
		}
		if strings.Contains(string(frame), text) {
			return events
		}
		events = append(events, string(frame))
	}
}

func rename(t *testing.T, p *harness.Program, admin, id, name string) {
	t.Helper()
	const update = `mutation($id: ID!, $name: String!) { updateDevice(input: {id: $id, name: $name}) { id } }`
	harness.Query[any](t, p, admin, update, harness.Vars{"id": id, "name": name})
}

// about returns those of the events that are about the device.
func about(id string, events []string) []string {
	return slices.DeleteFunc(slices.Clone(events), func(e string) bool { return !strings.Contains(e, id) })
}

// What a vehicle sends during a ride is read by its rider and by staff, then and later. Another member reads what was
// sent before, hears nothing, and counts nothing.
func TestOthersRidesAreHidden(t *testing.T) {
	t.Parallel()
	for _, flags := range [][]string{nil, {"--cache-enabled=false"}} {
		for _, lock := range []bool{false, true} {
			t.Run(fmt.Sprintf("lock %t %v", lock, flags), func(t *testing.T) {
				t.Parallel()
				testOthersRide(t, lock, flags)
			})
		}
	}
}

func testOthersRide(t *testing.T, lock bool, flags []string) {
	data := t.TempDir()
	p := harness.Start(t, harness.DemoArgs(data, flags...)...)
	admin, alice, bob := p.SignIn(t, "admin"), p.SignIn(t, "alice"), p.SignIn(t, "bob")
	const register = `mutation($lock: Boolean) { registerDevice(input: {name: "Scooter", kind: VEHICLE, lock: $lock}) { secret device { id } } }`
	made := harness.Query[struct {
		RegisterDevice struct {
			Secret string
			Device struct{ ID string }
		}
	}](t, p, admin, register, harness.Vars{"lock": lock}).RegisterDevice
	marker := p.RegisterDevice(t, admin, "VEHICLE").ID
	w := newWorker(harness.Device{ID: made.Device.ID, Secret: made.Secret})
	client := w.serve(t, p.MQTTAddr(t))
	awaitDevice(t, p, admin, w.ID, "that it is there", func(s shown) bool { return s.Presence == "ONLINE" })
	w.sends(t, "1")
	o := newObserver(t, p, admin, w.ID)
	o.await("v1111", alice, bob)
	o.must("before", map[string]func(string) string{alice: contains("alice", true, "1111"), bob: contains("bob", true, "1111")})
	before := unversioned(o.reads(bob))
	hidden := func(got string) string { return equals("bob", before)(unversioned(got)) }
	others, rider, staff := follow(t, p, bob), follow(t, p, alice), follow(t, p, admin)
	rename(t, p, admin, marker, "Marker 0")
	others.until("Marker 0")

	trip := rentVehicle(t, p, alice, w.ID)
	harness.Eventually(t, harness.Timeout, "the trip has started", func() bool { return findTrip(t, p, alice, trip.ID).Status == "IN_PROGRESS" })
	o.must("at the start", map[string]func(string) string{alice: contains("alice", true, "1111"), bob: hidden})
	w.sends(t, "2")
	o.await("v2222", alice, admin)
	during := map[string]func(string) string{
		alice: contains("alice", true, `"speed"`, ": 2222", "48.2222", "v2222"),
		admin: contains("admin", true, ": 2222", "48.2222", "v2222", "m2222"), bob: hidden,
	}
	o.must("during", during)
	rename(t, p, admin, w.ID, "Scooter A")
	rename(t, p, admin, w.ID, "Scooter")
	o.must("renamed", during)
	const end = `mutation($id: ID!) { endTrip(tripId: $id) { status } }`
	rename(t, p, admin, marker, "Marker 1")
	heard := about(w.ID, others.until("Marker 1"))
	if len(heard) != 2 || !strings.Contains(heard[0], "Scooter A") || !strings.Contains(heard[0], "48.1111") || strings.Contains(fmt.Sprint(heard), "2222") {
		t.Errorf("during the ride bob hears %v, want the two renames", heard)
	}
	for who, f := range map[string]*follower{"alice": rider, "admin": staff} {
		if heard := fmt.Sprint(about(w.ID, f.until("Marker 1"))); !strings.Contains(heard, "48.2222") || !strings.Contains(heard, "v2222") {
			t.Errorf("during the ride %s hears %s", who, heard)
		}
	}
	harness.Query[any](t, p, alice, end, harness.Vars{"id": trip.ID})
	if lock {
		harness.Eventually(t, harness.Timeout, "the vehicle is locked", func() bool { return lockState(t, p, admin, w.ID) == "LOCKED" })
	}
	after := map[string]func(string) string{alice: contains("alice", true, ": 2222", "48.2222", "v2222"), admin: during[admin], bob: hidden}
	o.must("after", after)
	rename(t, p, admin, marker, "Marker 2")
	if heard := others.until("Marker 2"); strings.Contains(fmt.Sprint(heard), "2222") || !lock && len(about(w.ID, heard)) > 0 {
		t.Errorf("after the ride bob hears %v", heard)
	}

	client.Disconnect(0)
	p.Kill(t)
	o.p = harness.Start(t, harness.DemoArgs(data, flags...)...)
	testAfterRide(t, o, w, marker, map[string]string{"admin": admin, "alice": alice, "bob": bob})
}

// testAfterRide reads after a restart, and after the next messages of the vehicle.
func testAfterRide(t *testing.T, o *observer, w *worker, marker string, tokens map[string]string) {
	t.Helper()
	p, admin, alice, bob := o.p, tokens["admin"], tokens["alice"], tokens["bob"]
	o.must("after a restart", map[string]func(string) string{
		alice: contains("alice", true, ": 2222", "48.2222", "v2222"), admin: contains("admin", true, ": 2222", "48.2222", "m2222"),
		bob: contains("bob", false, "2222"),
	})
	others := follow(t, p, bob)
	w.serve(t, p.MQTTAddr(t))
	w.sends(t, "3")
	o.await("v3333", alice, bob, admin)
	o.must("after the next messages", map[string]func(string) string{
		alice: contains("alice", true, ": 2222", ": 3333", "48.3333", "v3333"), admin: contains("admin", true, ": 2222", ": 3333"),
		bob: func(got string) string {
			return contains("bob", true, ": 1111", ": 3333", "48.3333", "v3333")(got) + contains("bob", false, "2222")(got)
		},
	})
	rename(t, p, admin, marker, "Marker 3")
	if heard := fmt.Sprint(about(w.ID, others.until("Marker 3"))); !strings.Contains(heard, "48.3333") || !strings.Contains(heard, "v3333") || strings.Contains(heard, "2222") {
		t.Errorf("later bob hears %s", heard)
	}
}
