package e2e

import (
	"testing"
	"time"
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
func callersNow(t *testing.T, p *program, token string) map[string]usage {
	t.Helper()
	found := map[string]usage{}
	for _, u := range ask[struct{ Callers []usage }](t, p, token, `{ callers(window: LAST_MINUTE) {
		name kind account { name } requests failed refused refusals { reason count }
		breakers { operation mutation entity state reason since retryAt }
	} }`, nil).Callers {
		found[u.Name] = u
	}
	return found
}

// A caller that goes wrong is shut out, seen by an operator, and let in again; others notice nothing.
func TestACallerIsShutOutAndReleased(t *testing.T) {
	t.Parallel()
	p := start(t, "serve", "--demo", "--addr", "127.0.0.1:0", "--data", t.TempDir(),
		"--conduct-failures", "10", "--conduct-repeats", "10", "--conduct-open-for", "10m")
	alice, operator, admin := p.signIn(t, "alice"), p.signIn(t, "operator"), p.signIn(t, "admin")
	const missing = `{ trip(id: "trip_01jd2k0f3qe8x9w5t7v6m4n2p0") { id } }`
	for range 10 {
		refusal(t, p.graphql(t, alice, missing, nil), "NOT_FOUND", "NOT_FOUND")
	}
	for _, document := range []string{missing, "{ viewer { scopes } }"} {
		a := p.graphql(t, alice, document, nil)
		if e := refusal(t, a, "RESOURCE_EXHAUSTED", "CALLER_TRIPPED"); !e.Extensions.Retryable {
			t.Error("the refusal is not worth another try")
		}
	}
	if p.graphql(t, operator, "{ viewer { scopes } }", nil).Errors != nil {
		t.Error("somebody else is refused")
	}

	me := ask[struct {
		Viewer struct{ Account struct{ ID string } }
	}](t, p, admin, `{ viewer { account { id } } }`, nil).Viewer.Account.ID
	car := ask[struct {
		RegisterDevice struct{ Device struct{ ID string } }
	}](t, p, admin, `mutation { registerDevice(input: {name: "Car", kind: VEHICLE}) { device { id } } }`, nil).RegisterDevice.Device.ID
	const rename = `mutation($id: ID!) { updateDevice(input: {id: $id, name: "Again"}) { id } }`
	for range 10 {
		ask[any](t, p, admin, rename, vars{"id": car})
	}
	refusal(t, p.graphql(t, admin, rename, vars{"id": car}), "RESOURCE_EXHAUSTED", "MUTATION_LOOP")

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
	refusal(t, p.graphql(t, alice, release, vars{"name": tripped.Name}), "PERMISSION_DENIED", "SCOPE_MISSING")
	ask[any](t, p, operator, release, vars{"name": tripped.Name})
	ask[any](t, p, alice, "{ viewer { scopes } }", nil)
}
