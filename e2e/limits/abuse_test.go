package limits

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/sluicehq/sluice/e2e/harness"
)

// usage is what an operator is told of a caller.
type usage struct {
	Name     string
	Kind     string
	Account  struct{ Name string }
	Requests int
	Failed   int
	Refused  int
	Refusals []struct {
		Reason string
		Count  int
	}
	Breakers []struct {
		Operation, State, Reason string
		Mutation, Entity         *string
		Since                    time.Time
	}
}

// callersNow is who is told of, by name.
func callersNow(t *testing.T, p *harness.Program, token string) map[string]usage {
	t.Helper()
	found := map[string]usage{}
	for _, u := range harness.Query[struct{ Callers []usage }](t, p, token, `{ callers(window: LAST_MINUTE) {
		name kind account { name } requests failed refused refusals { reason count }
		breakers { operation mutation entity state reason since retryAt }
	} }`, nil).Callers {
		found[u.Name] = u
	}
	return found
}

// A caller that goes wrong is shut out, seen by an operator, and let in again; others notice nothing.
func TestCallerWithFailuresIsBlockedUntilReleased(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, "serve", "--demo", "--addr", "127.0.0.1:0", "--data", t.TempDir(),
		"--abuse-failures", "10", "--abuse-repeats", "10", "--abuse-open-for", "10m")
	alice, operator, admin := p.SignIn(t, "alice"), p.SignIn(t, "operator"), p.SignIn(t, "admin")
	for range 20 { // a field without the scope is not a failed operation
		harness.RequireError(t, p.Execute(t, alice, `{ overview { jobs { running } } }`, nil), "PERMISSION_DENIED", "SCOPE_MISSING")
	}
	const missing = `{ trip(id: "trip_01jd2k0f3qe8x9w5t7v6m4n2p0") { id } }`
	for range 10 {
		harness.RequireError(t, p.Execute(t, alice, missing, nil), "NOT_FOUND", "NOT_FOUND")
	}
	for _, document := range []string{missing, "{ viewer { scopes } }"} {
		a := p.Execute(t, alice, document, nil)
		if e := harness.RequireError(t, a, "RESOURCE_EXHAUSTED", "CALLER_TRIPPED"); !e.Extensions.Retryable {
			t.Error("the refusal is not worth another try")
		}
	}
	if p.Execute(t, operator, "{ viewer { scopes } }", nil).Errors != nil {
		t.Error("somebody else is refused")
	}

	me := harness.Query[struct {
		Viewer struct{ Account struct{ ID string } }
	}](t, p, admin, `{ viewer { account { id } } }`, nil).Viewer.Account.ID
	car := harness.Query[struct {
		RegisterDevice struct{ Device struct{ ID string } }
	}](t, p, admin, `mutation { registerDevice(input: {name: "Car", kind: VEHICLE}) { device { id } } }`, nil).RegisterDevice.Device.ID
	const rename = `mutation($id: ID!) { updateDevice(input: {id: $id, name: "Again"}) { id } }`
	for range 10 {
		harness.Query[any](t, p, admin, rename, harness.Vars{"id": car})
	}
	harness.RequireError(t, p.Execute(t, admin, rename, harness.Vars{"id": car}), "RESOURCE_EXHAUSTED", "MUTATION_LOOP")

	seen := callersNow(t, p, operator)
	looping := seen[me]
	if len(looping.Breakers) != 1 || looping.Breakers[0].Reason != "MUTATION_LOOP" || *looping.Breakers[0].Entity != car || *looping.Breakers[0].Mutation != "updateDevice" {
		t.Errorf("the loop is told as %+v", looping)
	}
	var tripped usage
	for _, u := range seen {
		if u.Account.Name == "Alice" {
			tripped = u
		}
	}
	if tripped.Kind != "ACCOUNT" || tripped.Failed != 10 || tripped.Refused != 2 || len(tripped.Refusals) != 1 || tripped.Refusals[0].Reason != "CALLER_TRIPPED" ||
		len(tripped.Breakers) != 1 || tripped.Breakers[0].State != "OPEN" || tripped.Breakers[0].Operation != "QUERY" {
		t.Fatalf("alice is told as %+v of %+v", tripped, seen)
	}
	const release = `mutation($name: String!) { releaseCaller(name: $name) { breakers { reason } } }`
	harness.RequireError(t, p.Execute(t, alice, release, harness.Vars{"name": tripped.Name}), "PERMISSION_DENIED", "SCOPE_MISSING")
	harness.Query[any](t, p, operator, release, harness.Vars{"name": tripped.Name})
	harness.Query[any](t, p, alice, "{ viewer { scopes } }", nil)
}

// A loop is a loop however it is sent: ten calls for one device are let in, and no more.
func TestMutationLoopIsDetectedOverEachTransport(t *testing.T) {
	t.Parallel()
	const times = 15
	p := harness.Start(t, harness.DemoArgs(t.TempDir(), "--abuse-repeats", "10", "--abuse-open-for", "10m", "--http-max-batch", "20")...)
	admin := p.SignIn(t, "admin")
	once := func(i int) string { return fmt.Sprintf(`updateDevice(input: {id: $id, name: "%d"}) { id }`, i) }
	single := func(i int) string { return "mutation($id: ID!) { " + once(i) + " }" }
	for way, loop := range map[string]func(t *testing.T, id string){
		"one after another": func(t *testing.T, id string) {
			for i := range times {
				p.Execute(t, admin, single(i), harness.Vars{"id": id})
			}
		},
		"under aliases": func(t *testing.T, id string) {
			for i := 0; i < times; i += 5 {
				var all strings.Builder
				for j := i; j < i+5; j++ {
					fmt.Fprintf(&all, "a%d: %s ", j, once(j))
				}
				p.Execute(t, admin, "mutation($id: ID!) { "+all.String()+"}", harness.Vars{"id": id})
			}
		},
		"in fragments, with the input as a variable": func(t *testing.T, id string) {
			const document = `mutation($input: UpdateDeviceInput!) { ... { ...f } } fragment f on Mutation { updateDevice(input: $input) { id } }`
			for i := range times {
				p.Execute(t, admin, document, harness.Vars{"input": harness.Vars{"id": id, "name": fmt.Sprint(i)}})
			}
		},
		"in one request": func(t *testing.T, id string) {
			all := make([]harness.Vars, times)
			for i := range all {
				all[i] = harness.Vars{"query": single(i), "variables": harness.Vars{"id": id}}
			}
			postAndDrain(t, p, admin, "application/json", all)
		},
		"as event streams": func(t *testing.T, id string) {
			for i := range times {
				postAndDrain(t, p, admin, "text/event-stream", harness.Vars{"query": single(i), "variables": harness.Vars{"id": id}})
			}
		},
		"over a WebSocket": func(t *testing.T, id string) { repeatOverSocket(t, p, admin, id, times, single) },
	} {
		t.Run(way, func(t *testing.T) {
			id := registerSensor(t, p, admin)
			loop(t, id)
			version := harness.Query[struct{ Device struct{ Version int } }](t, p, admin, `query($id: ID!) { device(id: $id) { version } }`, harness.Vars{"id": id}).Device.Version
			if version != 1+10 {
				t.Errorf("it was changed %d times", version-1)
			}
			harness.RequireError(t, p.Execute(t, admin, single(times), harness.Vars{"id": id}), "RESOURCE_EXHAUSTED", "MUTATION_LOOP")
		})
	}
	id := registerSensor(t, p, admin)
	const send = `mutation($id: ID!) { sendCommand(input: {deviceId: $id, name: "blink"}) { id } }`
	for range 10 {
		harness.Query[any](t, p, admin, send, harness.Vars{"id": id})
	}
	harness.RequireError(t, p.Execute(t, admin, send, harness.Vars{"id": id}), "RESOURCE_EXHAUSTED", "MUTATION_LOOP")
}

func registerSensor(t *testing.T, p *harness.Program, admin string) string {
	t.Helper()
	return harness.Query[struct {
		RegisterDevice struct{ Device struct{ ID string } }
	}](t, p, admin, `mutation { registerDevice(input: {name: "x", kind: SENSOR}) { device { id } } }`, nil).RegisterDevice.Device.ID
}

// postStream posts anything, and waits until its answer has ended.
func postAndDrain(t *testing.T, p *harness.Program, token, accept string, body any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/graphql", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {accept}, "Authorization": {"Bearer " + token}}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("answered %s, %v", response.Status, err)
	}
}

func repeatOverSocket(t *testing.T, p *harness.Program, token, id string, times int, document func(i int) string) {
	t.Helper()
	l := p.Listen(t, token, document(0), id) // which is the first
	l.ReadUntilPong(t)
	for i := 1; i < times; i++ {
		text, err := json.Marshal(harness.Vars{"id": fmt.Sprint("m", i), "type": "subscribe", "payload": harness.Vars{"query": document(i), "variables": harness.Vars{"id": id}}})
		if err != nil {
			t.Fatal(err)
		}
		l.Send(t, string(text))
		for answered := false; !answered; {
			got := l.Next(t)
			answered = strings.Contains(got, fmt.Sprintf(`"id":"m%d"`, i)) && !strings.Contains(got, `"next"`)
		}
	}
	_ = l.Conn.WriteMessage(websocket.CloseMessage, nil) // it may be gone
}

// Who guesses is shut out however it presents what does not hold.
func TestInvalidTokensOverWebSocketTripBreaker(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, harness.DemoArgs(t.TempDir(), "--abuse-failures", "10", "--abuse-open-for", "10m")...)
	present := func() int {
		conn := p.Dial(t, nil)
		if err := conn.WriteJSON(harness.Vars{"type": "connection_init", "payload": harness.Vars{"Authorization": "Bearer guess"}}); err != nil {
			t.Fatal(err)
		}
		_, _, err := conn.ReadMessage()
		var closed *websocket.CloseError
		if !errors.As(err, &closed) {
			t.Fatalf("it ended with %v", err)
		}
		return closed.Code
	}
	for range 10 {
		if code := present(); code != 4403 {
			t.Errorf("a guess is answered %d", code)
		}
	}
	if code := present(); code != websocket.CloseTryAgainLater {
		t.Errorf("one guess too many is answered %d", code)
	}
	harness.RequireError(t, p.Execute(t, "guess", "{ __typename }", nil), "RESOURCE_EXHAUSTED", "CALLER_TRIPPED")
}
