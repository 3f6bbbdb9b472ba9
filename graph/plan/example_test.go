package plan_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/transport"

	"github.com/sluicehq/sluice/graph/plan"
	"github.com/sluicehq/sluice/graph/plan/plantest/exec"
	"github.com/sluicehq/sluice/internal/plantest"
)

// A schema of gqlgen's is planned by wrapping what plan/plangen generated beside it. A reference answers a
// field for all of its parents by one call; fields without one keep their resolvers.
func ExampleNew() {
	persons := plan.NewLoader("person", 100, func(_ context.Context, ids []string) ([]*plantest.Person, []error) {
		fmt.Println("asked for", len(ids), "person")
		found := make([]*plantest.Person, len(ids))
		for i, id := range ids {
			found[i] = &plantest.Person{ID: id, Name: "Ada"}
		}
		return found, nil
	})
	schema, err := plan.New(exec.Planned(exec.Config{Resolvers: exec.WithReferences(resolver{}, nil)}), plan.Options{
		References: map[string]plan.Reference{
			"Thing.owner": plan.Refer(persons, func(*plantest.Thing) (string, bool) { return "p1", true }),
			"Thing.boss":  plan.Refer(persons, func(*plantest.Thing) (string, bool) { return "p1", true }),
		},
		Count: func(outcome plan.Outcome) { fmt.Println(outcome) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := handler.New(schema)
	server.AddTransport(transport.POST{})
	request := httptest.NewRequest("POST", "/", strings.NewReader(`{"query": "{ things(first: 2) { owner { name } boss { name } } }"}`))
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	server.ServeHTTP(answer, request.WithContext(context.WithValue(request.Context(), worldKey{}, &plantest.World{})))
	fmt.Println(answer.Body)
	// Output:
	// planned
	// asked for 1 person
	// {"data":{"things":[{"owner":{"name":"Ada"},"boss":{"name":"Ada"}},{"owner":{"name":"Ada"},"boss":{"name":"Ada"}}]}}
}
