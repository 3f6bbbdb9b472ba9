package plan_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/sluicehq/sluice/internal/plantest"
)

// FuzzDocuments feeds documents and variables to both executors: neither panics, and they agree.
func FuzzDocuments(f *testing.F) {
	f.Add(`query($n: Int) { things(first: $n) { id owner { best { name } } friends(first: $n) { id } } }`, `{"n": 3}`, uint64(1))
	f.Add(`{ nodes(ids: ["p1", "t2", "nil", "stranger"]) { __typename ... on Thing { kin { name } part { owner { id } } } } }`, `{}`, uint64(2))
	f.Add(`query($on: Boolean!) { shapes { area ... on Square @include(if: $on) { owner { id } } } must { child { notes } } }`, `{"on": true}`, uint64(3))
	p := newPair(f)
	f.Fuzz(func(t *testing.T, query, variables string, seed uint64) {
		var values map[string]any
		if len(query) > 1000 || json.Unmarshal([]byte(variables), &values) != nil {
			return
		}
		ctx := context.WithValue(t.Context(), worldKey{}, &plantest.World{Seed: seed, Faults: seed % 20})
		reference, panicked := attempt(ctx, p, false, query, values)
		if panicked {
			return // gqlgen's executor panics at variables that it did not check; so may we
		}
		if reference.refused {
			return
		}
		planned, panicked := attempt(ctx, p, true, query, values)
		if what := reference.differs(planned); what != "" || panicked {
			t.Errorf("the %s differ (panicked: %t)\n%s %s\nreference   %v\nplanned %v", what, panicked, query, variables, reference, planned)
		}
	})
}

func attempt(ctx context.Context, p *pair, planned bool, query string, values map[string]any) (a answer, panicked bool) {
	defer func() { panicked = recover() != nil }()
	if planned {
		return run(ctx, p.planned, query, values), false
	}
	return run(ctx, p.reference, query, values), false
}
