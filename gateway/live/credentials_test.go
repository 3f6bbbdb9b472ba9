package live_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/auth"
	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/account"
)

// key makes an API key that may read activities, as an admin does.
func (w *world) key(t testing.TB, expires *time.Time) *bff.CreatedApiKey {
	t.Helper()
	who, err := auth.New(w.ports.Accounts, account.DefaultIssuer, w.clock).Caller(t.Context(), auth.Credentials{Bearer: w.token(t, "admin")})
	if err != nil {
		t.Fatal(err)
	}
	key, err := w.ports.Accounts.CreateAPIKey(caller.NewContext(t.Context(), who), bff.CreateApiKeyInput{
		Name: "test", Scopes: []string{caller.ActivityRead}, ExpiresAt: expires,
	})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestConnectionOfExpiredKeyIsClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t)
	expires := w.clock.Now().Add(time.Hour)
	limited, unlimited := w.key(t, &expires), w.key(t, nil)
	connect := func(key *bff.CreatedApiKey) *peer {
		p := g.dial(t, "graphql-transport-ws")
		p.do([]string{`{"type":"connection_init","payload":{"apiKey":"` + *key.Secret + `"}}`, "<connection_ack"})
		p.subscribe("a", added, "")
		p.barrier()
		return p
	}
	p, stays := connect(limited), connect(unlimited)
	byHeader := g.dial(t, "graphql-transport-ws", "X-API-Key", *limited.Secret)
	byHeader.do([]string{`{"type":"connection_init"}`, "<connection_ack"})
	l := g.listen(t, g.get(added), "X-API-Key", *limited.Secret)
	g.eventually(t, "subscriptions", 3)
	w.clock.Advance(time.Hour - time.Second)
	w.publish(t, note("before"))
	for _, p := range []*peer{p, stays} {
		p.next("a")
	}
	l.next()
	w.clock.Advance(time.Second)
	p.closes(4403)
	byHeader.closes(4403)
	if f := l.fields(); f != nil {
		t.Errorf("after the key's end the stream has %v", f)
	}
	stays.barrier()
}

func TestRenewalReturnsExpiryOfCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t)
	expires := w.clock.Now().Add(time.Hour).UTC().Truncate(time.Second)
	limited, unlimited := w.key(t, &expires), w.key(t, nil)
	for secret, want := range map[string]string{
		*limited.Secret: `{"expiresAt":"` + expires.Format(time.RFC3339) + `"}`, *unlimited.Secret: `{"expiresAt":null}`,
	} {
		p := g.dial(t, "graphql-transport-ws")
		p.do([]string{`{"type":"connection_init","payload":{"apiKey":"` + secret + `"}}`, "<connection_ack"})
		p.say(`{"type":"ping","payload":{"apiKey":"` + secret + `"}}`)
		if m := p.hear("pong"); string(m.Payload) != want {
			t.Errorf("pong with %s, want %s", m.Payload, want)
		}
	}
}

// A key that is revoked, or was given another secret, ends what was opened with it.
func TestConnectionOfRevokedOrRotatedKeyIsClosed(t *testing.T) {
	t.Parallel()
	for _, change := range []string{"revoked", "rotated"} {
		t.Run(change, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			g := w.gateway(t)
			key := w.key(t, nil)
			p := g.dial(t, "graphql-transport-ws")
			p.do([]string{`{"type":"connection_init","payload":{"apiKey":"` + *key.Secret + `"}}`, "<connection_ack"})
			l := g.listen(t, g.get(added), "X-API-Key", *key.Secret)
			g.eventually(t, "subscriptions", 1)
			event := bus.Message{Subject: "event." + string(entity.APIKey) + "." + change + "." + key.APIKey.ID, ID: ids.New(ids.Event), Time: time.Now()}
			if err := w.bus.Publish(t.Context(), event); err != nil {
				t.Fatal(err)
			}
			p.closes(4403)
			if f := l.fields(); f != nil {
				t.Errorf("the stream has %v", f)
			}
			// Who had verified the key before, and is let in after, is not forgotten.
			late := g.dial(t, "graphql-transport-ws")
			late.say(`{"type":"connection_init","payload":{"apiKey":"` + *key.Secret + `"}}`)
			if change == "revoked" {
				late.closes(4403)
			} else {
				late.hear("connection_ack")
			}
		})
	}
}

// A session that ends without an event, as by a change of its account's role, ends what was opened with it.
func TestConnectionOfEndedSessionIsClosedWithoutAnEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t)
	token, other := w.token(t, "alice"), w.token(t, "alice")
	connect := func(token string) *peer {
		p := g.dial(t, "graphql-transport-ws")
		p.do([]string{`{"type":"connection_init","payload":{"Authorization":"Bearer ` + token + `"}}`, "<connection_ack"})
		return p
	}
	p, stays := connect(token), connect(other)
	l := g.listen(t, g.get(added), "Authorization", "Bearer "+token)
	g.eventually(t, "subscriptions", 1)
	who, err := auth.New(w.ports.Accounts, account.DefaultIssuer, w.clock).Caller(t.Context(), auth.Credentials{Bearer: token})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ports.Accounts.Logout(caller.NewContext(t.Context(), who)); err != nil { // nothing relays its event here
		t.Fatal(err)
	}
	p.closes(4403)
	if f := l.fields(); f != nil {
		t.Errorf("the stream has %v", f)
	}
	stays.barrier()
}

// Documents that do not hold are paid for over a socket as over HTTP.
func TestInvalidDocumentCostsAPoint(t *testing.T) {
	t.Parallel()
	const points = 5
	w := newWorld(t)
	w.budgets = quota.New(quota.NewMemory(w.clock, 1000), quota.Options{Account: points, Anonymous: points, InFlight: 100, Clock: w.clock})
	g := w.gateway(t)
	p := g.connect(t, "alice")
	answer := func(i int, query string) string {
		p.subscribe(fmt.Sprint(i), query, "")
		return string(p.hear("error").Payload)
	}
	for i := range points {
		query := []string{`subscription { nothing }`, `subscription {`}[i%2]
		if text := answer(i, query); !strings.Contains(text, `"GRAPHQL_`) {
			t.Errorf("document %d: %s", i, text)
		}
	}
	if text := answer(points, `{ nothing }`); !strings.Contains(text, "RESOURCE_EXHAUSTED") || !strings.Contains(text, "retryAfterMs") {
		t.Errorf("beyond the budget: %s", text)
	}
	request, _ := http.NewRequest(http.MethodPost, g.server.URL+"/graphql", strings.NewReader(`{"query":"{ nothingElse }"}`)) // the URL is valid
	l := g.listen(t, request, "Content-Type", "application/json", "Authorization", "Bearer "+w.token(t, "alice"))
	if f := l.fields(); !strings.Contains(f["data"], "RESOURCE_EXHAUSTED") {
		t.Errorf("over the event stream: %v", f)
	}
}

// faulty panics when an invalid document is charged.
type faulty struct{ admission.Budgets }

func (f faulty) Charge(ctx context.Context, document string, points int) (bff.Budget, error) {
	if strings.Contains(document, "nothing") {
		panic("a fault")
	}
	return f.Budgets.Charge(ctx, document, points)
}

func TestPanicInOneOperationLeavesTheConnectionOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.budgets = faulty{quota.New(quota.NewMemory(w.clock, 1000), quota.Options{Account: 1000, Anonymous: 1000, InFlight: 100, Clock: w.clock})}
	g := w.gateway(t)
	p := g.connect(t, "alice")
	p.subscribe("a", added, "")
	p.subscribe("b", `{ nothing }`, "")
	if m := p.hear("error"); m.ID != "b" || !strings.Contains(string(m.Payload), `"INTERNAL"`) {
		t.Errorf("got %+v", m)
	}
	w.publish(t, note("goes on"))
	if e := p.next("a"); e.title() != "goes on" {
		t.Errorf("got %q", e.title())
	}
}
