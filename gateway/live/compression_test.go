package live_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/sluicehq/sluice/gateway/live"
)

func TestCompressionIsNegotiatedAndDecompressionIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, on := range map[string]bool{"on": true, "off": false} {
		t.Run(name, func(t *testing.T) {
			g := w.gateway(t, func(s *live.Settings) { s.Compression = on })
			dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}, EnableCompression: true}
			conn, response, err := dialer.Dial(g.url(), http.Header{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			if agreed := response.Header.Get("Sec-WebSocket-Extensions") != ""; agreed != on {
				t.Errorf("agreed: %v", agreed)
			}
			p := &peer{Conn: conn, t: t}
			p.say(`{"type":"connection_init","payload":{"Authorization":"Bearer ` + w.token(t, "alice") + `"}}`)
			p.hear("connection_ack")
			p.subscribe("a", added, "")
			p.barrier()
			for i := range 3 {
				title := fmt.Sprint(i, strings.Repeat("x", 3000))
				w.publish(t, note(title))
				if e := p.next("a"); e.title() != title {
					t.Errorf("got %.20q", e.title())
				}
			}
			p.say(`{"type":"ping","payload":{"bomb":"` + strings.Repeat("x", 70_000) + `"}}`)
			p.closes(websocket.CloseMessageTooBig)
		})
	}
}
