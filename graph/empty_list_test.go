package graph_test

import (
	"fmt"
	"testing"

	"github.com/sluicehq/sluice/graph/exec"
)

// An empty list in a filter is one of none, and a list that is null or absent is no condition: for each list of each
// filter in the schema.
func TestEmptyListInFilterSelectsNothing(t *testing.T) {
	t.Parallel()
	h, callers := demo(t)
	schema := exec.NewExecutableSchema(exec.Config{}).Schema()
	lists := 0
	for _, field := range schema.Query.Fields {
		filter := field.Arguments.ForName("filter")
		if filter == nil {
			continue
		}
		all := h.get(t, callers[0].secret, "{ "+field.Name+" { totalCount } }", nil, field.Name, "totalCount")
		for _, part := range schema.Types[filter.Type.Name()].Fields {
			if part.Type.Elem == nil {
				continue
			}
			lists++
			h.calls.take()
			for value, want := range map[string]any{"[]": float64(0), "null": all} {
				query := fmt.Sprintf("{ %s(filter: {%s: %s}) { totalCount nodes { id } edges { cursor } pageInfo { hasNextPage } } }", field.Name, part.Name, value)
				if got := h.get(t, callers[0].secret, query, nil, field.Name, "totalCount"); got != want {
					t.Errorf("%s: %v, want %v", query, got, want)
				}
				query = fmt.Sprintf("query($filter: %s) { %s(filter: $filter) { totalCount } }", filter.Type.Name(), field.Name)
				variable := map[string]any{part.Name: nil}
				if value == "[]" {
					variable[part.Name] = []any{}
				}
				if got := h.get(t, callers[0].secret, query, map[string]any{"filter": variable}, field.Name, "totalCount"); got != want {
					t.Errorf("%s with %v: %v, want %v", query, variable, got, want)
				}
			}
		}
	}
	if lists < 9 {
		t.Errorf("found %d lists in filters", lists)
	}
}
