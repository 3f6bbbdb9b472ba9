package edge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql/handler"
	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff/auth"
	"github.com/sluicehq/sluice/bff/guard"
	"github.com/sluicehq/sluice/bff/quota"
	bffrpc "github.com/sluicehq/sluice/bff/rpc"
	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/gateway/edge"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/loaders"
	"github.com/sluicehq/sluice/services/account"
	accountrpc "github.com/sluicehq/sluice/services/account/rpc"
	"github.com/sluicehq/sluice/services/account/signing"
	accountstore "github.com/sluicehq/sluice/services/account/store"
)

// issuer is who signs the access tokens of these tests.
const issuer = "https://sluice.test"

// environment is a gateway before a real account service; the other services are away.
type environment struct {
	http.Handler
	clock   *clock.Manual
	signer  *signing.Keys
	health  *edge.Health
	graphQL *handler.Server
	log     *journal
}

// change bends the parts or the options before the entrance is built.
type change func(*edge.Parts, *edge.Options)

func open(t testing.TB, changes ...change) *environment {
	t.Helper()
	return openCounting(t, nil, changes...)
}

// openCounting is open, with budgets.
func openCounting(t testing.TB, limits *quota.Options, changes ...change) *environment {
	t.Helper()
	return openInside(t, limits, func(*inside) {}, changes...)
}

// inside is the options of the pipeline and of admission.
type inside struct {
	pipeline.Options
	admit admission.Options
}

// openInside is openCounting with other options of the pipeline and of admission.
func openInside(t testing.TB, limits *quota.Options, bend func(*inside), changes ...change) *environment {
	t.Helper()
	signer, err := signing.Open(t.Context(), &signing.Memory{}, signing.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := &environment{clock: clock.NewManual(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)), signer: signer, log: &journal{}}
	logger := obs.NewLogger(h.log, slog.LevelDebug, "json")
	calls := rpc.Options{Logger: logger, Tracing: obs.NoTracing()}
	ports := loaders.Ports{
		Accounts:   bffrpc.NewAccounts(h.guarded(t, "account", h.accounts(t, calls))),
		Devices:    bffrpc.NewDevices(h.guarded(t, "device", away(t, calls))),
		Trips:      bffrpc.NewTrips(h.guarded(t, "trip", away(t, calls))),
		Jobs:       bffrpc.NewJobs(h.guarded(t, "job", away(t, calls))),
		Activities: bffrpc.NewActivities(h.guarded(t, "activity", away(t, calls))),
	}
	in := inside{Options: pipeline.Options{
		Limits: document.Limits{Depth: 15, Aliases: 30, Cost: 10_000}, Tokens: 2000, Logger: logger, Tracing: obs.NoTracing(),
	}}
	if limits != nil {
		spending := *limits
		spending.Clock = h.clock
		in.admit.Budgets = quota.New(quota.NewMemory(h.clock, 1000), spending)
	}
	bend(&in)
	in.admit.Limits, in.admit.Introspection = in.Limits, in.Introspection
	control := admission.New(in.admit)
	in.Admission = control
	h.graphQL = pipeline.NewServer(&graph.Resolver{Ports: ports, Clock: h.clock}, in.Options)
	h.health = edge.NewHealth(nil, nil)
	parts := edge.Parts{
		GraphQL: h.graphQL, Auth: auth.NewCached(ports.Accounts, issuer, h.clock, auth.CacheOptions{TTL: time.Minute, Entries: 100}), Health: h.health, Admission: control,
		KeySet: func(ctx context.Context) ([]byte, error) { return ports.Accounts.KeySet(ctx) },
	}
	options := edge.Options{
		RequestTimeout: 30 * time.Second, MaxBody: 1 << 20, CORSOrigins: []string{"https://app.test"}, CORSHeaders: []string{"traceparent"},
		GraphiQL: true,
		Logger:   logger, Tracing: obs.NoTracing(),
	}
	for _, change := range changes {
		change(&parts, &options)
	}
	h.Handler = edge.New(parts, options)
	return h
}

func (h *environment) accounts(t testing.TB, calls rpc.Options) grpc.ClientConnInterface {
	t.Helper()
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "account.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), accountstore.Migrations()); err != nil {
		t.Fatal(err)
	}
	store := accountstore.New(db, accountrpc.EncodeAccount, accountrpc.EncodeAPIKey)
	service := account.New(store, h.signer, h.clock, account.Options{
		Issuer:     issuer,
		Identities: map[string]account.IdentityProvider{account.DemoProvider: account.DemoIdentities{}},
	})
	return rpc.Within(rpc.NewChannel(calls, func(r grpc.ServiceRegistrar) { accountrpc.Register(r, service) }), calls)
}

// away is the way to a service that nobody runs.
func away(t testing.TB, calls rpc.Options) grpc.ClientConnInterface {
	t.Helper()
	conn, err := rpc.Dial("127.0.0.1:1", calls)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (h *environment) guarded(t testing.TB, service string, conn grpc.ClientConnInterface) grpc.ClientConnInterface {
	t.Helper()
	return guard.Wrap(conn, guard.Options{
		Service: service, Timeout: 20 * time.Second, Failures: 5, OpenFor: time.Second, Logger: slog.New(slog.DiscardHandler),
	})
}

// journal is a log that may be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	text   string
	Data   json.RawMessage `json:"data"`
	Errors []struct {
		Message    string         `json:"message"`
		Path       []any          `json:"path"`
		Extensions map[string]any `json:"extensions"`
	} `json:"errors"`
}

// code is that of the first error, or "".
func (a answer) code() string { return a.extension("code") }

func (a answer) extension(name string) string {
	if len(a.Errors) == 0 {
		return ""
	}
	value, _ := a.Errors[0].Extensions[name].(string)
	return value
}

// do sends a request whose answer is of GraphQL's form.
func (h *environment) do(t testing.TB, r *http.Request) answer {
	t.Helper()
	a := h.fetch(r)
	if err := json.Unmarshal([]byte(a.text), &a); err != nil {
		t.Fatalf("the answer is not JSON: %v: %d %q", err, a.status, a.text)
	}
	return a
}

// fetch sends a request.
func (h *environment) fetch(r *http.Request) answer {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answer{status: w.Code, header: w.Header(), text: w.Body.String()}
}

// post is a request with a JSON body and headers, name and value in turn.
func post(body string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return with(r, headers...)
}

func with(r *http.Request, headers ...string) *http.Request {
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// query is the JSON body of a query without variables.
func query(text string) string {
	body, _ := json.Marshal(map[string]string{"query": text}) // texts always encode
	return string(body)
}

// signIn gives the Authorization header of a demo identity.
func (h *environment) signIn(t testing.TB, code string) string {
	t.Helper()
	a := h.do(t, post(query(`mutation { login(input: {provider: DEMO, code: "`+code+`"}) { accessToken } }`)))
	var data struct{ Login struct{ AccessToken string } }
	if err := json.Unmarshal(a.Data, &data); err != nil || data.Login.AccessToken == "" {
		t.Fatalf("sign in: %v: %s", err, a.text)
	}
	return "Bearer " + data.Login.AccessToken
}
