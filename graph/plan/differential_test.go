package plan_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/sluicehq/sluice/graph/plan"
	"github.com/sluicehq/sluice/graph/plan/plantest/exec"
	"github.com/sluicehq/sluice/internal/author"
	"github.com/sluicehq/sluice/internal/plantest"
)

// pair has two executors of one schema: gqlgen's, which is the reference, and that of plans.
type pair struct {
	reference, planned *executor.Executor
	outcomes           map[plan.Outcome]int
}

func newPair(t testing.TB) *pair {
	t.Helper()
	p := &pair{outcomes: map[plan.Outcome]int{}}
	config := exec.Config{Resolvers: exec.WithReferences(resolver{}, references()), Directives: exec.DirectiveRoot{
		Runs: func(ctx context.Context, _ any, next graphql.Resolver) (any, error) { return next(ctx) },
	}}
	schema, err := plan.New(exec.Planned(config), plan.Options{
		References: references(),
		Count:      func(o plan.Outcome) { p.outcomes[o]++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	p.reference, p.planned = newExecutor(exec.NewExecutableSchema(config)), newExecutor(schema)
	return p
}

func newExecutor(schema graphql.ExecutableSchema) *executor.Executor {
	e := executor.New(schema)
	e.SetQueryCache(lru.New[*ast.QueryDocument](100))
	e.SetErrorPresenter(present)
	e.SetRecoverFunc(func(ctx context.Context, p any) error { return fmt.Errorf("recovered: %v", p) })
	return e
}

// load faults differ in how many keys a call had, and in their stacks.
var loadFaults = regexp.MustCompile(`(?s)(a loader got|panic in a loader: a loader).*`)

// present hides what may differ.
func present(ctx context.Context, err error) *gqlerror.Error {
	shown := *graphql.DefaultErrorPresenter(ctx, err)
	shown.Message = loadFaults.ReplaceAllString(shown.Message, "$1")
	return &shown
}

// answer is what an executor gave: data, and errors in order.
type answer struct {
	refused bool // by validation
	data    string
	errors  []string
}

func run(ctx context.Context, e *executor.Executor, query string, variables map[string]any) answer {
	ctx = graphql.StartOperationTrace(ctx)
	request, refused := e.CreateOperationContext(ctx, &graphql.RawParams{Query: query, Variables: variables})
	if refused != nil {
		return answer{refused: true, errors: shown(refused)}
	}
	respond, ctx := e.DispatchOperation(ctx, request)
	response := respond(ctx)
	return answer{data: string(response.Data), errors: shown(response.Errors)}
}

func shown(list gqlerror.List) []string {
	var texts []string
	for _, err := range list {
		text, _ := json.Marshal(err)
		texts = append(texts, string(text))
	}
	slices.Sort(texts)
	return texts
}

func (a answer) differs(b answer) string {
	switch {
	case a.data != b.data:
		return "data"
	case !slices.Equal(a.errors, b.errors):
		return "errors"
	}
	return ""
}

// value gives arguments of the test's schema.
func value(a *author.Author, _ string, t *ast.Type) string {
	if t.Elem != nil {
		if a.Rand.IntN(4) == 0 && t.Elem.Name() == "ID" {
			return a.Variable(`[ID!]! = ["p1"]`)
		}
		items := ""
		for range a.Rand.IntN(4) {
			items += value(a, "", t.Elem) + " "
		}
		return "[" + items + "]"
	}
	if !t.NonNull && a.Rand.IntN(12) == 0 {
		return "null"
	}
	switch t.Name() {
	case "ID":
		if t.NonNull && a.Rand.IntN(6) == 0 {
			return a.Variable(`ID! = "t1"`, []any{"p3"}[:a.Rand.IntN(2)]...)
		}
		return []string{`"p1"`, `"t2"`, `"stranger"`, `"nil"`, `"x"`, `""`, `"t3"`, `"p4"`}[a.Rand.IntN(8)]
	case "Int":
		if !t.NonNull && a.Rand.IntN(4) == 0 {
			return a.Variable("Int", []any{a.Rand.IntN(8) - 1}[:a.Rand.IntN(2)]...)
		}
		return fmt.Sprint(a.Rand.IntN(9) - 1)
	case "Stamp":
		return []string{"13", "7", `"nonsense"`}[a.Rand.IntN(3)]
	case "Kind":
		if !t.NonNull && a.Rand.IntN(2) == 0 {
			return a.Variable("Kind = FANCY", [][]any{{}, {"PLAIN"}, {nil}}[a.Rand.IntN(3)]...)
		}
		return "FANCY"
	case "Filter":
		return filter(a)
	}
	return `"text"`
}

// filter gives an input object: whole, or of parts that are there or are not, or are null.
func filter(a *author.Author) string {
	switch a.Rand.IntN(6) {
	case 0:
		return a.Variable("Filter", map[string]any{"name": "v", "kinds": []any{"FANCY", "PLAIN"}, "near": map[string]any{"x": 2, "y": nil}})
	case 1:
		return `{name: "n", near: {x: ` + a.Variable("Int! = 4") + `, y: ` + a.Variable("Int", []any{3}[:a.Rand.IntN(2)]...) + `}}`
	case 2:
		return `{near: null, name: ` + a.Variable("String!", "given") + `, kinds: [` + a.Variable("Kind! = PLAIN") + `]}`
	}
	return []string{`{name: "n", kinds: [PLAIN], near: {x: 1}}`, `{name: "n", kinds: null}`, `{name: "\"\u00e9", kinds: FANCY, near: {x: 1, y: null}}`}[a.Rand.IntN(3)]
}

// TestPlanGivesTheReferenceResponse executes random queries and mutations in random worlds by gqlgen's
// executor and twice by plans, each time in an equal world. The responses are equal, and so is the sequence
// of calls: the writes in order, and the keys that are read between them.
func TestPlanGivesTheReferenceResponse(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	rng := rand.New(rand.NewPCG(1, 2))
	a := &author.Author{Schema: plantestSchema(), Rand: rng, Value: value, Avoid: isUnplanned, Introspects: true}
	executed, mutations, withErrors, failed := 0, 0, 0, 0
	for i := 0; executed < author.Count(2000, 20000); i++ {
		query, variables := a.Document()
		if i%3 == 0 {
			query, variables = a.Mutation()
			mutations++
		}
		faults := []uint64{0, 1, 3, 10, 30}[rng.IntN(5)]
		execute := func(e *executor.Executor) (answer, []string) {
			w := &plantest.World{Seed: uint64(i), Faults: faults}
			return run(context.WithValue(t.Context(), worldKey{}, w), e, query, variables), w.Calls()
		}
		want, calls := execute(p.reference)
		if want.refused {
			if i > 20*(executed+100) {
				t.Fatalf("nearly all documents are refused: %s\n%v", query, want.errors)
			}
			continue
		}
		executed++
		if len(want.errors) > 0 {
			withErrors++
		}
		for range 2 {
			got, gotCalls := execute(p.planned)
			what := want.differs(got)
			if what == "" && !slices.Equal(calls, gotCalls) {
				what = "calls"
			}
			if what != "" {
				t.Errorf("document %d: the %s differ\n%s\n%v\nreference %s\nplanned   %s\nreference %v\nplanned   %v\nreference %q\nplanned   %q",
					i, what, query, variables, want.data, got.data, want.errors, got.errors, calls, gotCalls)
				failed++
				break
			}
		}
		if failed == 3 {
			t.FailNow()
		}
	}
	if p.outcomes[plan.Planned]+p.outcomes[plan.Introspection] != 2*executed || len(p.outcomes) > 2 {
		t.Errorf("of %d executions only these were planned: %v", 2*executed, p.outcomes)
	}
	t.Logf("%d documents, %d mutations, %d with errors", executed, mutations, withErrors)
}

// isUnplanned reports the fields that cannot be planned.
func isUnplanned(_ *ast.Definition, field *ast.FieldDefinition) bool {
	return field.Name == "guarded" || field.Name == "loose"
}

func plantestSchema() *ast.Schema {
	return exec.NewExecutableSchema(exec.Config{}).Schema()
}
