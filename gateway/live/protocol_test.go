package live_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sluicehq/sluice/gateway/live"
)

// Every rule of the protocols that ends a connection. A step that begins with "<" is a message that is
// awaited, any other is said.
func TestProtocolErrorClosesTheConnectionWithItsCode(t *testing.T) {
	t.Parallel()
	g := newWorld(t).gateway(t)
	const hello, greeted = `{"type":"connection_init"}`, "<connection_ack"
	mine := `{"type":"connection_init","payload":{"Authorization":"Bearer ` + g.world.token(t, "alice") + `"}}`
	subscribe := `{"id":"a","type":"subscribe","payload":{"query":"subscription { activityAdded { id } }"}}`
	cases := map[string]struct {
		steps []string
		code  int
	}{
		"no JSON":                     {[]string{`hello`}, 4400},
		"no object":                   {[]string{`[]`}, 4400},
		"no type":                     {[]string{`{"id":"a"}`}, 4400},
		"a type of another kind":      {[]string{`{"type":7}`}, 4400},
		"an unknown type":             {[]string{`{"type":"hello"}`}, 4400},
		"a message of the server":     {[]string{hello, greeted, `{"type":"next","id":"a","payload":{}}`}, 4400},
		"a payload that is none":      {[]string{`{"type":"connection_init","payload":7}`}, 4400},
		"subscribe without an id":     {[]string{hello, greeted, `{"type":"subscribe","payload":{"query":"{ viewer { scopes } }"}}`}, 4400},
		"subscribe with an empty id":  {[]string{hello, greeted, `{"id":"","type":"subscribe","payload":{"query":"{ viewer { scopes } }"}}`}, 4400},
		"subscribe with a huge id":    {[]string{hello, greeted, `{"id":"` + strings.Repeat("x", 5000) + `","type":"subscribe","payload":{"query":"{ a }"}}`}, 4400},
		"subscribe without a payload": {[]string{hello, greeted, `{"id":"a","type":"subscribe"}`}, 4400},
		"subscribe without a query":   {[]string{hello, greeted, `{"id":"a","type":"subscribe","payload":{}}`}, 4400},
		"variables that are none":     {[]string{hello, greeted, `{"id":"a","type":"subscribe","payload":{"query":"{ a }","variables":7}}`}, 4400},
		"subscribe before init":       {[]string{subscribe}, 4401},
		"init twice":                  {[]string{hello, greeted, hello}, 4429},
		"init twice at once":          {[]string{hello, hello}, 4429},
		"an id twice":                 {[]string{mine, greeted, subscribe, subscribe}, 4409},
		"a token that does not hold":  {[]string{`{"type":"connection_init","payload":{"Authorization":"Bearer nonsense"}}`}, 4403},
		"a token of another form":     {[]string{`{"type":"connection_init","payload":{"Authorization":"Basic eDp5"}}`}, 4403},
		"a key that does not hold":    {[]string{`{"type":"connection_init","payload":{"apiKey":"sluice_nonsense"}}`}, 4403},
		"a token and a key":           {[]string{`{"type":"connection_init","payload":{"apiKey":"sluice_x","Authorization":"Bearer x"}}`}, 4403},
		"renewal before init":         {[]string{`{"type":"ping","payload":{"Authorization":"Bearer x"}}`}, 4401},
		"renewal that does not hold":  {[]string{mine, greeted, `{"type":"ping","payload":{"Authorization":"Bearer x"}}`}, 4403},
		"renewal as somebody else":    {[]string{mine, greeted, `{"type":"ping","payload":{"Authorization":"Bearer ` + g.world.token(t, "bob") + `"}}`}, 4403},
		"a long unknown type":         {[]string{`{"type":"` + strings.Repeat("😀", 40) + `"}`}, 4400},
		"a text that is no UTF-8":     {[]string{hello, greeted, "{\"type\":\"ping\",\"payload\":{\"a\":\"\xff\"}}"}, 4400},
		"a message that is too large": {[]string{`{"type":"ping","payload":{"x":"` + strings.Repeat("x", 70_000) + `"}}`}, websocket.CloseMessageTooBig},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := g.dial(t, "graphql-transport-ws")
			p.do(c.steps)
			p.closes(c.code)
		})
	}
}

// Frames that no client library sends.
func TestInvalidFrameClosesTheConnection(t *testing.T) {
	t.Parallel()
	g := newWorld(t).gateway(t)
	for name, c := range map[string]struct {
		frame string
		code  int
	}{
		"not masked":             {"\x81\x02{}", websocket.CloseProtocolError},
		"of no kind":             {"\x83\x80abcd", websocket.CloseProtocolError},
		"the middle of none":     {"\x80\x80abcd", websocket.CloseProtocolError},
		"a ping in parts":        {"\x09\x80abcd", websocket.CloseProtocolError},
		"compressed, not agreed": {"\xc1\x80abcd", websocket.CloseProtocolError},
		"binary":                 {"\x82\x80abcd", 4400},
		"of a huge length":       {"\x81\xff\x40\x00\x00\x00\x00\x00\x00\x00abcdx", websocket.CloseMessageTooBig},
		"of a length below zero": {"\x81\xff\x80\x00\x00\x00\x00\x00\x00\x05abcdx", websocket.CloseMessageTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := g.dial(t, "graphql-transport-ws")
			if _, err := p.UnderlyingConn().Write([]byte(c.frame)); err != nil {
				t.Fatal(err)
			}
			p.closes(c.code)
		})
	}
}

func (p *peer) do(steps []string) {
	p.t.Helper()
	for _, step := range steps {
		if kind, awaited := strings.CutPrefix(step, "<"); awaited {
			p.hear(kind)
			continue
		}
		p.say(step)
	}
}

func TestSubprotocolIsNegotiated(t *testing.T) {
	t.Parallel()
	g := newWorld(t).gateway(t)
	for offered, want := range map[string]string{
		"graphql-transport-ws": "graphql-transport-ws", "graphql-ws": "graphql-ws",
		"graphql-ws, graphql-transport-ws": "graphql-transport-ws", "chat, graphql-ws": "graphql-ws",
	} {
		if p := g.dial(t, offered); p.Subprotocol() != want {
			t.Errorf("of %q it took %q", offered, p.Subprotocol())
		}
	}
	for _, offered := range []string{"", "chat"} {
		g.dial(t, offered).closes(4406)
	}
}

func TestUpgradeFromUnknownOriginIsRefused(t *testing.T) {
	t.Parallel()
	g := newWorld(t).gateway(t)
	for origin, want := range map[string]int{
		"https://app.test": http.StatusSwitchingProtocols, g.server.URL: http.StatusSwitchingProtocols,
		"https://evil.test": http.StatusForbidden, "null": http.StatusForbidden,
	} {
		dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}}
		conn, response, err := dialer.Dial(g.url(), http.Header{"Origin": {origin}})
		if err == nil {
			_ = conn.Close()
		}
		if response == nil || response.StatusCode != want {
			t.Errorf("%s: %+v, %v", origin, response, err)
		}
	}
}

func TestInvalidUpgradeIsRefused(t *testing.T) {
	t.Parallel()
	g := newWorld(t).gateway(t)
	for name, c := range map[string]struct {
		method string
		header http.Header
		status int
		reason string
	}{
		"by POST":             {http.MethodPost, http.Header{"Content-Type": {"application/json"}}, 405, "METHOD_NOT_ALLOWED"},
		"of another version":  {http.MethodGet, http.Header{"Sec-Websocket-Version": {"8"}}, 400, "REQUEST_MALFORMED"},
		"with a key of none":  {http.MethodGet, http.Header{"Sec-Websocket-Key": {"x"}}, 400, "REQUEST_MALFORMED"},
		"by a page elsewhere": {http.MethodGet, http.Header{"Origin": {"https://evil.test"}}, 403, "CROSS_SITE_REFUSED"},
	} {
		request, _ := http.NewRequest(c.method, g.server.URL+"/graphql", nil) // the URL reads
		request.Header = http.Header{
			"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		}
		maps.Copy(request.Header, c.header)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != c.status || !strings.Contains(string(text), `"reason":"`+c.reason+`"`) {
			t.Errorf("%s: %d %s", name, response.StatusCode, text)
		}
	}
}

func TestConnectionWithoutInitIsClosedAfterTimeout(t *testing.T) {
	t.Parallel()
	g := newWorld(t).gateway(t, func(s *live.Settings) { s.InitTimeout = 10 * time.Millisecond })
	g.dial(t, "graphql-transport-ws").closes(4408)
}

func TestIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	g := newWorld(t).gateway(t, func(s *live.Settings) { s.IdleTimeout, s.KeepAlive = 10*time.Second, 2*time.Second })
	answers, silent := g.connect(t, "alice"), g.connect(t, "bob")
	pings := make(chan struct{}, 100)
	answers.SetPingHandler(func(payload string) error {
		pings <- struct{}{}
		return answers.WriteControl(websocket.PongMessage, []byte(payload), time.Now().Add(soon))
	})
	silent.SetPingHandler(func(string) error { return nil })
	ended := make(chan error, 1)
	go func() {
		_, _, err := answers.ReadMessage() // answers pings until the connection ends
		ended <- err
	}()
	silent.closes(websocket.CloseGoingAway)
	for range 3 {
		select {
		case <-pings:
		case err := <-ended:
			t.Fatalf("who answers was cut off too: %v", err)
		}
	}
}

func TestPingReturnsPongAndRenewsCredentials(t *testing.T) {
	t.Parallel()
	g := newWorld(t).gateway(t)
	p := g.connect(t, "alice")
	p.say(`{"type":"ping","payload":{"x":1}}`)
	if m := p.hear("pong"); string(m.Payload) != `{"x":1}` {
		t.Errorf("pong with %s", m.Payload)
	}
	p.say(`{"type":"pong"}`)
	g.world.clock.Advance(10 * time.Minute)
	p.say(`{"type":"ping","payload":{"authorization":"Bearer ` + g.world.token(t, "alice") + `"}}`)
	if m := p.hear("pong"); !strings.Contains(string(m.Payload), "expiresAt") {
		t.Errorf("pong with %s", m.Payload)
	}
	g.world.clock.Advance(10 * time.Minute) // past the end of the first token, not of the second
	stale := g.dial(t, "graphql-transport-ws")
	stale.say(`{"type":"connection_init"}`)
	stale.hear("connection_ack")
	<-time.After(2500 * time.Millisecond) // two looks of the shard
	p.barrier()
	g.world.clock.Advance(10 * time.Minute)
	p.closes(4403)
}

func TestConnectionOfRevokedSessionIsClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t)
	token := w.token(t, "alice")
	p, other := g.connectWith(t, token), g.connect(t, "alice")
	w.end(t, token)
	p.closes(4403)
	other.barrier()
}

func TestQueriesAndMutationsRunOverWebSocket(t *testing.T) {
	t.Parallel()
	g := newWorld(t).gateway(t)
	p := g.connect(t, "alice")
	p.subscribe("q", `{ viewer { scopes } }`, "")
	if m := p.hear("next"); m.ID != "q" || !strings.Contains(string(m.Payload), `{"data":{"viewer":{"scopes":["account:read"`) {
		t.Errorf("got %+v", m)
	}
	if m := p.hear("complete"); m.ID != "q" {
		t.Errorf("complete of %q", m.ID)
	}
	p.subscribe("m", `mutation { logout }`, "")
	p.hear("next")
	p.hear("complete")
	p.subscribe("s", added, "")
	p.say(`{"type":"complete","id":"s"}`)
	p.say(`{"type":"complete","id":"never seen"}`)
	p.barrier()
	witness := g.connect(t, "bob")
	witness.subscribe("w", added, "")
	witness.barrier()
	g.eventually(t, "subscriptions", 1)
	g.world.publish(t, note("unheard"))
	witness.next("w")           // it has passed
	p.subscribe("s", added, "") // the id is free again
	p.barrier()
	g.eventually(t, "subscriptions", 2)
	g.world.publish(t, note("heard"))
	if e := p.next("s"); e.title() != "heard" {
		t.Errorf("got %q", e.title())
	}
}

func TestInvalidOperationReturnsError(t *testing.T) {
	t.Parallel()
	g := newWorld(t).gateway(t)
	for name, c := range map[string]struct{ who, query, code string }{
		"a document that does not read":  {"alice", `subscription {`, "GRAPHQL_PARSE_FAILED"},
		"a field that there is not":      {"alice", `subscription { nothing }`, "GRAPHQL_VALIDATION_FAILED"},
		"one field twice":                {"alice", `subscription { a: activityAdded { id } b: activityAdded { id } }`, "GRAPHQL_VALIDATION_FAILED"},
		"no field":                       {"alice", `subscription { activityAdded @skip(if: true) { id } }`, "GRAPHQL_VALIDATION_FAILED"},
		"an operation that is not there": {"alice", `subscription A { activityAdded { id } } query B { __typename }`, "GRAPHQL_VALIDATION_FAILED"},
		"two fields":                     {"alice", `subscription { activityAdded { id } deviceChanged { id } }`, "GRAPHQL_VALIDATION_FAILED"},
		"a scope that is missing":        {"alice", `subscription { jobChanged { id } }`, "PERMISSION_DENIED"},
		"nobody":                         {"", added, "UNAUTHENTICATED"},
		"a cone that is none":            {"alice", `subscription { activityAdded(filter: {cone: {rightAscension: 400, declination: 0, radius: 1}}) { id } }`, "INVALID_ARGUMENT"},
		"a device that is none":          {"alice", `subscription { activityAdded(filter: {deviceId: "x"}) { id } }`, "INVALID_ARGUMENT"},
		"an account that is none":        {"alice", `subscription { activityAdded(filter: {accountId: "x"}) { id } }`, "INVALID_ARGUMENT"},
		"a job's device that is none":    {"operator", `subscription { jobChanged(filter: {deviceId: "x"}) { id } }`, "INVALID_ARGUMENT"},
		"an id that is none":             {"alice", `subscription { tripChanged(id: "x") { id } }`, "INVALID_ARGUMENT"},
		"labels that are none":           {"alice", `subscription { deviceChanged(filter: {labels: [1]}) { id } }`, "INVALID_ARGUMENT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := g.dial(t, "graphql-transport-ws")
			hello := `{"type":"connection_init"}`
			if c.who != "" {
				hello = `{"type":"connection_init","payload":{"Authorization":"Bearer ` + g.world.token(t, c.who) + `"}}`
			}
			p.do([]string{hello, "<connection_ack"})
			p.subscribe("a", c.query, "")
			if m := p.hear("error"); m.ID != "a" || !strings.Contains(string(m.Payload), `"code":"`+c.code+`"`) || m.Payload[0] != '[' {
				t.Errorf("got %s", m.Payload)
			}
			p.barrier() // the connection goes on
		})
	}
}

func TestRequestBeyondALimitReturnsItsReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t, func(s *live.Settings) { s.MaxSubscriptions, s.MaxConnections, s.MaxTotal = 3, 2, 4 })
	p := g.connect(t, "alice")
	for i := range 3 {
		p.subscribe(fmt.Sprint(i), added, "")
	}
	p.subscribe("one too many", added, "")
	if m := p.hear("error"); !strings.Contains(string(m.Payload), "TOO_MANY_SUBSCRIPTIONS") {
		t.Errorf("got %s", m.Payload)
	}
	g.connect(t, "alice")
	third := g.dial(t, "graphql-transport-ws")
	third.say(`{"type":"connection_init","payload":{"Authorization":"Bearer ` + w.token(t, "alice") + `"}}`)
	third.closes(websocket.CloseTryAgainLater)
	g.eventually(t, "connections", 2)
	g.connect(t, "bob")
	g.connect(t, "bob")
	_, response, err := (&websocket.Dialer{}).Dial(g.url(), nil)
	if err == nil || response.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a connection beyond the limit: %v, %+v", err, response)
	}
}

func TestLegacyProtocolRunsSubscriptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t)
	p := g.dial(t, "graphql-ws")
	p.do([]string{`{"type":"connection_init","payload":{"Authorization":"Bearer ` + w.token(t, "alice") + `"}}`, "<connection_ack", "<ka"})
	p.say(`{"type":"start","id":"1","payload":{"query":"subscription { activityAdded { title } }"}}`)
	p.say(`{"type":"start","id":"2","payload":{"query":"{ nothing }"}}`)
	if m := p.hear("error"); m.ID != "2" || m.Payload[0] != '{' {
		t.Errorf("got %s", m.Payload)
	}
	w.publish(t, note("x"))
	if m := p.hear("data"); m.ID != "1" || decodeEvent(t, m.Payload).title() != "x" {
		t.Errorf("got %+v", m)
	}
	p.do([]string{`{"type":"stop","id":"1"}`, "<complete", `{"type":"connection_terminate"}`})
	p.closes(websocket.CloseNormalClosure)
	refused := g.dial(t, "graphql-ws")
	refused.do([]string{`{"type":"connection_init","payload":{"Authorization":"Bearer x"}}`, "<connection_error"})
	refused.closes(4403)
}

func TestEveryOperationEndsOnce(t *testing.T) {
	t.Parallel()
	g := newWorld(t).gateway(t)
	for range 5 {
		p := g.connect(t, "alice")
		for i := range 4 {
			p.subscribe(fmt.Sprint(i), added, "")
		}
		p.say(`{"type":"complete","id":"2"}`)
		p.barrier()
		_ = p.Close()
	}
	g.eventually(t, "connections", 0)
	for begun, ended := range map[string]string{"subscriptions_started_total": "subscriptions_ended_total", "connections_opened_total": "connections_closed_total"} {
		if b, e := g.metric(t, begun), g.metric(t, ended); b == 0 || b != e {
			t.Errorf("%v %s, %v %s", b, begun, e, ended)
		}
	}
	if n := g.metric(t, "groups"); n != 0 {
		t.Errorf("%v groups are left", n)
	}
}
