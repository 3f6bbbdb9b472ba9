package harness

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

func ReadUntilClosed(conn *websocket.Conn) error {
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return err
		}
	}
}

// Listener is a WebSocket that follows a probe, as "1", and notes that everybody hears, as "2".
type Listener struct {
	Conn     *websocket.Conn
	Received []string // but for the notes
}

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

func (l *Listener) Send(t *testing.T, text string) {
	t.Helper()
	if err := l.Conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// ReadUntilPong tells whether the notes are followed, as far as is known.
func (l *Listener) ReadUntilPong(t *testing.T) (hears bool) {
	t.Helper()
	hears = true
	for {
		text := l.Next(t)
		switch {
		case strings.Contains(text, `"pong"`):
			return hears
		case !strings.Contains(text, `"id":"2"`):
			l.Received = append(l.Received, text)
		case strings.Contains(text, `"error"`):
			hears = false
		}
	}
}

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

func (l *Listener) Next(t *testing.T) string {
	t.Helper()
	_, text, err := l.Conn.ReadMessage()
	if err != nil {
		t.Fatalf("after %q: %v", l.Received, err)
	}
	return string(text)
}
