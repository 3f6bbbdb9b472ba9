package live_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/gateway/live"
)

// listener reads an event stream.
type listener struct {
	t      testing.TB
	lines  *bufio.Scanner
	status int
	body   io.ReadCloser
	cancel context.CancelFunc
}

func (g *gateway) listen(t testing.TB, request *http.Request, headers ...string) *listener {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	t.Cleanup(cancel)
	request.Header.Set("Accept", "text/event-stream")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return &listener{t: t, lines: bufio.NewScanner(response.Body), status: response.StatusCode, body: response.Body, cancel: cancel}
}

func (g *gateway) get(query string, more ...string) *http.Request {
	values := url.Values{"query": {query}}
	for i := 0; i < len(more); i += 2 {
		values.Set(more[i], more[i+1])
	}
	request, _ := http.NewRequest(http.MethodGet, g.server.URL+"/graphql?"+values.Encode(), nil) // the URL reads
	return request
}

// fields reads the next event, comments and mere ids left out; nil at the end.
func (l *listener) fields() map[string]string {
	found := map[string]string{}
	for l.lines.Scan() {
		line := l.lines.Text()
		if line == "" && found["event"] != "" {
			return found
		}
		if name, value, ok := strings.Cut(line, ":"); ok && name != "" {
			found[name] = strings.TrimPrefix(value, " ")
		}
	}
	return nil
}

func (l *listener) next() event {
	l.t.Helper()
	f := l.fields()
	if f["event"] != "next" {
		l.t.Fatalf("got %v", f)
	}
	e := decodeEvent(l.t, []byte(f["data"]))
	if f["id"] != e.Extensions.Cursor {
		l.t.Errorf("id %q, cursor %q", f["id"], e.Extensions.Cursor)
	}
	return e
}

func TestEventStreamResumesFromItsLastID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t)
	bearer := "Bearer " + w.token(t, "alice")
	l := g.listen(t, g.get(added), "Authorization", bearer)
	g.eventually(t, "subscriptions", 1)
	w.publish(t, note("one"), note("two"))
	if e := l.next(); e.title() != "one" {
		t.Errorf("got %+v", e)
	}
	e := l.next()
	l.cancel()
	w.publish(t, note("three"))
	for name, again := range map[string]*listener{
		"Last-Event-ID":    g.listen(t, g.get(added), "Authorization", bearer, "Last-Event-ID", e.Extensions.Cursor),
		"extensions.after": g.listen(t, g.get(added, "extensions", `{"after":"`+e.Extensions.Cursor+`"}`), "Authorization", bearer),
		"access_token":     g.listen(t, g.get(added, "access_token", w.token(t, "alice")), "Last-Event-ID", e.Extensions.Cursor),
	} {
		if e := again.next(); e.title() != "three" {
			t.Errorf("%s: got %+v", name, e)
		}
		again.cancel()
	}
	g.eventually(t, "connections", 0)
}

// Who was connected, and cut off before there was an event, has a cursor of that moment.
func TestClientWithoutEventsResumesFromItsFirstCursor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t)
	w.publish(t, note("before"))
	p := g.dial(t, "graphql-transport-ws")
	g.eventually(t, "events_total", 1)
	p.say(`{"type":"connection_init","payload":{"Authorization":"Bearer ` + w.cachedToken(t) + `"}}`)
	var ack struct{ Cursor string }
	if err := json.Unmarshal(p.hear("connection_ack").Payload, &ack); err != nil {
		t.Fatal(err)
	}
	l := g.listen(t, g.get(added), "Authorization", "Bearer "+w.cachedToken(t))
	if !l.lines.Scan() || !strings.HasPrefix(l.lines.Text(), "id: ") {
		t.Fatalf("the stream begins with %q", l.lines.Text())
	}
	last := strings.TrimPrefix(l.lines.Text(), "id: ")
	l.cancel()
	_ = p.Close()
	w.publish(t, note("after"))
	again := g.connectWith(t, w.cachedToken(t))
	again.subscribe("a", added, `{"after":"`+ack.Cursor+`"}`)
	if e := again.next("a"); e.title() != "after" {
		t.Errorf("over the WebSocket: %+v", e)
	}
	if e := g.listen(t, g.get(added), "Authorization", "Bearer "+w.cachedToken(t), "Last-Event-ID", last).next(); e.title() != "after" {
		t.Errorf("over the event stream: %+v", e)
	}
}

func TestEventStreamOfQueryCompletes(t *testing.T) {
	t.Parallel()
	g := newWorld(t).gateway(t)
	for query, want := range map[string]string{`{ __typename }`: `"data":{"__typename":"Query"}`, `{ nothing }`: "GRAPHQL_VALIDATION_FAILED", added: "UNAUTHENTICATED"} {
		request, _ := http.NewRequest(http.MethodPost, g.server.URL+"/graphql", strings.NewReader(`{"query":"`+query+`"}`)) // the URL reads
		l := g.listen(t, request, "Content-Type", "application/json")
		first, second := l.fields(), l.fields()
		if l.status != 200 || first["event"] != "next" || !strings.Contains(first["data"], want) || second["event"] != "complete" || l.fields() != nil {
			t.Errorf("%s: %d, %v, %v", query, l.status, first, second)
		}
	}
}

func TestAcceptHeaderSelectsEventStream(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"text/event-stream": true, "Text/Event-Stream; charset=utf-8": true, "application/json;q=0.9, text/event-stream": true,
		"text/event-stream, application/json": true, "text/html, text/event-stream;q=0.9, */*;q=0.8": true,
		"application/graphql-response+json, application/json, text/event-stream, multipart/mixed": false,
		"application/json, text/event-stream;q=0.1":                                               false, "*/*, text/event-stream;q=0.1": false,
		"": false, "*/*": false, "application/json": false, "application/json, text/event-stream;q=0": false, "text/event-stream;q=many": false,
	} {
		r, _ := http.NewRequest(http.MethodGet, "/graphql", nil) // the URL reads
		r.Header["Accept"] = strings.Split(accept, ", ")         // each in a line of its own
		if live.IsEventStream(r) != want {
			t.Errorf("%q: want %v", accept, want)
		}
	}
}

func TestEventStreamOfInvalidRequestIsRefused(t *testing.T) {
	t.Parallel()
	g := newWorld(t).gateway(t)
	bearer := "Bearer " + g.world.token(t, "alice")
	for name, c := range map[string]struct {
		request *http.Request
		headers []string
		status  int
	}{
		"no query":              {g.get(""), nil, 400},
		"a cursor that is none": {g.get(added), []string{"Last-Event-ID", "x", "Authorization", bearer}, 400},
		"a token twice":         {g.get(added, "access_token", "x"), []string{"Authorization", bearer}, 401},
		"a bad token":           {g.get(added, "access_token", "x"), nil, 401},
		"a mutation by GET":     {g.get(`mutation { logout }`), []string{"Authorization", bearer}, 405},
	} {
		if l := g.listen(t, c.request, c.headers...); l.status != c.status {
			t.Errorf("%s: %d, want %d", name, l.status, c.status)
		}
	}
}

func TestEventStreamIsKeptAliveAndDrained(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.open(t, func(s *live.Settings) { s.KeepAlive = 20 * time.Millisecond })
	defer g.server.Close()
	l := g.listen(t, g.get(added), "Authorization", "Bearer "+w.token(t, "alice"))
	var comments []string
	for len(comments) < 4 && l.lines.Scan() {
		if text := l.lines.Text(); text != "" && !strings.HasPrefix(text, "id: ") {
			comments = append(comments, text)
		}
	}
	if !slices.Equal(comments, []string{":", ":", ":", ":"}) {
		t.Errorf("got %v", comments)
	}
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	if err := g.hub.Close(ctx); err != nil {
		t.Error(err)
	}
	if f := l.fields(); f != nil {
		t.Errorf("after the end came %v", f)
	}
}
