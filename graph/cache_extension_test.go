package graph_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"
)

// fieldTold is what extensions.cache says of a field.
type fieldTold struct {
	Path        []string
	Result      string
	Tier        string
	ExpiresInMs int
	Methods     []string
	Memory      int
	Missed      int
	Stale       int
	Bypassed    int
}

// fields is what extensions.cache says of an answer's fields, by path.
func (a *asks) fields(t *testing.T, w who, query string) map[string]fieldTold {
	t.Helper()
	answer, _ := a.ask(t, w, query, nil, false)
	var said struct {
		Errors     []any
		Extensions struct {
			Cache struct {
				Whole  bool
				Fields []fieldTold
				Reads  map[string]any
			}
		}
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &said); err != nil || len(said.Errors) > 0 {
		t.Fatalf("%v, %.500s", err, answer.Body)
	}
	told := map[string]fieldTold{}
	for _, f := range said.Extensions.Cache.Fields {
		told[strings.Join(f.Path, ".")] = f
		for _, method := range f.Methods {
			if _, there := said.Extensions.Cache.Reads[method]; !there {
				t.Errorf("%v read %s, which is not among the reads", f.Path, method)
			}
		}
	}
	return told
}

// Each field tells where its value came from: the first time, again, after a write, and when it is over.
func TestFieldsTellWhereTheyCameFrom(t *testing.T) {
	t.Parallel()
	const board = `{
		moving: trips(first: 5) { nodes { id vehicle { name config { reportedAt } } } }
		jobs(first: 5) { nodes { device { name } } }
		overview { devices { total } jobs { scheduled } }
		devices(first: 1) { nodes { id ... on Device { currentTrip { id } } } }
	}`
	a, callers := openCached(t)
	admin := callers[0]
	answer, _ := a.ask(t, admin, `{ trips(first: 1) { nodes { vehicle { id } } } }`, nil, false)
	_, rest, _ := strings.Cut(answer.Body.String(), `"id":"`)
	car, _, _ := strings.Cut(rest, `"`)
	a.environment.clock.Advance(time.Minute)

	check := func(when string, want map[string]string) {
		t.Helper()
		got := map[string]string{}
		for path, f := range a.fields(t, admin, board) {
			got[path] = strings.TrimSpace(f.Result + " " + f.Tier)
			if (f.Result == "HIT") != (f.ExpiresInMs > 0) && f.Result != "PARTIAL" {
				t.Errorf("%s: %s expires in %d ms", when, path, f.ExpiresInMs)
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: the fields tell\n%v, want\n%v", when, got, want)
		}
	}
	all := []string{"moving", "moving.nodes.vehicle", "moving.nodes.vehicle.config", "jobs", "jobs.nodes.device", "overview", "devices", "devices.nodes.currentTrip"}
	as := func(result string, others map[string]string) map[string]string {
		told := map[string]string{}
		for _, path := range all {
			told[path] = result
		}
		maps.Copy(told, others)
		return told
	}
	passing := map[string]string{"moving.nodes.vehicle.config": "BYPASS"}
	check("the first time", as("MISS", passing))
	check("again", as("HIT MEMORY", passing))
	a.ask(t, admin, `mutation { updateDevice(input: {id: "`+car+`", name: "Newer"}) { id } }`, nil, false)
	after := maps.Clone(passing)
	after["devices"], after["overview"] = "STALE", "PARTIAL MEMORY"
	after["moving.nodes.vehicle"], after["jobs.nodes.device"] = "PARTIAL MEMORY", "PARTIAL MEMORY" // one of them was written
	check("after a write of one device", as("HIT MEMORY", after))
	a.environment.clock.Advance(time.Minute)
	check("when it is over", as("MISS", passing))
}
