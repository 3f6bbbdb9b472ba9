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
	"github.com/sluicehq/sluice/graph/plan/author"
	"github.com/sluicehq/sluice/graph/plan/plantest"
	"github.com/sluicehq/sluice/graph/plan/plantest/exec"
)

// pair is the two executors of one schema.
type pair struct {
	stock, planned *executor.Executor
	outcomes       map[plan.Outcome]int
}

func newPair(t testing.TB) *pair {
	t.Helper()
	p := &pair{outcomes: map[plan.Outcome]int{}}
	config := exec.Config{Resolvers: resolver{}, Directives: exec.DirectiveRoot{
		Runs: func(ctx context.Context, _ any, next graphql.Resolver) (any, error) { return next(ctx) },
	}}
	schema, err := plan.New(exec.Planned(config), plan.Options{
		References: references(),
		Count:      func(o plan.Outcome) { p.outcomes[o]++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	p.stock, p.planned = newExecutor(exec.NewExecutableSchema(config)), newExecutor(schema)
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
var loadFaults = regexp.MustCompile(`(?s)(a loader asked for|panic in a loader: a loader).*`)

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

// TestPlannedAnswersAreStockAnswers runs random documents in random worlds through gqlgen's own
// executor and through plans, each twice.
func TestPlannedAnswersAreStockAnswers(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	rng := rand.New(rand.NewPCG(1, 2))
	a := &author.Author{Schema: plantestSchema(), Rand: rng, Value: value, Avoid: handedBack}
	ran, failed, withErrors := 0, 0, 0
	for i := 0; ran < author.Count(2000, 20000); i++ {
		query, variables := a.Document()
		ctx := context.WithValue(t.Context(), worldKey{}, &plantest.World{Seed: uint64(i), Faults: []uint64{0, 1, 3, 10, 30}[rng.IntN(5)]})
		stock := run(ctx, p.stock, query, variables)
		if stock.refused {
			if i > 20*(ran+100) {
				t.Fatalf("nearly all documents are refused: %s\n%v", query, stock.errors)
			}
			continue
		}
		ran++
		if len(stock.errors) > 0 {
			withErrors++
		}
		for range 2 {
			planned := run(ctx, p.planned, query, variables)
			if what := stock.differs(planned); what != "" {
				t.Errorf("document %d: the %s differ\n%s\n%v\nstock   %s\nplanned %s\nstock   %v\nplanned %v",
					i, what, query, variables, stock.data, planned.data, stock.errors, planned.errors)
				failed++
				break
			}
		}
		if failed == 3 {
			t.FailNow()
		}
	}
	if p.outcomes[plan.Planned] != 2*ran {
		t.Errorf("of %d executions only these were planned: %v", 2*ran, p.outcomes)
	}
	t.Logf("%d documents, %d with errors", ran, withErrors)
}

// handedBack are the fields that cannot be planned.
func handedBack(_ *ast.Definition, field *ast.FieldDefinition) bool {
	return field.Name == "guarded" || field.Name == "loose"
}

func plantestSchema() *ast.Schema {
	return exec.NewExecutableSchema(exec.Config{}).Schema()
}
