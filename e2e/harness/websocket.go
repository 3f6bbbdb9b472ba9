package harness

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// ReadUntilClosed discards frames until the connection ends, and returns the error of the last read.
func ReadUntilClosed(conn *websocket.Conn) error {
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return err
		}
	}
}

// Listener is a WebSocket with two subscriptions: "1" is the test's document, "2" are notes that every caller may
// read.
type Listener struct {
	Conn     *websocket.Conn
	Received []string // without the frames of the notes
}

// Listen connects with the credential, and subscribes to the document with the id and to the notes.
func (p *Program) Listen(t *testing.T, credential, document, id string) *Listener {
	t.Helper()
	conn := p.Dial(t, nil)
	l := &Listener{Conn: conn}
	header := "Authorization"
	switch {
	case strings.HasPrefix(credential, "sluice_"):
		header = "X-API-Key"
	case credential != "":
		credential = "Bearer " + credential
	}
	init, follow := map[string]any{"type": "connection_init"}, map[string]any{"query": document, "variables": Vars{"id": id}}
	if credential != "" {
		init["payload"] = Vars{header: credential}
	}
	notes := map[string]any{"query": `subscription { activityAdded(filter: {kinds: [NOTE]}) { title } }`}
	for _, m := range []any{init, Vars{"id": "1", "type": "subscribe", "payload": follow}, Vars{"id": "2", "type": "subscribe", "payload": notes}, Vars{"type": "ping"}} {
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		l.Send(t, string(text))
	}
	return l
}

// Send writes one text frame.
func (l *Listener) Send(t *testing.T, text string) {
	t.Helper()
	if err := l.Conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// ReadUntilPong reads frames up to the next pong; false if the subscription to the notes was refused before.
func (l *Listener) ReadUntilPong(t *testing.T) (subscribed bool) {
	t.Helper()
	subscribed = true
	for {
		text := l.Next(t)
		switch {
		case strings.Contains(text, `"pong"`):
			return subscribed
		case !strings.Contains(text, `"id":"2"`):
			l.Received = append(l.Received, text)
		case strings.Contains(text, `"error"`):
			subscribed = false
		}
	}
}

// ReadUntilNote reads frames up to the note of the title.
func (l *Listener) ReadUntilNote(t *testing.T, title string) {
	t.Helper()
	for {
		switch text := l.Next(t); {
		case !strings.Contains(text, `"id":"2"`):
			l.Received = append(l.Received, text)
		case strings.Contains(text, title):
			return
		}
	}
}

// Next reads one frame.
func (l *Listener) Next(t *testing.T) string {
	t.Helper()
	_, text, err := l.Conn.ReadMessage()
	if err != nil {
		t.Fatalf("after %q: %v", l.Received, err)
	}
	return string(text)
}
