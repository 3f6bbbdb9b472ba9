package observability

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

func TestHealthEndpointsListParts(t *testing.T) {
	t.Parallel()
	p := harness.Demo(t)
	if status, body := p.Get(t, "/healthz"); status != 200 || !strings.Contains(body, `"ok"`) {
		t.Errorf("/healthz: %d %s", status, body)
	}
	status, body := p.Get(t, "/readyz")
	for _, part := range []string{"account", "device", "trip", "job", "activity", "events"} {
		if status != 200 || !strings.Contains(body, `"`+part+`"`) {
			t.Errorf("/readyz: %d %s, want ready with %s", status, body, part)
		}
	}
	if status, _ := p.Get(t, "/nowhere"); status != 404 {
		t.Errorf("/nowhere: %d, want 404", status)
	}
}

func TestKeySetContainsOnlyPublicKeys(t *testing.T) {
	t.Parallel()
	status, body := harness.Demo(t).Get(t, "/.well-known/jwks.json")
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal([]byte(body), &set); err != nil || status != 200 || len(set.Keys) == 0 {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	for _, key := range set.Keys {
		if key["kty"] != "RSA" || key["alg"] != "RS256" || key["kid"] == "" || key["n"] == "" || key["e"] == "" {
			t.Errorf("the key is %v", key)
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi"} {
			if _, told := key[private]; told {
				t.Errorf("the key tells its private %q", private)
			}
		}
	}
}

var (
	series = regexp.MustCompile(`(?m)^([a-z_]+)(?:\{([^}]*)\})? `)
	label  = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
	anID   = regexp.MustCompile(`_[0-9a-z]{26}|[0-9a-f]{8}-[0-9a-f]{4}`)
)

// Whatever callers send, the metrics stay as many: labels name parts, methods and codes only.
func TestMetricsHaveBoundedSeries(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, "serve", "--demo", "--addr", "127.0.0.1:0", "--data", t.TempDir())
	operator := p.SignIn(t, "operator")
	const variants = 40
	send := func(tag string) {
		for i := range variants {
			name := fmt.Sprintf("%s%d", tag, i)
			p.Execute(t, operator, "query "+name+" { "+name+`: device(id: "device_`+fmt.Sprintf("%026d", i)+`") { id } trips(first: 3) { nodes { id vehicle { name } } } }`, nil)
			p.Execute(t, operator, "{ "+name+" }", nil)
			p.Execute(t, "sluice_"+name, "{ viewer { scopes } }", nil)
			p.Get(t, "/"+name)
		}
	}
	send("quince")
	before := ourSeries(t, p)
	send("medlar")
	after := ourSeries(t, p)
	// Fewer than what was sent: what the program does on its own may show for the first time.
	if len(after) >= len(before)+variants {
		t.Errorf("more of the same made %d series of %d", len(after), len(before))
	}
	for _, s := range after {
		if strings.Contains(s, "medlar") {
			t.Errorf("what a caller sent is in the series %s", s)
		}
	}
	if !slices.ContainsFunc(after, func(s string) bool { return strings.HasPrefix(s, "sluice_rpc_client_calls_total") }) {
		t.Errorf("calls to services are not counted: %v", after)
	}
}

// ourSeries lists the series. Their labels must have few values, none of which is an id.
func ourSeries(t *testing.T, p *harness.Program) []string {
	t.Helper()
	status, body := p.Get(t, "/metrics")
	if status != 200 {
		t.Fatalf("/metrics: %d", status)
	}
	var found []string
	values := map[string]map[string]bool{} // by label
	for _, s := range series.FindAllStringSubmatch(body, -1) {
		if !strings.HasPrefix(s[1], "sluice_") {
			continue // the runtime's own
		}
		found = append(found, s[0])
		for _, l := range label.FindAllStringSubmatch(s[2], -1) {
			if len(l[2]) > 60 || anID.MatchString(l[2]) {
				t.Errorf("%s has the label %s", s[1], l[0])
			}
			if values[l[1]] == nil {
				values[l[1]] = map[string]bool{}
			}
			values[l[1]][l[2]] = true
		}
	}
	for name, seen := range values {
		if len(seen) > 100 {
			t.Errorf("the label %s has %d values", name, len(seen))
		}
	}
	return found
}

// The metric counts operations by how they were executed: by a plan, by gqlgen's executor, or refused.
func TestOperationsAreCountedByOutcome(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, "serve", "--demo", "--addr", "127.0.0.1:0", "--data", t.TempDir())
	operator := p.SignIn(t, "operator") // a mutation
	counted := func() map[string]string {
		_, body := p.Get(t, "/metrics")
		of := map[string]string{}
		for _, line := range regexp.MustCompile(`(?m)^sluice_graphql_operations_total\{outcome="([a-z]+)"\} (\S+)$`).FindAllStringSubmatch(body, -1) {
			of[line[1]] = line[2]
		}
		return of
	}
	before := counted()
	for range 3 {
		p.Execute(t, operator, "{ viewer { scopes } }", nil)
	}
	p.Execute(t, operator, "{ __schema { queryType { name } } }", nil)
	after := counted()
	want := map[string]string{
		"planned": "4", "introspection": "1",
		"defer": "0", "directive": "0", "variants": "0", "size": "0", "conditions": "0", "unplanned": "0",
	}
	if fmt.Sprint(after) != fmt.Sprint(want) || before["planned"] != "1" {
		t.Errorf("counted %v before and %v after, want %v", before, after, want)
	}
}
