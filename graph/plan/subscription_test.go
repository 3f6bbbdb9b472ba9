package plan_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/graph/plan"
	"github.com/sluicehq/sluice/internal/author"
	"github.com/sluicehq/sluice/internal/plantest"
)

type subscription struct{}

// stream gives what each of some events is; fate may befall the stream, or an event.
func stream[V any](ctx context.Context, name string, one func(w *plantest.World, key string) V) (<-chan V, error) {
	if _, err := fated(ctx, true, name, "stream"); err != nil {
		return nil, err
	}
	w := worldOf(ctx)
	events := make(chan V, 3)
	for i := range 3 {
		var v V
		if w.Fate(name, "event", i) != plantest.Nil {
			v = one(w, fmt.Sprint("t", i))
		}
		events <- v
	}
	close(events)
	return events, nil
}

func (subscription) ThingChanged(ctx context.Context, id string) (<-chan *plantest.Thing, error) {
	return stream(ctx, id, plantest.NewThing)
}

func (subscription) MaybeChanged(ctx context.Context, id string) (<-chan *plantest.Thing, error) {
	return stream(ctx, id, plantest.NewThing)
}

func (subscription) NamedChanged(ctx context.Context, first *int) (<-chan plantest.Named, error) {
	return stream(ctx, "named", func(w *plantest.World, key string) plantest.Named {
		if w.Roll(key)%2 == 0 {
			return plantest.NewPerson(w, key)
		}
		return plantest.NewThing(w, key)
	})
}

func (subscription) Counted(ctx context.Context) (<-chan int, error) {
	return stream(ctx, "counted", func(_ *plantest.World, key string) int { return len(key) })
}

// follow gives an executor's answers to all events of a subscription; each is answered in a context that at makes.
func follow(ctx context.Context, e *executor.Executor, query string, variables map[string]any, at func(context.Context) context.Context) []answer {
	ctx = graphql.StartOperationTrace(ctx)
	request, refused := e.CreateOperationContext(ctx, &graphql.RawParams{Query: query, Variables: variables})
	if refused != nil {
		return []answer{{refused: true, errors: shown(refused)}}
	}
	respond, ctx := e.DispatchOperation(ctx, request)
	ctx = at(ctx)
	var answers []answer
	for response := respond(ctx); response != nil; response = respond(ctx) {
		answers = append(answers, answer{data: string(response.Data), errors: shown(response.Errors)})
	}
	return answers
}

// atRoot stands at the root field "it". gqlgen forgets where it stands when it answers an event, so
// that its paths would begin below.
func atRoot(ctx context.Context) context.Context {
	return graphql.WithFieldContext(ctx, &graphql.FieldContext{Field: graphql.CollectedField{Field: &ast.Field{Alias: "it"}}})
}

func anywhere(ctx context.Context) context.Context { return ctx }

// nulled is gqlgen's answer to an event as the specification has it: a root field that may not be null leaves no data.
func nulled(a answer, mayBeNull bool) answer {
	if a.data == `{"it":null}` && !mayBeNull {
		a.data = "null"
	}
	return a
}

func TestPlanGivesTheReferenceEvents(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	rng := rand.New(rand.NewPCG(3, 4))
	a := &author.Author{Schema: plantestSchema(), Rand: rng, Value: value}
	ran, events := 0, 0
	for i := 0; ran < author.Count(500, 5000); i++ {
		query, variables, field := a.Subscription()
		ctx := context.WithValue(t.Context(), worldKey{}, &plantest.World{Seed: uint64(i), Faults: []uint64{0, 1, 3, 10, 30}[rng.IntN(5)]})
		reference := follow(ctx, p.reference, query, variables, atRoot)
		if len(reference) > 0 && reference[0].refused {
			continue
		}
		ran++
		events += len(reference)
		for range 2 {
			planned := follow(ctx, p.planned, query, variables, anywhere)
			if len(planned) != len(reference) {
				t.Fatalf("document %d has %d answers, reference %d\n%s\n%v\n%v", i, len(planned), len(reference), query, reference, planned)
			}
			for j := range reference {
				if what := nulled(reference[j], !field.Type.NonNull).differs(planned[j]); what != "" {
					t.Fatalf("document %d, event %d: the %s differ\n%s\nreference   %v\nplanned %v", i, j, what, query, reference[j], planned[j])
				}
			}
		}
	}
	if p.outcomes[plan.Planned] != 2*ran {
		t.Errorf("of %d executions only these were planned: %v", 2*ran, p.outcomes)
	}
	t.Logf("%d documents, %d events compared", ran, events)
}

func TestSubscriptionEndsWithItsContext(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	ctx, cancel := context.WithCancel(quiet(t.Context()))
	request, refused := p.planned.CreateOperationContext(graphql.StartOperationTrace(ctx), &graphql.RawParams{Query: `subscription { counted }`})
	if refused != nil {
		t.Fatal(refused)
	}
	respond, ctx := p.planned.DispatchOperation(ctx, request)
	if got := respond(ctx); got == nil || string(got.Data) != `{"counted":2}` {
		t.Fatalf("the first event is %v", got)
	}
	cancel()
	if got := respond(ctx); got != nil {
		t.Errorf("after its context there is still %s", got.Data)
	}
}
