package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/graph/plan"
	"github.com/sluicehq/sluice/importer"
	importerrpc "github.com/sluicehq/sluice/importer/rpc"
	"github.com/sluicehq/sluice/internal/author"
	"github.com/sluicehq/sluice/internal/plantest"
)

// plenty is a budget that is always full, so that what is left of it is the same each time.
type plenty struct{}

func (plenty) Charge(context.Context, string, int) (bff.Budget, error) {
	return bff.Budget{Limit: 1e9, Remaining: 1e9, RestorePerSecond: 0.5}, nil
}
func (plenty) Refund(context.Context, int) {}

// who asks, and what they may.
type who struct {
	name, header, secret string
	scopes               []string
}

// demo is a environment that holds the recordings, and what they have none of: a trip under way, jobs, notes
// on all of them, and API keys.
func demo(t testing.TB, changes ...func(*pipeline.Options)) (*environment, []who) {
	t.Helper()
	h := open(t, changes...)
	services := importerrpc.New(h.lines["account"], h.lines["device"], h.lines["trip"], h.lines["activity"])
	services.Demo = true
	if _, err := importer.Demo(t.Context(), services, silent()); err != nil {
		t.Fatal(err)
	}
	made := h.oneOfEach(t)
	admin := h.signIn(t, "admin")
	for _, about := range []string{"deviceId", "tripId", "jobId"} {
		kind := map[string]string{"deviceId": "Device", "tripId": "Trip", "jobId": "Job"}[about]
		h.get(t, admin, `mutation($id: ID!) { recordActivity(input: {kind: NOTE, title: "about it", public: true, `+about+`: $id,
			links: [{url: "https://example.org/"}], data: {a: [1, null]}}) { id } }`, map[string]any{"id": made[kind]})
		h.get(t, admin, `mutation($id: ID!) { createJob(input: {name: "of a device", kind: "log", payload: {message: "x"}, deviceId: $id}) { id } }`,
			map[string]any{"id": made["Device"]})
	}
	h.calls.take()
	return h, h.callers(t, admin)
}

// callers are somebody of each sort.
func (h *environment) callers(t testing.TB, admin string) []who {
	t.Helper()
	key := func(scopes ...string) string {
		return h.text(t, admin, `mutation($scopes: [String!]!) { createApiKey(input: {name: "k", scopes: $scopes}) { secret } }`,
			map[string]any{"scopes": scopes}, "createApiKey", "secret")
	}
	all := []who{
		{name: "admin", header: "Authorization", secret: admin},
		{name: "operator", header: "Authorization", secret: h.signIn(t, "operator")},
		{name: "member", header: "Authorization", secret: h.signIn(t, "alice")},
		{name: "another member", header: "Authorization", secret: h.signIn(t, "bob")},
		{name: "a key that reads devices", header: "X-API-Key", secret: key("device:read")},
		{name: "a key that reads jobs and trips", header: "X-API-Key", secret: key("job:read", "trip:read")},
		{name: "nobody", header: "X-Nobody"},
	}
	for i, w := range all[:len(all)-1] {
		var shown struct {
			Data struct{ Viewer struct{ Scopes []string } }
		}
		if err := json.Unmarshal(through(t, h, t.Context(), w, []byte(`{"query": "{ viewer { scopes } }"}`)).Body.Bytes(), &shown); err != nil {
			t.Fatal(err)
		}
		all[i].scopes = shown.Data.Viewer.Scopes
	}
	return all
}

// through sends the body of a request to a gateway.
func through(t testing.TB, gateway http.Handler, ctx context.Context, w who, body []byte) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/graphql", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sluice-Cost", "1")
	r.Header.Set(w.header, w.secret)
	recorder := httptest.NewRecorder()
	gateway.ServeHTTP(recorder, r)
	return recorder
}

// told is an answer with what may differ put aside: the order of errors, the id of the request, and
// what an answer with errors cost, because gqlgen's executor does not meet all fields that fail.
type told struct {
	status           int
	data, extensions string
	errors           []string
	calls            []string
}

func tell(t testing.TB, answer *httptest.ResponseRecorder) told {
	t.Helper()
	var parts struct {
		Data       json.RawMessage
		Extensions map[string]map[string]any
		Errors     []map[string]any
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &parts); err != nil {
		t.Fatalf("the answer is not JSON: %v: %.2000s", err, answer.Body)
	}
	if len(parts.Errors) > 0 {
		delete(parts.Extensions["cost"], "actual")
	}
	it := told{status: answer.Code, data: string(parts.Data), extensions: fmt.Sprint(parts.Extensions)}
	for _, e := range parts.Errors {
		if extensions, ok := e["extensions"].(map[string]any); ok {
			delete(extensions, "requestId")
		}
		text, _ := json.Marshal(e)
		it.errors = append(it.errors, string(text))
	}
	slices.Sort(it.errors)
	return it
}

func (a told) differs(b told) string {
	switch {
	case a.status != b.status:
		return "status"
	case a.data != b.data:
		return "data"
	case !slices.Equal(a.errorsBeside(b.deniedPaths()), b.errorsBeside(b.deniedPaths())):
		return "errors"
	case a.extensions != b.extensions:
		return "extensions"
	case !slices.Equal(a.calls, b.calls):
		return "calls"
	}
	return ""
}

// deniedPaths returns the paths of the fields that the caller may not read.
func (a told) deniedPaths() (paths [][]any) {
	for _, text := range a.errors {
		if path, reason := pathAndReason(text); reason == "SCOPE_MISSING" {
			paths = append(paths, path)
		}
	}
	return paths
}

// errorsBeside returns the errors but those at or below the paths of denied fields. For an argument that is invalid too,
// gqlgen's executor reports the argument, and a plan, which does not read it, the missing scope.
func (a told) errorsBeside(denied [][]any) []string {
	return slices.DeleteFunc(slices.Clone(a.errors), func(text string) bool {
		path, _ := pathAndReason(text)
		return slices.ContainsFunc(denied, func(above []any) bool {
			return len(path) >= len(above) && slices.Equal(path[:len(above)], above)
		})
	})
}

func pathAndReason(text string) (path []any, reason string) {
	var e struct {
		Path       []any
		Extensions struct{ Reason string }
	}
	_ = json.Unmarshal([]byte(text), &e) // tell has encoded it
	return e.Path, e.Extensions.Reason
}

// exceedsBatchLimit reports whether a service refused a batch whose lists are too long together. Calls for
// one entity each, as the reference executor makes them, stay within that limit.
func (a told) exceedsBatchLimit() bool {
	return slices.ContainsFunc(a.errors, func(e string) bool {
		return strings.Contains(e, "in one answer") || strings.Contains(e, "TOO_MANY_POINTS")
	})
}

// internal is an error that stands for a fault of the program; "" when there is none.
func (a told) internal() string {
	for _, e := range a.errors {
		if strings.Contains(e, `"code":"INTERNAL"`) {
			return e
		}
	}
	return ""
}

// twins are one gateway in two ways: on plans, and on gqlgen's executor.
type twins struct {
	planned, reference http.Handler
	ran                atomic.Int64 // planned
	unplanned          atomic.Int64 // run by the reference executor
}

func newTwins(h *environment) *twins {
	two := &twins{}
	count := func(outcome plan.Outcome) {
		if outcome == plan.Planned {
			two.ran.Add(1)
		} else {
			two.unplanned.Add(1)
		}
	}
	ports := faulty(writable(h.ports()))
	two.planned = h.gateway(ports, pipeline.Options{Admission: charging(plenty{}), Logger: silent(), Count: count}, 2*time.Minute)
	two.reference = h.gateway(ports, pipeline.Options{Admission: charging(plenty{}), Logger: silent(), Reference: true}, 2*time.Minute)
	return two
}

// Random queries and mutations over the schema, with its own resolvers and the real services, by any caller
// and with any fault, have the same response by plans and by gqlgen's executor, and make the same sequence of
// calls. The clock stands still and budgets are always full, so that no field is left out of the comparison.
func TestPlanGivesTheReferenceResponse(t *testing.T) {
	t.Parallel()
	h, callers := demo(t)
	seen := make([]*known, len(callers))
	for i, c := range callers {
		seen[i] = look(t, h, c)
	}
	two := newTwins(h)
	var score struct{ asked, answered, mutations, withErrors, failed atomic.Int64 }
	const writers = 8
	most := int64(author.Count(1000, 10_000))
	var all sync.WaitGroup
	for writer := range writers {
		all.Go(func() {
			authors := make([]*author.Author, len(callers))
			for i, c := range callers {
				authors[i] = documents(seen[i], c.scopes, uint64(writer*100+i))
			}
			for i := 0; score.answered.Load() < most && score.failed.Load() < 3; i++ {
				c := i % len(callers)
				query, variables := authors[c].Document()
				if i%4 == 3 {
					query, variables = authors[c].Mutation()
					score.mutations.Add(1)
				}
				seed := uint64(writer)<<32 | uint64(i)
				faults := []uint64{0, 0, 2, 5, 20}[seed%5]
				reference, planned := two.both(t, callers[c], seed, faults, query, variables)
				if planned.exceedsBatchLimit() {
					continue
				}
				score.asked.Add(1)
				if reference.data != "" {
					score.answered.Add(1)
				}
				if len(reference.errors) > 0 {
					score.withErrors.Add(1)
				}
				if internal := reference.internal(); internal != "" && faults == 0 {
					score.failed.Add(1)
					t.Errorf("%s: nothing is wrong, and this fails: %s\n%s\n%v", callers[c].name, internal, query, variables)
				}
				if what := reference.differs(planned); what != "" {
					score.failed.Add(1)
					t.Errorf("%s, world %d with %d faults: the %s differ\n%s\n%v\nreference   %.3000s\nplanned %.3000s", callers[c].name, seed, faults, what, query, variables, fmt.Sprint(reference), fmt.Sprint(planned))
				}
			}
		})
	}
	all.Wait()
	if ran := two.ran.Load(); !t.Failed() && ran < 2*score.answered.Load() || two.unplanned.Load() > 0 {
		t.Errorf("of 2 × %d documents %d were planned and %d run by the reference executor", score.answered.Load(), ran, two.unplanned.Load())
	}
	t.Logf("%d documents, %d mutations, %d answered, %d with errors", score.asked.Load(), score.mutations.Load(), score.answered.Load(), score.withErrors.Load())
}

// both executes a document by both gateways, each time in an equal world; by plans twice, as the plan is
// compiled and from the cache.
func (two *twins) both(t testing.TB, c who, seed, faults uint64, query string, variables map[string]any) (reference, planned told) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	execute := func(gateway http.Handler) told {
		w := &plantest.World{Seed: seed, Faults: faults}
		response := tell(t, through(t, gateway, in(t.Context(), w), c, body))
		response.calls = w.Calls()
		return response
	}
	reference = execute(two.reference)
	for range 2 {
		planned = execute(two.planned)
		if reference.differs(planned) != "" {
			break
		}
	}
	return reference, planned
}
