package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sluicehq/sluice/internal/ids"
)

// Whoever follows what is another's hears exactly what it would hear of what there is not: the same
// frames, the same end, over WebSocket and as an event stream, also while it changes.
func TestNobodyHearsWhatExists(t *testing.T) {
	t.Parallel()
	p := start(t, serveDemo(t.TempDir())...)
	admin, bob := p.signIn(t, "admin"), p.signIn(t, "bob")
	for _, who := range strangers(t, p, admin) {
		foreign := foreignEntities(t, p, admin, bob)
		for i, probe := range heardOf() {
			if !slices.Contains(who.blindTo, probe.kind) {
				continue
			}
			t.Run(who.name+"/"+probe.document, func(t *testing.T) {
				goesOn := func() { p.goesOn(t, admin, bob, foreign, 10*i+1) }
				theirs := p.overheard(t, who.credential, probe.document, foreign[probe.kind], goesOn)
				nothing := p.overheard(t, who.credential, probe.document, ids.New(probe.kind), goesOn)
				if theirs != nothing {
					t.Errorf("of what is another's is heard\n%s\nand of what there is not\n%s", theirs, nothing)
				}
			})
		}
	}
}

// goesOn has something happen to all that is another's.
func (p *program) goesOn(t *testing.T, admin, bob string, foreign map[ids.Kind]string, seed int) {
	t.Helper()
	const move = `mutation($id: ID!, $n: Float!) { reportPosition(tripId: $id, position: {latitude: $n, longitude: 1}) { id } }`
	ask[any](t, p, bob, move, vars{"id": foreign[ids.Trip], "n": 1 + float64(seed)/10_000})
	ask[any](t, p, bob, `mutation { recordActivity(input: {kind: NOTE, title: "bob's"}) { id } }`, nil)
	ask[any](t, p, admin, `mutation($job: ID!, $device: ID!, $name: String!) {
		updateJob(input: {id: $job, name: $name}) { id }
		updateDevice(input: {id: $device, name: $name}) { id }
		recordActivity(input: {kind: NOTE, title: "of the device", deviceId: $device}) { id }
	}`, vars{"job": foreign[ids.Job], "device": foreign[ids.Device], "name": fmt.Sprint("name ", time.Now().UnixNano())})
}

// listener is a WebSocket that follows a probe, as "1", and notes that everybody hears, as "2".
type listener struct {
	conn  *websocket.Conn
	heard []string // but for the notes
}

// overheard is all that is heard of the id, over both ways, while something happens.
func (p *program) overheard(t *testing.T, credential, document, id string, goesOn func()) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream := p.streamed(ctx, t, credential, document, id)
	l := p.listen(t, credential, document, id)
	hears := l.untilPong(t)
	goesOn()
	if hears {
		title := "all hear " + id
		ask[any](t, p, p.signIn(t, "admin"), `mutation($t: String!) { recordActivity(input: {kind: NOTE, title: $t, public: true}) { id } }`, vars{"t": title})
		l.untilNote(t, title) // events come in order: whatever came before it was heard
	}
	l.say(t, `{"id":"1","type":"complete"}`)
	l.say(t, `{"type":"ping"}`)
	l.untilPong(t)
	l.say(t, `{"id":"1","type":"complete"}{`) // which ends the connection
	cancel()
	whole := strings.Join(l.heard, "\n") + "\n" + untilClosed(l.conn).Error() + "\n" + <-stream
	return passing.ReplaceAllString(strings.ReplaceAll(whole, id, "ID"), "…")
}

func (p *program) listen(t *testing.T, credential, document, id string) *listener {
	t.Helper()
	conn := p.dial(t, nil)
	l := &listener{conn: conn}
	header := "Authorization"
	switch {
	case strings.HasPrefix(credential, "sluice_"):
		header = "X-API-Key"
	case credential != "":
		credential = "Bearer " + credential
	}
	init, follow := map[string]any{"type": "connection_init"}, map[string]any{"query": document, "variables": vars{"id": id}}
	if credential != "" {
		init["payload"] = vars{header: credential}
	}
	notes := map[string]any{"query": `subscription { activityAdded(filter: {kinds: [NOTE]}) { title } }`}
	for _, m := range []any{init, vars{"id": "1", "type": "subscribe", "payload": follow}, vars{"id": "2", "type": "subscribe", "payload": notes}, vars{"type": "ping"}} {
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		l.say(t, string(text))
	}
	return l
}

func (l *listener) say(t *testing.T, text string) {
	t.Helper()
	if err := l.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// untilPong tells whether the notes are followed, as far as is known.
func (l *listener) untilPong(t *testing.T) (hears bool) {
	t.Helper()
	hears = true
	for {
		text := l.next(t)
		switch {
		case strings.Contains(text, `"pong"`):
			return hears
		case !strings.Contains(text, `"id":"2"`):
			l.heard = append(l.heard, text)
		case strings.Contains(text, `"error"`):
			hears = false
		}
	}
}

func (l *listener) untilNote(t *testing.T, title string) {
	t.Helper()
	for {
		switch text := l.next(t); {
		case !strings.Contains(text, `"id":"2"`):
			l.heard = append(l.heard, text)
		case strings.Contains(text, title):
			return
		}
	}
}

func (l *listener) next(t *testing.T) string {
	t.Helper()
	_, text, err := l.conn.ReadMessage()
	if err != nil {
		t.Fatalf("after %q: %v", l.heard, err)
	}
	return string(text)
}

// streamed follows the probe as an event stream, and gives what came, without heartbeats, when ctx ends.
func (p *program) streamed(ctx context.Context, t *testing.T, credential, document, id string) <-chan string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": document, "variables": vars{"id": id}})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"text/event-stream"}}
	if strings.HasPrefix(credential, "sluice_") {
		request.Header.Set("X-API-Key", credential)
	} else if credential != "" {
		request.Header.Set("Authorization", "Bearer "+credential)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"X-Request-Id", "Date"} {
		response.Header.Del(name)
	}
	came := make(chan string, 1)
	go func() {
		defer func() { _ = response.Body.Close() }()
		var text bytes.Buffer
		fmt.Fprintln(&text, response.Status)
		_ = response.Header.Write(&text) // a buffer takes everything
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			if line := lines.Text(); line != "" && !strings.HasPrefix(line, ":") {
				fmt.Fprintln(&text, line)
			}
		}
		came <- text.String()
	}()
	return came
}
