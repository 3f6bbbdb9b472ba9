package plan_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/99designs/gqlgen/graphql/executor"

	"github.com/sluicehq/sluice/graph/plan"
	"github.com/sluicehq/sluice/graph/plan/plantest"
	"github.com/sluicehq/sluice/graph/plan/plantest/exec"
)

// gates stands between the engine and its resolvers: who is called, and when they may answer.
type gates struct {
	mu     sync.Mutex
	calls  []string
	slow   chan struct{} // held: root fields that answer late
	called chan string
}

func (g *gates) call(name string, keys []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, name+" "+strings.Join(slices.Sorted(slices.Values(keys)), " "))
}

// slowQuery answers `things` at once and `must` when the gate opens.
type slowQuery struct {
	query
	gates *gates
}

func (q slowQuery) Must(ctx context.Context) (*plantest.Thing, error) {
	select {
	case <-q.gates.slow:
		return plantest.NewThing(worldOf(ctx), "t9"), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type slowResolver struct {
	resolver
	gates *gates
}

func (r slowResolver) Query() exec.QueryResolver { return slowQuery{gates: r.gates} }

// gated is an executor whose loads are written down.
func gated(t *testing.T) (*executor.Executor, *gates) {
	t.Helper()
	g := &gates{slow: make(chan struct{}), called: make(chan string, 100)}
	watch := func(name string, b func(context.Context, []string) ([]*plantest.Person, []error)) func(context.Context, []string) ([]*plantest.Person, []error) {
		return func(ctx context.Context, keys []string) ([]*plantest.Person, []error) {
			g.call(name, keys)
			g.called <- name
			return b(ctx, keys)
		}
	}
	persons := plan.NewLoader("person", 0, watch("person", personBatch))
	bosses := plan.NewLoader("boss", 0, watch("boss", personBatch))
	schema, err := plan.New(exec.Planned(exec.Config{Resolvers: slowResolver{gates: g}}), plan.Options{
		References: map[string]plan.Reference{
			"Thing.owner": plan.Refer(persons, func(t *plantest.Thing) (string, bool) { return "o" + t.ID, true }),
			"Person.best": plan.Refer(persons, func(p *plantest.Person) (string, bool) { return strings.TrimPrefix(p.ID, "o"), true }),
			"Thing.boss":  plan.Refer(bosses, func(t *plantest.Thing) (string, bool) { return "b" + t.ID, true }),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return newExecutor(schema), g
}

func calm(ctx context.Context) context.Context {
	return context.WithValue(ctx, worldKey{}, &plantest.World{Seed: 1})
}

func TestOneCallALoaderAndLevel(t *testing.T) {
	t.Parallel()
	e, g := gated(t)
	close(g.slow)
	got := run(calm(t.Context()), e, `{
		things(first: 2) { owner { id best { id best { id } } } again: owner { id } }
		must { owner { id best { id } } }
	}`, nil)
	if len(got.errors) > 0 {
		t.Fatal(got.errors)
	}
	want := []string{"person ot0 ot1 ot9", "person t0 t1 t9"} // the third level asks what is known
	if !slices.Equal(g.calls, want) {
		t.Errorf("calls are\n%q, want\n%q", g.calls, want)
	}
}

// A slow field delays those who share a loader with it, and nobody else.
func TestSlowFieldDelaysNoOtherBranch(t *testing.T) {
	t.Parallel()
	e, g := gated(t)
	done := make(chan answer)
	go func() {
		done <- run(calm(t.Context()), e, `{
			things(first: 2) { boss { id best { id } } }
			must { name owner { id } }
		}`, nil)
	}()
	for range 2 { // both levels below things, while must is held
		<-g.called
	}
	select {
	case <-done:
		t.Fatal("answered before the slow field")
	default:
	}
	close(g.slow)
	if got := <-done; len(got.errors) > 0 {
		t.Error(got.errors)
	}
}

func TestCancelledQueryEnds(t *testing.T) {
	t.Parallel()
	e, g := gated(t)
	ctx, cancel := context.WithCancel(calm(t.Context()))
	done := make(chan answer)
	go func() { done <- run(ctx, e, `{ things(first: 1) { boss { id } } must { name } }`, nil) }()
	<-g.called
	cancel()
	if got := <-done; got.data != "null" || len(got.errors) != 1 || !strings.Contains(got.errors[0], "canceled") {
		t.Errorf("a cancelled query gives %s %v", got.data, got.errors)
	}
}

// What cannot be planned is counted by its reason, and answered all the same.
func TestHandedBack(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for query, want := range map[string]plan.Outcome{
		`{ label }`: plan.Planned,
		`mutation { rename(id: "t1", name: "x") { id } }`: plan.Mutation,
		`{ __schema { types { name } } }`:                 plan.Introspection,
		`{ label __type(name: "Thing") { name } }`:        plan.Introspection,
		`{ ... @defer { label } }`:                        plan.Deferral,
		`{ label guarded }`:                               plan.Directive,
		`{ label loose { name } }`:                        plan.Unsupported,
		`{` + repeated("a%d: label ", 20_001) + `}`:       plan.Size,
		`query(` + repeated("$v%d: Boolean! = true ", 17) + `) {` + repeated("a%d: label @skip(if: $v%[1]d) ", 17) + `}`: plan.Variants,
	} {
		clear(p.outcomes)
		got := run(calm(t.Context()), p.planned, query, nil)
		if stock := run(calm(t.Context()), p.stock, query, nil); got.data == "" || got.differs(stock) != "" {
			t.Errorf("%.100s gives %.300v, gqlgen's executor %.300v", query, got, stock)
		}
		if p.outcomes[want] != 1 || len(p.outcomes) != 1 {
			t.Errorf("%.100s is %v, want %s", query, p.outcomes, want)
		}
	}
}

func repeated(format string, n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, format, i)
	}
	return text.String()
}

// An operation whose booleans come in too many combinations is planned for the first of them only.
func TestCombinationsBeyondThoseThatArePlanned(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	query := `query(` + repeated("$v%d: Boolean! ", 5) + `) {` + repeated("a%d: label @skip(if: $v%[1]d) ", 5) + `}`
	for combination := range 17 {
		variables := map[string]any{}
		for i := range 5 {
			variables[fmt.Sprint("v", i)] = combination>>i&1 == 1
		}
		stock, planned := run(calm(t.Context()), p.stock, query, variables), run(calm(t.Context()), p.planned, query, variables)
		if what := stock.differs(planned); what != "" {
			t.Errorf("combination %d: the %s differ: %v, %v", combination, what, stock, planned)
		}
	}
	if p.outcomes[plan.Planned] != 16 || p.outcomes[plan.Variants] != 1 {
		t.Errorf("outcomes are %v", p.outcomes)
	}
}

func TestReferencesMustFit(t *testing.T) {
	t.Parallel()
	persons := plan.NewLoader("person", 0, personBatch)
	for name, options := range map[string]map[string]plan.Reference{
		"no field":     {"Thing.nothing": plan.Refer(persons, ownerOf)},
		"no resolver":  {"Thing.name": plan.Refer(persons, ownerOf)},
		"other parent": {"Thing.owner": plan.Refer(persons, bestOf)},
		"other result": {"Thing.child": plan.Refer(persons, ownerOf)},
	} {
		if _, err := plan.New(exec.Planned(exec.Config{Resolvers: resolver{}}), plan.Options{References: options}); err == nil {
			t.Errorf("%s: a reference that does not fit is taken", name)
		}
	}
}
