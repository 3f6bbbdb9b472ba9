package graph_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/auth"
	"github.com/sluicehq/sluice/bff/guard"
	bffrpc "github.com/sluicehq/sluice/bff/rpc"
	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/gateway/edge"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/loaders"
	"github.com/sluicehq/sluice/services/account"
	accountrpc "github.com/sluicehq/sluice/services/account/rpc"
	"github.com/sluicehq/sluice/services/account/signing"
	accountstore "github.com/sluicehq/sluice/services/account/store"
	"github.com/sluicehq/sluice/services/activity"
	activityrpc "github.com/sluicehq/sluice/services/activity/rpc"
	activitystore "github.com/sluicehq/sluice/services/activity/store"
	"github.com/sluicehq/sluice/services/device/assembly"
	devicerpc "github.com/sluicehq/sluice/services/device/rpc"
	devicestore "github.com/sluicehq/sluice/services/device/store"
	"github.com/sluicehq/sluice/services/job"
	"github.com/sluicehq/sluice/services/job/logline"
	jobrpc "github.com/sluicehq/sluice/services/job/rpc"
	jobstore "github.com/sluicehq/sluice/services/job/store"
	"github.com/sluicehq/sluice/services/trip"
	tripclients "github.com/sluicehq/sluice/services/trip/clients"
	triprpc "github.com/sluicehq/sluice/services/trip/rpc"
	tripstore "github.com/sluicehq/sluice/services/trip/store"
)

// environment is a whole gateway before all five services, each with a store of its own, in one process.
type environment struct {
	http.Handler
	clock  *clock.Manual
	logger *slog.Logger // of gateway and services
	calls  *ledger
	lines  map[string]*line // by service
}

// open opens it with what the changes make of the options.
func open(t testing.TB, changes ...func(*pipeline.Options)) *environment {
	t.Helper()
	inside := pipeline.Options{Logger: silent()}
	for _, change := range changes {
		change(&inside)
	}
	h := &environment{
		clock: clock.NewManual(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)), logger: inside.Logger,
		calls: &ledger{calls: map[string]int{}}, lines: map[string]*line{},
	}
	h.serve("account", h.account(t))
	h.serve("device", h.device(t))
	h.serve("trip", h.trip(t))
	h.serve("job", h.job(t))
	h.serve("activity", h.activity(t))
	h.Handler = h.gateway(h.ports(), inside, 2*time.Minute)
	return h
}

// limits bound the documents of these tests.
var limits = document.Limits{Depth: 15, Aliases: 100}

// pointsOnly is budgets without a bound on concurrent requests, and without a block list.
type pointsOnly struct{ bff.Budgets }

func (pointsOnly) AnyBlocked() bool                                                 { return false }
func (pointsOnly) Blocked(caller.Caller, string) (left bff.Budget, _ time.Duration) { return left, 0 }
func (pointsOnly) Acquire(context.Context) (func(), error)                          { return func() {}, nil }
func (pointsOnly) CheckRepeat(context.Context, string) (left bff.Budget, _ int, _ error) {
	return left, 0, nil
}

// charging returns the admission of a gateway whose callers pay from the budgets.
func charging(budgets bff.Budgets) pipeline.Admission {
	return admission.New(admission.Options{Limits: limits, Budgets: pointsOnly{budgets}})
}

// ports ask the services.
func (h *environment) ports() loaders.Ports {
	return loaders.Ports{
		Accounts: bffrpc.NewAccounts(h.guarded("account")), Devices: bffrpc.NewDevices(h.guarded("device")),
		Trips: bffrpc.NewTrips(h.guarded("trip")), Jobs: bffrpc.NewJobs(h.guarded("job")),
		Activities: bffrpc.NewActivities(h.guarded("activity")),
	}
}

// gateway is an entrance whose resolvers ask the ports, and whose requests end in time.
func (h *environment) gateway(ports loaders.Ports, options pipeline.Options, timeout time.Duration) http.Handler {
	options.Limits, options.Tokens, options.Tracing = limits, 5000, obs.NoTracing()
	if options.Admission == nil {
		options.Admission = admission.New(admission.Options{Limits: limits, Refusals: ports.Devices})
	}
	return edge.New(edge.Parts{
		GraphQL:   pipeline.NewServer(&graph.Resolver{Ports: ports, Clock: h.clock}, options),
		Admission: options.Admission.(*admission.Controller),
		Auth:      auth.New(bffrpc.NewAccounts(h.guarded("account")), account.DefaultIssuer, h.clock), Health: edge.NewHealth(nil, nil),
	}, edge.Options{RequestTimeout: timeout, MaxBody: 1 << 20, Logger: h.logger, Tracing: obs.NoTracing()})
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (h *environment) options() rpc.Options {
	return rpc.Options{Logger: h.logger, Tracing: obs.NoTracing()}
}

func (h *environment) serve(service string, register func(grpc.ServiceRegistrar)) {
	conn := rpc.Within(rpc.NewChannel(h.options(), register), h.options())
	h.lines[service] = &line{conn: conn, service: service, ledger: h.calls}
}

func (h *environment) guarded(service string) grpc.ClientConnInterface {
	return guard.Wrap(h.lines[service], guard.Options{
		Service: service, Timeout: time.Minute, Failures: 1000, OpenFor: time.Second, Logger: h.logger,
	})
}

func (h *environment) account(t testing.TB) func(grpc.ServiceRegistrar) {
	t.Helper()
	signer, err := signing.Open(t.Context(), &signing.Memory{}, signing.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store := accountstore.New(sqltest.OpenSQLite(t, accountstore.Migrations()), accountrpc.EncodeAccount, accountrpc.EncodeAPIKey)
	s := account.New(store, signer, h.clock, account.Options{
		Identities: map[string]account.IdentityProvider{account.DemoProvider: account.DemoIdentities{}},
	})
	return func(r grpc.ServiceRegistrar) { accountrpc.Register(r, s) }
}

func (h *environment) device(t testing.TB) func(grpc.ServiceRegistrar) {
	t.Helper()
	s := assembly.New(devicestore.New(sqltest.OpenSQLite(t, devicestore.Migrations()), devicerpc.Encoding()), h.clock, assembly.Options{})
	return func(r grpc.ServiceRegistrar) { devicerpc.Register(r, s) }
}

func (h *environment) trip(t testing.TB) func(grpc.ServiceRegistrar) {
	t.Helper()
	store := tripstore.New(sqltest.OpenSQLite(t, tripstore.Migrations()), triprpc.EncodeTrip)
	tariff := trip.Tariff{Currency: "EUR", StartFeeMinor: 100, PerKilometreMinor: 50, PerMinuteMinor: 20}
	s := trip.New(store, tripclients.NewVehicles(h.lines["device"].conn), h.clock, tariff, trip.SpeedLimits{})
	return func(r grpc.ServiceRegistrar) { triprpc.Register(r, s) }
}

func (h *environment) job(t testing.TB) func(grpc.ServiceRegistrar) {
	t.Helper()
	store := jobstore.New(sqltest.OpenSQLite(t, jobstore.Migrations()), jobrpc.EncodeJob, jobrpc.EncodeOrder)
	s := job.New(store, h.clock, job.Kinds{"log": logline.New(silent())}, func() {})
	return func(r grpc.ServiceRegistrar) { jobrpc.Register(r, s) }
}

func (h *environment) activity(t testing.TB) func(grpc.ServiceRegistrar) {
	t.Helper()
	s := activity.New(activitystore.New(sqltest.OpenSQLite(t, activitystore.Migrations()), activityrpc.EncodeActivity), h.clock)
	return func(r grpc.ServiceRegistrar) { activityrpc.Register(r, s) }
}

// stop takes a service away for good.
func (h *environment) stop(t *testing.T, service string) {
	t.Helper()
	conn, err := rpc.Dial("127.0.0.1:1", h.options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	h.lines[service].lead(conn)
}

// ledger counts the calls that the gateway makes, by service and method.
type ledger struct {
	mu    sync.Mutex
	calls map[string]int
}

func (l *ledger) note(call string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls[call]++
}

// take gives the counts since the last time.
func (l *ledger) take() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := maps.Clone(l.calls)
	clear(l.calls)
	return taken
}

// line is the gateway's connection to a service.
type line struct {
	service string
	ledger  *ledger
	mu      sync.Mutex
	conn    grpc.ClientConnInterface
}

func (l *line) lead(conn grpc.ClientConnInterface) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
}

func (l *line) Invoke(ctx context.Context, method string, request, reply any, options ...grpc.CallOption) error {
	l.ledger.note(l.service + " " + method[strings.LastIndexByte(method, '/')+1:])
	recordCall(ctx, method, request)
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	return conn.Invoke(ctx, method, request, reply, options...)
}

func (l *line) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	return l.conn.NewStream(ctx, desc, method, options...)
}

// problem is an error of an answer.
type problem struct {
	Message    string
	Path       []any
	Extensions map[string]any
}

func (p problem) extension(name string) string {
	text, _ := p.Extensions[name].(string)
	return text
}

// answer is what came back.
type answer struct {
	Data   map[string]any
	Errors []problem
	text   string
}

// ask runs a document as somebody: an Authorization header, or "" for nobody.
func (h *environment) ask(t testing.TB, who, document string, variables map[string]any) answer {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(string(body)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(admission.CostHeader, "1")
	if who != "" {
		r.Header.Set("Authorization", who)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	a := answer{text: w.Body.String()}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("the answer is not JSON: %v: %s", err, a.text)
	}
	return a
}

// get runs a document that must succeed, and gives what the path of names leads to.
func (h *environment) get(t testing.TB, who, document string, variables map[string]any, path ...string) any {
	t.Helper()
	a := h.ask(t, who, document, variables)
	if len(a.Errors) > 0 {
		t.Fatalf("%s: %s", document, a.text)
	}
	var at any = a.Data
	for _, name := range path {
		fields, ok := at.(map[string]any)
		if !ok {
			t.Fatalf("there is no %v in %s", path, a.text)
		}
		at = fields[name]
	}
	return at
}

func (h *environment) text(t testing.TB, who, document string, variables map[string]any, path ...string) string {
	t.Helper()
	text, ok := h.get(t, who, document, variables, path...).(string)
	if !ok {
		t.Fatalf("%s: %v is no text", document, path)
	}
	return text
}

// signIn gives the Authorization header of a demo identity.
func (h *environment) signIn(t testing.TB, code string) string {
	t.Helper()
	return "Bearer " + h.text(t, "", `mutation($code: String!) { login(input: {provider: DEMO, code: $code}) { accessToken } }`,
		map[string]any{"code": code}, "login", "accessToken")
}
