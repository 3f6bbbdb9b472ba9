package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/graph/plan"
	"github.com/sluicehq/sluice/internal/author"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/internal/plantest"
)

// lent is a transport that keeps the executor it is given.
type lent struct{ executor graphql.GraphExecutor }

func (*lent) Supports(*http.Request) bool { return true }

func (l *lent) Do(_ http.ResponseWriter, _ *http.Request, executor graphql.GraphExecutor) {
	l.executor = executor
}

// executor is what executes the operations of a gateway.
func (h *environment) executor(options pipeline.Options) graphql.GraphExecutor {
	options.Limits.Depth, options.Limits.Aliases, options.Tokens = 15, 100, 5000
	options.Logger, options.Tracing, options.Admission = silent(), obs.NoTracing(), admission.New(admission.Options{Limits: limits})
	server, l := pipeline.NewServer(&graph.Resolver{Ports: faulty(h.ports()), Clock: h.clock}, options), &lent{}
	server.AddTransport(l)
	server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil))
	return l.executor
}

// event is what became of a subscription: what it is about, and the answer to an entity.
type event struct {
	refused bool
	topic   bff.Topic
	answers int
	data    string
	errors  []string
}

// follow runs a subscription for an entity, answering in a context that at makes.
func follow(ctx context.Context, e graphql.GraphExecutor, query string, variables map[string]any, entity bff.Node, at func(context.Context) context.Context) event {
	feed := &graph.Feed{Entity: entity}
	ctx = graph.WithFeed(graphql.StartOperationTrace(ctx), feed)
	request, problems := e.CreateOperationContext(ctx, &graphql.RawParams{Query: query, Variables: variables})
	if problems != nil {
		return event{refused: true, errors: texts(problems)}
	}
	respond, ctx := e.DispatchOperation(ctx, request)
	ctx = at(ctx)
	it := event{topic: feed.Topic}
	for response := respond(ctx); response != nil; response = respond(ctx) {
		it.answers++
		it.data += string(response.Data)
		it.errors = append(it.errors, texts(response.Errors)...)
	}
	return it
}

func texts(problems gqlerror.List) []string {
	all := make([]string, len(problems))
	for i, p := range problems {
		text, _ := json.Marshal(p)
		all[i] = string(text)
	}
	slices.Sort(all)
	return all
}

// atRoot stands at the root field "it", and nulled takes the data away from a root field that may not
// be null: gqlgen does neither when it answers an event, the specification and plans do.
func atRoot(ctx context.Context) context.Context {
	return graphql.WithFieldContext(ctx, &graphql.FieldContext{Field: graphql.CollectedField{Field: &ast.Field{Alias: "it"}}})
}

func (e event) nulled() event {
	if e.data == `{"it":null}` {
		e.data = "null"
	}
	return e
}

// entities are some of what subscriptions tell of, by their field.
func (h *environment) entities(t *testing.T, k *known) map[string][]bff.Node {
	t.Helper()
	ctx, ports := caller.NewContext(t.Context(), caller.OfSystem()), h.ports()
	of := map[string][]bff.Node{}
	devices, err := ports.Devices.GetDevices(ctx, k.ids["device"])
	of["deviceChanged"] = nodesOf(t, devices, err)
	trips, err := ports.Trips.GetTrips(ctx, k.ids["trip"])
	of["tripChanged"] = nodesOf(t, trips, err)
	jobs, err := ports.Jobs.GetJobs(ctx, k.ids["job"])
	of["jobChanged"] = nodesOf(t, jobs, err)
	activities, err := ports.Activities.GetActivities(ctx, k.ids["activity"])
	of["activityAdded"] = nodesOf(t, activities, err)
	of["activityChanged"] = of["activityAdded"]
	for _, id := range k.ids["command"] {
		of["commandOutput"] = append(of["commandOutput"], &bff.LogLine{CommandID: id, At: h.clock.Now(), Stream: "stdout", Text: "a\tline"})
	}
	return of
}

func nodesOf[V bff.Node](t *testing.T, all []V, err error) []bff.Node {
	t.Helper()
	if err != nil || len(all) == 0 {
		t.Fatalf("%d entities, %v", len(all), err)
	}
	nodes := make([]bff.Node, len(all))
	for i, v := range all {
		nodes[i] = v
	}
	return nodes
}

// Random subscriptions over the schema answer an entity alike on plans and in gqlgen's executor, and
// are about the same.
func TestPlanGivesTheReferenceEvents(t *testing.T) {
	t.Parallel()
	h, callers := demo(t)
	k := look(t, h, callers[0])
	entities := h.entities(t, k)
	planned, unplanned := 0, 0
	plans := h.executor(pipeline.Options{Count: func(o plan.Outcome) {
		if o == plan.Planned {
			planned++
		} else {
			unplanned++
		}
	}})
	reference := h.executor(pipeline.Options{Reference: true})
	a := documents(k, caller.ScopesOf(caller.Admin), 7)
	member := caller.Caller{AccountID: k.ids["account"][0], Role: caller.Member, Scopes: caller.ScopesOf(caller.Member)}
	answered, withErrors := 0, 0
	for i := uint64(0); answered < author.Count(300, 3000); i++ {
		query, variables, field := a.Subscription()
		entity := one(a.Rand, entities[field.Name]...)
		ctx := caller.NewContext(in(t.Context(), &plantest.World{Seed: i, Faults: []uint64{0, 0, 2, 5, 20}[i%5]}), one(a.Rand, caller.OfSystem(), member))
		want := follow(ctx, reference, query, variables, entity, atRoot).nulled()
		if want.answers > 0 {
			answered++
		}
		if len(want.errors) > 0 {
			withErrors++
		}
		for range 2 {
			got := follow(ctx, plans, query, variables, entity, func(ctx context.Context) context.Context { return ctx })
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("document %d about %s\n%s\n%v\nreference   %.2000s\nplanned %.2000s", i, entity.GetID(), query, variables, fmt.Sprint(want), fmt.Sprint(got))
			}
		}
	}
	if planned < 2*answered || unplanned > 0 {
		t.Errorf("of 2 × %d executions %d were planned and %d run by the reference executor", answered, planned, unplanned)
	}
	t.Logf("%d answered, %d with errors", answered, withErrors)
}
