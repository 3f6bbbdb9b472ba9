package subscriptions

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/sluicehq/sluice/e2e/harness"
)

// A client that is told to go by a program that ends comes back to the next one with its cursor, and
// misses nothing of what happened meanwhile.
func TestSubscribersResumeAfterRestart(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := harness.Start(t, harness.DemoArgs(data)...)
	token := p.SignIn(t, "alice")
	conn := subscribeNotes(t, p, token, "")
	recordNote(t, p, token, "before")
	_, cursor := heard(t, conn, "before")
	recordNote(t, p, token, "unseen") // committed, and perhaps on its way
	told := make(chan error, 1)
	go func() { told <- harness.ReadUntilClosed(conn) }()
	p.StopCleanly(t)
	if err := <-told; !websocket.IsCloseError(err, websocket.CloseServiceRestart) {
		t.Errorf("the subscriber was left with %v", err)
	}
	p = harness.Start(t, harness.DemoArgs(data)...)
	token = p.SignIn(t, "alice")
	recordNote(t, p, token, "after")
	again := subscribeNotes(t, p, token, cursor)
	for _, want := range []string{"unseen", "after"} {
		heard(t, again, want)
	}
}

func recordNote(t *testing.T, p *harness.Program, token, title string) {
	t.Helper()
	const record = `mutation($title: String!) { recordActivity(input: {kind: NOTE, title: $title}) { id } }`
	harness.Query[struct{ RecordActivity struct{ ID string } }](t, p, token, record, harness.Vars{"title": title})
}

// follow subscribes to notes, after the cursor when there is one.
func subscribeNotes(t *testing.T, p *harness.Program, token, cursor string) *websocket.Conn {
	t.Helper()
	conn := p.Dial(t, nil)
	extensions := "{}"
	if cursor != "" {
		extensions = `{"after":"` + cursor + `"}`
	}
	for _, text := range []string{
		`{"type":"connection_init","payload":{"Authorization":"Bearer ` + token + `"}}`,
		`{"id":"1","type":"subscribe","payload":{"query":"subscription { activityAdded(filter: {kinds: [NOTE]}) { title } }","extensions":` + extensions + `}}`,
		`{"type":"ping"}`,
	} {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for cursor == "" { // its events may come before the pong
		_, text, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), `"pong"`) {
			break
		}
	}
	return conn
}

// heard wants the next event to be of the title.
func heard(t *testing.T, conn *websocket.Conn, want string) (title, cursor string) {
	t.Helper()
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			t.Fatalf("waiting for %q: %v", want, err)
		}
		var m struct {
			Type    string
			Payload struct {
				Data       struct{ ActivityAdded struct{ Title string } }
				Extensions struct{ Cursor string }
			}
		}
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		if m.Type != "next" {
			continue
		}
		if m.Payload.Data.ActivityAdded.Title != want {
			t.Fatalf("got %s, want %q", text, want)
		}
		return want, m.Payload.Extensions.Cursor
	}
}
