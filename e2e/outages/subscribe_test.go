package outages

import (
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sluicehq/sluice/e2e/harness"
)

// subscribe sends a subscription on a new connection, and a ping. It returns the frame after connection_ack: an error or
// the pong.
func subscribe(t *testing.T, conn *websocket.Conn, token string) string {
	t.Helper()
	for _, text := range []string{
		`{"type":"connection_init","payload":{"Authorization":"Bearer ` + token + `"}}`,
		`{"id":"1","type":"subscribe","payload":{"query":"subscription { activityAdded { id } }"}}`,
		`{"type":"ping"}`,
	} {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	var message []byte
	for range 2 {
		if err := conn.SetReadDeadline(time.Now().Add(harness.Timeout)); err != nil {
			t.Fatal(err)
		}
		var err error
		if _, message, err = conn.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
	return string(message)
}

// awaitSignIn signs in as ADMIN once the account service responds.
func awaitSignIn(t *testing.T, p *harness.Program) string {
	t.Helper()
	const login = `mutation { login(input: {provider: DEMO, code: "admin"}) { accessToken } }`
	harness.Eventually(t, harness.Timeout, "the account service responds", func() bool {
		return len(p.Execute(t, "", login, nil).Errors) == 0
	})
	return p.SignIn(t, "admin")
}
