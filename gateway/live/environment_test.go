package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/auth"
	bffentity "github.com/sluicehq/sluice/bff/entity"
	bffrpc "github.com/sluicehq/sluice/bff/rpc"
	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/gateway/edge"
	"github.com/sluicehq/sluice/gateway/live"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/loaders"
	"github.com/sluicehq/sluice/services/account"
	accountrpc "github.com/sluicehq/sluice/services/account/rpc"
	"github.com/sluicehq/sluice/services/account/signing"
	accountstore "github.com/sluicehq/sluice/services/account/store"
	"github.com/sluicehq/sluice/services/device/assembly"
	devicerpc "github.com/sluicehq/sluice/services/device/rpc"
	devicestore "github.com/sluicehq/sluice/services/device/store"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon bounds every wait of these tests.
const soon = time.Minute

const secret = "the secret of the cursors of these tests"

// world is what gateways share: a broker, and services to ask.
type world struct {
	bus     *bus.Bus
	clock   *clock.Manual
	signer  *signing.Keys
	ports   loaders.Ports
	devices grpc.ClientConnInterface
	loads   atomic.Int64 // calls to the device service

	budgets  admission.Budgets  // nil for none
	abuse    admission.Abuse    // nil for none
	overload admission.Overload // nil for none

	signIn sync.Once
	signed string // the token of cachedToken
}

func newWorld(t testing.TB) *world {
	t.Helper()
	b, err := bus.Open(context.Background(), bus.Options{StoreDir: t.TempDir(), SyncInterval: time.Minute, EventsMaxBytes: 256 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Errorf("close the bus: %v", err)
		}
	})
	return worldOn(t, b)
}

// worldOn has services of its own, before a broker that others may use too.
func worldOn(t testing.TB, b *bus.Bus) *world {
	t.Helper()
	signer, err := signing.Open(t.Context(), &signing.Memory{}, signing.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{bus: b, clock: clock.NewManual(time.Now()), signer: signer}
	accounts := account.New(
		accountstore.New(sqltest.OpenSQLite(t, accountstore.Migrations()), accountrpc.EncodeAccount, accountrpc.EncodeAPIKey),
		signer, w.clock, account.Options{Identities: map[string]account.IdentityProvider{account.DemoProvider: account.DemoIdentities{}}})
	devices := assembly.New(devicestore.New(sqltest.OpenSQLite(t, devicestore.Migrations()), devicerpc.Encoding()), w.clock, assembly.Options{})
	w.devices = within(func(r grpc.ServiceRegistrar) { devicerpc.Register(r, devices) })
	w.ports = loaders.Ports{
		Accounts: bffrpc.NewAccounts(within(func(r grpc.ServiceRegistrar) { accountrpc.Register(r, accounts) })),
		Devices:  bffrpc.NewDevices(counting{w.devices, &w.loads}),
		Trips:    bffrpc.NewTrips(nobody()), Jobs: bffrpc.NewJobs(nobody()), Activities: bffrpc.NewActivities(nobody()),
	}
	return w
}

// nobody is the way to a service that there is not.
func nobody() grpc.ClientConnInterface { return within(func(grpc.ServiceRegistrar) {}) }

func within(register func(grpc.ServiceRegistrar)) grpc.ClientConnInterface {
	options := rpc.Options{Logger: slog.New(slog.DiscardHandler), Tracing: obs.NoTracing()}
	return rpc.Within(rpc.NewChannel(options, register), options)
}

// counting counts the calls over a connection.
type counting struct {
	grpc.ClientConnInterface
	calls *atomic.Int64
}

func (c counting) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	c.calls.Add(1)
	return c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

// gateway is one of those that share a world.
type gateway struct {
	world    *world
	hub      *live.Hub
	server   *httptest.Server
	registry *prometheus.Registry
}

// settings are those of tests: short, and small.
func settings() live.Settings {
	return live.Settings{
		InitTimeout: soon, IdleTimeout: soon, WriteTimeout: 5 * time.Second, KeepAlive: 5 * time.Second, RequestTimeout: 10 * time.Second,
		MaxTotal: 10_000, MaxConnections: 5_000, MaxSubscriptions: 20, MaxMessage: 64 << 10, QueueBytes: 64 << 10,
		History: 100, HistoryBytes: 1 << 20,
	}
}

func (w *world) gateway(t testing.TB, change ...func(*live.Settings)) *gateway {
	t.Helper()
	g := w.open(t, change...)
	t.Cleanup(func() { g.close(t) })
	return g
}

// open is gateway that the test closes itself.
func (w *world) open(t testing.TB, change ...func(*live.Settings)) *gateway {
	t.Helper()
	s := settings()
	for _, c := range change {
		c(&s)
	}
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	g := &gateway{world: w, registry: prometheus.NewRegistry()}
	authenticator := auth.New(w.ports.Accounts, account.DefaultIssuer, w.clock)
	limits := document.Limits{Depth: 15, Aliases: 100}
	control := admission.New(admission.Options{Limits: limits, Budgets: w.budgets, Abuse: w.abuse, Overload: w.overload})
	var err error
	g.hub, err = live.New(t.Context(), live.Options{
		JetStream: w.bus.JetStream(), Decode: bffentity.Decode, Auth: authenticator, Secret: []byte(secret),
		Origins: []string{"https://app.test"}, Settings: s, Clock: w.clock, Logger: logger, Registry: g.registry, Admission: control,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := pipeline.NewServer(&graph.Resolver{Ports: w.ports, Clock: w.clock}, pipeline.Options{
		Admission: control, Limits: limits, Tokens: 5000, Logger: logger, Tracing: obs.NoTracing(),
	})
	g.server = httptest.NewServer(edge.New(
		edge.Parts{GraphQL: server, Admission: control, Auth: authenticator, Live: g.hub, Health: edge.NewHealth(nil, nil)},
		edge.Options{RequestTimeout: soon, MaxBody: 1 << 20, CORSOrigins: []string{"https://app.test"}, Logger: logger, Tracing: obs.NoTracing()}))
	return g
}

func (g *gateway) close(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	if err := g.hub.Close(ctx); err != nil {
		t.Errorf("close the hub: %v", err)
	}
	g.server.Close()
}

// metric is the sum of a metric over its labels.
func (g *gateway) metric(t testing.TB, name string) float64 {
	t.Helper()
	families, err := g.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != "sluice_live_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// eventually waits until the metric has the value.
func (g *gateway) eventually(t testing.TB, name string, want float64) {
	t.Helper()
	deadline := time.Now().Add(soon)
	for g.metric(t, name) != want {
		if time.Now().After(deadline) {
			t.Fatalf("%s is %v, want %v", name, g.metric(t, name), want)
		}
		<-time.After(2 * time.Millisecond) // between two looks
	}
}

// token is an access token of a demo identity.
func (w *world) token(t testing.TB, code string) string {
	t.Helper()
	session, err := w.ports.Accounts.Login(t.Context(), bff.LoginInput{Provider: "DEMO", Code: code})
	if err != nil {
		t.Fatal(err)
	}
	return session.AccessToken
}

// cachedToken is one token for all.
func (w *world) cachedToken(t testing.TB) string {
	w.signIn.Do(func() { w.signed = w.token(t, "alice") })
	return w.signed
}

// end ends the session of the token, and tells so as the account service does.
func (w *world) end(t testing.TB, token string) {
	t.Helper()
	who, err := auth.New(w.ports.Accounts, account.DefaultIssuer, w.clock).Caller(t.Context(), auth.Credentials{Bearer: token})
	if err != nil {
		t.Fatal(err)
	}
	err = w.bus.Publish(t.Context(), bus.Message{Subject: "event.session.ended." + who.SessionID, ID: ids.New(ids.Event), Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
}

// accountOf is the account of a demo identity.
func (w *world) accountOf(t testing.TB, code string) string {
	t.Helper()
	authenticator := auth.New(w.ports.Accounts, account.DefaultIssuer, w.clock)
	who, err := authenticator.Caller(t.Context(), auth.Credentials{Bearer: w.token(t, code)})
	if err != nil {
		t.Fatal(err)
	}
	return who.AccountID
}

// publish puts activities into the stream as the activity service does.
func (w *world) publish(t testing.TB, activities ...*activityv1.Activity) {
	t.Helper()
	for _, a := range activities {
		if err := w.bus.Publish(context.Background(), activityMessage(t, a)); err != nil {
			t.Fatal(err)
		}
	}
}

func activityMessage(t testing.TB, a *activityv1.Activity) bus.Message {
	t.Helper()
	if a.GetId() == "" {
		a.Id = ids.New(ids.Activity)
	}
	if a.GetKind() == 0 {
		a.Kind = activityv1.Kind_KIND_NOTE
	}
	if a.GetStartedAt() == nil {
		a.StartedAt = timestamppb.Now()
	}
	data, err := proto.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return bus.Message{Subject: "event.activity.added." + a.GetId(), ID: ids.New(ids.Event), Data: data, Time: time.Now()}
}

func note(title string) *activityv1.Activity {
	return &activityv1.Activity{Title: title, Source: "test"}
}

func numbered(i int) *activityv1.Activity { return note(fmt.Sprint(i)) }

// device registers a device and gives its id.
func (w *world) device(t testing.TB, name string) string {
	t.Helper()
	ctx := caller.NewContext(t.Context(), caller.OfSystem())
	d, err := bffrpc.NewDevices(w.devices).RegisterDevice(ctx, bff.RegisterDeviceInput{Name: name, Kind: "VEHICLE"})
	if err != nil {
		t.Fatal(err)
	}
	return d.Device.ID
}

// peer is a WebSocket client that does as the test says.
type peer struct {
	*websocket.Conn
	t testing.TB
}

// said is a message of the server.
type said struct {
	Type    string          `json:"type"`
	ID      string          `json:"id"`
	Payload json.RawMessage `json:"payload"`
}

func (g *gateway) url() string { return "ws" + strings.TrimPrefix(g.server.URL, "http") + "/graphql" }

// dial opens a WebSocket without a word.
func (g *gateway) dial(t testing.TB, subprotocol string, headers ...string) *peer {
	t.Helper()
	header := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		header.Set(headers[i], headers[i+1])
	}
	dialer := websocket.Dialer{HandshakeTimeout: soon}
	if subprotocol != "" {
		dialer.Subprotocols = []string{subprotocol}
	}
	conn, response, err := dialer.Dial(g.url(), header)
	if err != nil {
		t.Fatalf("dial: %v (%+v)", err, response)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &peer{Conn: conn, t: t}
}

// connect is dial and connection_init.
func (g *gateway) connect(t testing.TB, code string) *peer {
	t.Helper()
	return g.connectWith(t, g.world.token(t, code))
}

func (g *gateway) connectWith(t testing.TB, token string) *peer {
	t.Helper()
	p := g.dial(t, "graphql-transport-ws")
	p.say(`{"type":"connection_init","payload":{"Authorization":"Bearer ` + token + `"}}`)
	p.hear("connection_ack")
	return p
}

func (p *peer) say(text string) {
	p.t.Helper()
	if err := p.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		p.t.Fatalf("say %.100s: %v", text, err)
	}
}

// hear reads the next message, which must be of the type; "" accepts every type.
func (p *peer) hear(kind string) said {
	p.t.Helper()
	_ = p.SetReadDeadline(time.Now().Add(soon))
	_, text, err := p.ReadMessage()
	if err != nil {
		p.t.Fatalf("hear %s: %v", kind, err)
	}
	var m said
	if err := json.Unmarshal(text, &m); err != nil {
		p.t.Fatalf("%v: %q", err, text)
	}
	if kind != "" && m.Type != kind {
		p.t.Fatalf("heard %s, want %s", text, kind)
	}
	return m
}

// closes wants the connection to be closed with the code, whatever comes before.
func (p *peer) closes(code int) {
	p.t.Helper()
	_ = p.SetReadDeadline(time.Now().Add(soon))
	for {
		_, _, err := p.ReadMessage()
		if err == nil {
			continue
		}
		if !websocket.IsCloseError(err, code) {
			p.t.Fatalf("ended with %v, want %d", err, code)
		}
		return
	}
}

const added = `subscription { activityAdded { title } }`

// subscribe asks for a document; extensions is JSON or "".
func (p *peer) subscribe(id, query, extensions string) {
	p.t.Helper()
	payload := map[string]any{"query": query}
	if extensions != "" {
		payload["extensions"] = json.RawMessage(extensions)
	}
	text, _ := json.Marshal(map[string]any{"id": id, "type": "subscribe", "payload": payload}) // texts always encode
	p.say(string(text))
}

// barrier waits until the server has done all that was said before.
func (p *peer) barrier() {
	p.t.Helper()
	p.say(`{"type":"ping"}`)
	p.hear("pong")
}

// event is an answer to an event.
type event struct {
	Data struct {
		ActivityAdded struct {
			Title  string
			Device *struct{ Name string }
		}
		ActivityChanged struct{ Title, WithdrawnAt string }
	}
	Errors     []struct{ Message string }
	Extensions struct {
		Cursor string
		Gap    *struct{ From, To string }
	}
}

func (e event) title() string { return e.Data.ActivityAdded.Title }

func (p *peer) next(id string) event {
	p.t.Helper()
	m := p.hear("next")
	if m.ID != id {
		p.t.Fatalf("next of %q, want of %q", m.ID, id)
	}
	return decodeEvent(p.t, m.Payload)
}

func decodeEvent(t testing.TB, text []byte) event {
	t.Helper()
	var e event
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return e
}

// titles reads so many events and gives their titles and the last cursor.
func (p *peer) titles(id string, n int) (titles []string, cursor string) {
	p.t.Helper()
	for range n {
		e := p.next(id)
		if e.Extensions.Gap != nil {
			titles = append(titles, "gap")
		} else {
			titles = append(titles, e.title())
		}
		cursor = e.Extensions.Cursor
	}
	return titles, cursor
}
