package plan_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"

	"github.com/sluicehq/sluice/graph/plan"
	"github.com/sluicehq/sluice/graph/plan/plantest/exec"
	"github.com/sluicehq/sluice/internal/plantest"
)

// gates records the calls of batch functions, and blocks a resolver until the test opens it.
type gates struct {
	mu     sync.Mutex
	calls  []string
	slow   chan struct{} // closed by the test: the resolver of must waits for it
	called chan string
}

func (g *gates) call(name string, keys []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, name+" "+strings.Join(slices.Sorted(slices.Values(keys)), " "))
}

// slowQuery resolves `things` at once and `must` when the gate opens.
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

func (r slowResolver) Query() exec.QueryFields { return slowQuery{gates: r.gates} }

// gated returns an executor whose batch calls are recorded.
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
	schema, err := plan.New(exec.Planned(exec.Config{Resolvers: exec.WithReferences(slowResolver{gates: g}, nil)}), plan.Options{
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

func quiet(ctx context.Context) context.Context {
	return context.WithValue(ctx, worldKey{}, &plantest.World{Seed: 1})
}

func TestLevelMakesOneCallForEachLoader(t *testing.T) {
	t.Parallel()
	e, g := gated(t)
	close(g.slow)
	got := run(quiet(t.Context()), e, `{
		things(first: 2) { owner { id best { id best { id } } } again: owner { id } }
		must { owner { id best { id } } }
	}`, nil)
	if len(got.errors) > 0 {
		t.Fatal(got.errors)
	}
	want := []string{"person ot0 ot1 ot9", "person t0 t1 t9"} // the third level's keys are loaded already
	if !slices.Equal(g.calls, want) {
		t.Errorf("calls are\n%q, want\n%q", g.calls, want)
	}
}

// A slow field delays the fields that share a loader with it, and no others.
func TestSlowFieldDelaysNoOtherBranch(t *testing.T) {
	t.Parallel()
	e, g := gated(t)
	done := make(chan answer)
	go func() {
		done <- run(quiet(t.Context()), e, `{
			things(first: 2) { boss { id best { id } } }
			must { name owner { id } }
		}`, nil)
	}()
	for range 2 { // both levels below things, while must is blocked
		<-g.called
	}
	select {
	case <-done:
		t.Fatal("the response is there before the slow field")
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
	ctx, cancel := context.WithCancel(quiet(t.Context()))
	done := make(chan answer)
	go func() { done <- run(ctx, e, `{ things(first: 1) { boss { id } } must { name } }`, nil) }()
	<-g.called
	cancel()
	if got := <-done; got.data != "null" || len(got.errors) != 1 || !strings.Contains(got.errors[0], "canceled") {
		t.Errorf("a cancelled query gives %s %v", got.data, got.errors)
	}
}

// An operation that gqlgen's executor runs has its reason as outcome, and the same response.
func TestUnplannedOperationRunsInTheReferenceExecutor(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for query, want := range map[string]plan.Outcome{
		`{ label }`: plan.Planned,
		`mutation { rename(id: "t1", name: "x") { id } count }`: plan.Planned,
		`{ __schema { types { name } } __typename }`:            plan.Introspection,
		`{ label __type(name: "Thing") { name } }`:              plan.Planned,
		`{ ... @defer { label } }`:                              plan.Deferral,
		`{ label guarded }`:                                     plan.Directive,
		`{ label loose { name } }`:                              plan.Unsupported,
	} {
		clear(p.outcomes)
		got := run(quiet(t.Context()), p.planned, query, nil)
		if want := run(quiet(t.Context()), p.reference, query, nil); got.data == "" || got.differs(want) != "" {
			t.Errorf("%s gives %.300v, gqlgen's executor %.300v", query, got, want)
		}
		if p.outcomes[want] != 1 || len(p.outcomes) != 1 {
			t.Errorf("%s is %v, want %s", query, p.outcomes, want)
		}
	}
}

// An operation that would have too many plans, or too large a one, is refused before a resolver runs.
func TestOperationBeyondALimitIsRefused(t *testing.T) {
	t.Parallel()
	for want, query := range map[plan.Outcome]string{
		plan.Size:      `mutation {` + repeated("a%d: count ", 20_001) + `}`,
		plan.Variants:  `query(` + repeated("$v%d: Boolean! = true ", 17) + `) {` + repeated("a%d: label @skip(if: $v%[1]d) ", 17) + `}`,
		plan.Condition: `query($v: Boolean = true) { label @skip(if: $v) }`,
	} {
		p := newPair(t)
		w := &plantest.World{}
		got := run(context.WithValue(t.Context(), worldKey{}, w), p.planned, query, map[string]any{"v": nil})
		if got.data != "" || len(got.errors) != 1 || !strings.Contains(got.errors[0], "refused: "+string(want)) {
			t.Errorf("%.100s gives %.300v", query, got)
		}
		if p.outcomes[want] != 1 || len(p.outcomes) != 1 || len(w.Calls()) > 0 || !want.IsRefusal() {
			t.Errorf("%.100s is %v, want %s; it calls %v", query, p.outcomes, want, w.Calls())
		}
	}
}

// A mutation's root field runs to its end, with its loads, before the next begins.
func TestMutationRootFieldsRunOneAfterAnother(t *testing.T) {
	t.Parallel()
	e, g := gated(t)
	close(g.slow)
	w := &plantest.World{Seed: 1}
	got := run(context.WithValue(t.Context(), worldKey{}, w), e, `mutation {
		a: rename(id: "t1", name: "x") { owner { id best { id } } }
		b: rename(id: "t1", name: "y") { owner { name } boss { id } }
		c: count
	}`, nil)
	if want := `"b":{"owner":{"name":"person ot1 after 2"},"boss":{"id":"bt1"}},"c":7}`; len(got.errors) > 0 || !strings.HasSuffix(got.data, want) {
		t.Errorf("the response is %s %v, want … %s", got.data, got.errors, want)
	}
	want := []string{"rename t1 x", "person ot1", "person t1", "rename t1 y", "person bt1", "person ot1", "count"}
	if calls := w.Calls(); !slices.Equal(calls, want) {
		t.Errorf("calls are\n%q, want\n%q", calls, want)
	}
}

func repeated(format string, n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, format, i)
	}
	return text.String()
}

// The first 16 combinations of the booleans of an operation are planned, further ones refused.
func TestCombinationsBeyondTheLimitAreRefused(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	query := `query(` + repeated("$v%d: Boolean! ", 5) + `) {` + repeated("a%d: label @skip(if: $v%[1]d) ", 5) + `}`
	for combination := range 17 {
		variables := map[string]any{}
		for i := range 5 {
			variables[fmt.Sprint("v", i)] = combination>>i&1 == 1
		}
		want, got := run(quiet(t.Context()), p.reference, query, variables), run(quiet(t.Context()), p.planned, query, variables)
		if what := want.differs(got); (what != "") != (combination == 16) {
			t.Errorf("combination %d: %v, gqlgen's executor %v", combination, got, want)
		}
	}
	if p.outcomes[plan.Planned] != 16 || p.outcomes[plan.Variants] != 1 {
		t.Errorf("outcomes are %v", p.outcomes)
	}
}

func TestReferenceOfOtherTypesIsRefused(t *testing.T) {
	t.Parallel()
	persons := plan.NewLoader("person", 0, personBatch)
	for name, options := range map[string]map[string]plan.Reference{
		"no field":     {"Thing.nothing": plan.Refer(persons, ownerOf)},
		"no resolver":  {"Thing.name": plan.Refer(persons, ownerOf)},
		"other parent": {"Thing.owner": plan.Refer(persons, bestOf)},
		"other result": {"Thing.child": plan.Refer(persons, ownerOf)},
	} {
		if _, err := plan.New(exec.Planned(exec.Config{Resolvers: exec.WithReferences(resolver{}, nil)}), plan.Options{References: options}); err == nil {
			t.Errorf("%s: the reference is accepted", name)
		}
	}
}

// A denied field is null and not resolved. Callers with other scopes do not use up the combinations of an operation.
func TestDeniedFieldsAreNullForTheirCallerOnly(t *testing.T) {
	t.Parallel()
	var denied plan.Denials
	calls := 0
	persons := plan.NewLoader("person", 0, func(ctx context.Context, keys []string) ([]*plantest.Person, []error) {
		calls++
		return personBatch(ctx, keys)
	})
	owner := plan.Refer(persons, func(t *plantest.Thing) (string, bool) { return t.ID, true })
	schema, err := plan.New(exec.Planned(exec.Config{Resolvers: exec.WithReferences(resolver{}, nil)}), plan.Options{
		References: map[string]plan.Reference{"Thing.owner": owner, "Thing.boss": owner, "Person.best": plan.Refer(persons, func(p *plantest.Person) (string, bool) { return p.ID, true })},
		Denied:     func(*graphql.OperationContext) plan.Denials { return denied },
	})
	if err != nil {
		t.Fatal(err)
	}
	e := newExecutor(schema)
	const query = `{ things(first: 2) { id owner { id } } }`
	all := run(quiet(t.Context()), e, query, nil)
	for i := range 40 {
		denied = plan.Denials{Key: fmt.Sprint(i), Fields: map[string]error{"Thing.owner": errors.New("denied")}}
		calls = 0
		got := run(quiet(t.Context()), e, query, nil)
		if got.data != `{"things":[{"id":"t0","owner":null},{"id":"t1","owner":null}]}` || len(got.errors) != 2 || calls != 0 {
			t.Fatalf("caller %d: %s %v, %d calls", i, got.data, got.errors, calls)
		}
	}
	denied = plan.Denials{}
	if got := run(quiet(t.Context()), e, query, nil); all.differs(got) != "" || calls != 1 {
		t.Errorf("%s %v, want %s", got.data, got.errors, all.data)
	}
	denied = plan.Denials{Key: "id", Fields: map[string]error{"Thing.id": errors.New("denied")}}
	if got := run(quiet(t.Context()), e, query, nil); strings.Contains(got.data, "t0") || len(got.errors) == 0 {
		t.Errorf("a denied field that cannot be null: %s %v", got.data, got.errors)
	}
}
