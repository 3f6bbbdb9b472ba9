package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/pipeline"
)

// purse is a budget without end that counts what it gives.
type purse struct{ taken, given int }

func (p *purse) Charge(_ context.Context, _ string, points int) (bff.Budget, error) {
	p.taken += points
	return bff.Budget{Limit: 1000, Remaining: 500}, nil
}

func (p *purse) Refund(_ context.Context, points int) { p.given += points }

// Whoever asks for long pages and gets short ones pays for those, whichever executor runs.
func TestWhatWasAnsweredIsPaidFor(t *testing.T) {
	t.Parallel()
	const three = `mutation { a: registerDevice(input: {name: "a", kind: SENSOR}) { device { id } }
		b: registerDevice(input: {name: "b", kind: SENSOR}) { device { id } } c: registerDevice(input: {name: "c", kind: SENSOR}) { device { id } } }`
	cases := []struct {
		name, document    string
		requested, actual int
	}{
		{"a mutation", three, 33, 33},
		{"a short page", `{ devices(first: 50) { nodes { id } } }`, 51, 4},
		{"a full page", `{ devices(first: 2) { nodes { id } } }`, 3, 3},
		{"pages of pages", `{ devices(first: 50) { totalCount nodes { id jobs(first: 10) { edges { node { id } } } } } }`, 1102, 8},
		{"references to nothing", `{ devices(first: 50) { nodes { currentTrip { id } } } }`, 101, 7},
		{"an empty page", `{ trips(first: 50) { nodes { vehicle { name } } } }`, 101, 1},
		{"plain values", `{ __typename }`, 1, 1},
		{"a list of ids", `{ nodes(ids: ["x", "y"]) { id } }`, 2, 2},
		{"a field that fails", `{ node(id: "x") { id } viewer { scopes } }`, 2, 2},
		{"introspection", `{ __schema { queryType { name } } devices(first: 50) { nodes { id } } }`, 151, 151},
	}
	for _, reference := range []bool{false, true} {
		t.Run(fmt.Sprintf("reference %v", reference), func(t *testing.T) {
			t.Parallel()
			p := &purse{}
			h := open(t, func(o *pipeline.Options) { o.Admission, o.Reference = charging(p), reference })
			admin := h.signIn(t, "admin")
			for _, c := range cases {
				*p = purse{}
				a := h.ask(t, admin, c.document, nil)
				var told struct {
					Extensions struct{ Cost bff.Charge }
				}
				if err := json.Unmarshal([]byte(a.text), &told); err != nil {
					t.Fatal(err)
				}
				if got := told.Extensions.Cost; got.Requested != c.requested || got.Actual != c.actual {
					t.Errorf("%s: told that it cost %d of %d, want %d of %d: %.300s", c.name, got.Actual, got.Requested, c.actual, c.requested, a.text)
				}
				if p.taken-p.given != c.actual {
					t.Errorf("%s: %d taken, %d given back, want %d in the end", c.name, p.taken, p.given, c.actual)
				}
			}
		})
	}
}
