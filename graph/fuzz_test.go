package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/graph/plan"
	"github.com/sluicehq/sluice/internal/plantest"
)

const (
	fuzzDeadline = 30 * time.Millisecond // of a request whose calls may hang
	fuzzGrace    = 30 * time.Second      // after its deadline a request has ended, on the slowest machine
)

// alarm is a log that remembers panics that were recovered.
type alarm struct {
	mu     sync.Mutex
	panics []string
}

func (*alarm) Enabled(context.Context, slog.Level) bool { return true }
func (a *alarm) WithAttrs([]slog.Attr) slog.Handler     { return a }
func (a *alarm) WithGroup(string) slog.Handler          { return a }

func (a *alarm) Handle(_ context.Context, record slog.Record) error {
	a.note(record.Message)
	record.Attrs(func(attr slog.Attr) bool {
		a.note(attr.Value.String())
		return true
	})
	return nil
}

func (a *alarm) note(text string) {
	if strings.Contains(text, "panic") && strings.Contains(text, "runtime/debug.Stack()") { // what a recover writes down
		a.mu.Lock()
		defer a.mu.Unlock()
		a.panics = append(a.panics, text)
	}
}

func (a *alarm) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	panics := a.panics
	a.panics = nil
	return panics
}

// target is a gateway that is fed anything.
type target struct {
	gateway  http.Handler
	callers  []who
	alarm    *alarm
	outcomes chan plan.Outcome // of the request
	names    *strings.Replacer // what seeds call things by is what they are called in this environment
	rested   sync.Once
	resting  int // goroutines of a gateway without requests
	leaks    goleak.Option
}

func newTarget(f *testing.F) *target {
	f.Helper()
	x := &target{alarm: &alarm{}, outcomes: make(chan plan.Outcome, 10)}
	h, callers := demo(f, func(o *pipeline.Options) { o.Logger = slog.New(x.alarm) })
	x.callers = callers
	x.gateway = h.gateway(faulty(h.ports()), pipeline.Options{Logger: h.logger, Admission: charging(plenty{}), Count: func(o plan.Outcome) { x.outcomes <- o }}, time.Minute)
	x.addSeeds(f, h)
	return x
}

// addSeeds writes documents as they would be asked. The ids in them are of this environment, whose things
// have others each time, so seeds call them "device~3".
func (x *target) addSeeds(f *testing.F, h *environment) {
	f.Helper()
	var there, back []string
	k := look(f, h, x.callers[0])
	for field, all := range k.ids {
		for i, id := range all {
			there, back = append(there, id, fmt.Sprintf("%s~%d", field, i)), append(back, fmt.Sprintf("%s~%d", field, i), id)
		}
	}
	for list, all := range k.cursors {
		for i, cursor := range all {
			there, back = append(there, cursor, fmt.Sprintf("%s~%d", list, i)), append(back, fmt.Sprintf("%s~%d", list, i), cursor)
		}
	}
	delete(k.ids, "nowhere")
	x.names = strings.NewReplacer(back...)
	symbols := strings.NewReplacer(there...)
	for i := range 40 {
		caller := i % len(x.callers)
		query, variables := documents(k, x.callers[caller].scopes, uint64(i)).Document()
		values, _ := json.Marshal(variables)
		f.Add(symbols.Replace(query), symbols.Replace(string(values)), uint8(caller), uint64(i))
	}
	for i := range 24 { // what hangs and fails differs
		f.Add(whole, "{}", uint8(i), uint64(i))
	}
	for i, query := range []string{
		dashboard,
		`{ __schema { types { name fields { name args { name defaultValue } } } } __type(name: "Trip") { name } trips { nodes { id } } }`,
		`mutation($i: RecordActivityInput!) { recordActivity(input: $i) { id device { name } } a: recordWater(input: {amountMl: 200}) { amount } }`,
		`mutation { updateDevice(input: {id: "device~0", labels: {site: "x"}, expectedVersion: 1}) { version } cancelJob(id: "job~0") { status } }`,
		`query A($n: Int = 3) { ... @include(if: true) { devices(first: $n) { ...C } } } fragment C on DeviceConnection { nodes { ... on Node { id } } }`,
		`subscription { deviceChanged(filter: {kinds: [VEHICLE]}) { id } }`,
		`{ viewer { account { id ...on Account @skip(if: false) { name } } } nodes(ids: ["device~1", "trip~1", "job~0", "activity~0", "account~0", "x"]) { __typename ... on Device { jobs(first: 2) { edges { node { runs { nodes { id } } } } } } } }`,
	} {
		f.Add(query, `{"n": 2, "i": {"kind": "NOTE", "title": "x", "data": {"a": [null]}}}`, uint8(0), uint64(i))
	}
}

// FuzzGateway feeds documents and variables through the whole way of a query: what is answered is
// JSON, nothing panics (a panic that was recovered fails too), nobody works on when the answer is
// there, and calls that hang end with the deadline.
func FuzzGateway(f *testing.F) {
	x := newTarget(f)
	f.Fuzz(func(t *testing.T, query, variables string, caller uint8, seed uint64) {
		if len(query) > 4000 || len(variables) > 2000 {
			return
		}
		body, err := json.Marshal(map[string]any{"query": x.names.Replace(query), "variables": valuesOf(x.names.Replace(variables))})
		if err != nil {
			t.Fatal(err)
		}
		x.rested.Do(func() { x.resting, x.leaks = runtime.NumGoroutine(), goleak.IgnoreCurrent() })
		calls := &watch{hang: seed%8 == 7}
		ctx := context.WithValue(in(t.Context(), &plantest.World{Seed: seed, Faults: seed % 4 * 10}), watchKey{}, calls)
		if calls.hang {
			limited, cancel := context.WithTimeout(ctx, fuzzDeadline)
			defer cancel()
			ctx = limited
		}
		answer := x.answer(t, ctx, x.callers[int(caller)%len(x.callers)], body)
		tell(t, answer)
		x.rest(t, calls)
		for _, text := range x.alarm.take() {
			t.Errorf("panicked: %s", text)
		}
	})
}

// valuesOf are variables as a caller would send them, right or wrong.
func valuesOf(text string) any {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	return text
}

// answer waits for the answer, after the deadline only for the grace.
func (x *target) answer(t *testing.T, ctx context.Context, w who, body []byte) *httptest.ResponseRecorder {
	t.Helper()
	answered := make(chan *httptest.ResponseRecorder, 1)
	go func() { answered <- through(t, x.gateway, ctx, w, body) }()
	var over <-chan struct{} // stays nil while nothing hangs: then the answer comes at once
	if _, limited := ctx.Deadline(); limited {
		over = ctx.Done()
	}
	select {
	case answer := <-answered:
		return answer
	case <-over:
	case <-time.After(fuzzGrace):
	}
	select {
	case answer := <-answered:
		return answer
	case <-time.After(fuzzGrace):
		stacks := make([]byte, 1<<20)
		t.Fatalf("no answer %v after the deadline\n%s", fuzzGrace, stacks[:runtime.Stack(stacks, true)])
		return nil
	}
}

// rest sees to it that nobody works on.
func (x *target) rest(t *testing.T, calls *watch) {
	t.Helper()
	planned := false
	for len(x.outcomes) > 0 {
		planned = <-x.outcomes == plan.Planned
	}
	if n := calls.underWay.Load(); planned && n > 0 {
		t.Errorf("%d calls are under way after the answer", n)
	}
	if runtime.NumGoroutine() <= x.resting {
		return
	}
	late := time.Now().Add(fuzzGrace)
	err := goleak.Find(x.leaks, goleak.IgnoreAnyFunction("testing.tRunner"))
	for err != nil && time.Now().Before(late) { // services may still learn that nobody waits for them
		err = goleak.Find(x.leaks, goleak.IgnoreAnyFunction("testing.tRunner"))
	}
	if err != nil {
		t.Errorf("goroutines are left: %v", err)
	}
}
