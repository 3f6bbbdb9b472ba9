package live_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sluicehq/sluice/gateway/live"
)

// Ten thousand subscriptions on one connection: those beyond the limit are refused one by one.
func TestSubscriptionsBeyondTheLimitAreRefusedOneByOne(t *testing.T) {
	t.Parallel()
	const many = 10_000
	w := newWorld(t)
	g := w.gateway(t, func(s *live.Settings) { s.MaxSubscriptions = 20 })
	p := g.connectWith(t, w.cachedToken(t))
	for i := range many {
		p.subscribe(fmt.Sprint(i), added, "")
		if i < 20 {
			continue
		}
		if m := p.hear("error"); m.ID != fmt.Sprint(i) || !strings.Contains(string(m.Payload), "TOO_MANY_SUBSCRIPTIONS") {
			t.Fatalf("got %+v", m)
		}
	}
	if n := g.metric(t, "subscriptions"); n != 20 {
		t.Errorf("%v subscriptions", n)
	}
	p.barrier()
	_ = p.Close()
	g.eventually(t, "connections", 0)
}

// Bytes that are no messages, and no frames even, end the connection with a code, or by its client's
// going, and nothing is left of it.
func TestRandomBytesCloseTheConnectionAndLeakNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t)
	random := rand.New(rand.NewPCG(1, 2))
	noise := func() []byte {
		b := make([]byte, 1+random.IntN(300))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	for i := range 60 {
		p := g.dial(t, "graphql-transport-ws")
		var allowed []int
		switch i % 3 {
		case 0:
			allowed = []int{4400}
			_ = p.WriteMessage(websocket.TextMessage, noise())
		case 1:
			allowed = []int{4400}
			_ = p.WriteMessage(websocket.BinaryMessage, noise())
		case 2:
			allowed = []int{websocket.CloseProtocolError, websocket.CloseMessageTooBig, websocket.CloseNoStatusReceived, 4400}
			_, _ = p.NetConn().Write(noise())
			_ = p.NetConn().(*net.TCPConn).CloseWrite() // a frame that was begun does not go on
		}
		_ = p.SetReadDeadline(time.Now().Add(soon))
		_, _, err := p.ReadMessage()
		if ended, ok := errors.AsType[*websocket.CloseError](err); ok && ended.Code != websocket.CloseAbnormalClosure && !slices.Contains(allowed, ended.Code) {
			t.Errorf("round %d ended with %v", i, err)
		} else if i%3 != 2 && !ok {
			t.Errorf("round %d ended with %v", i, err)
		}
		_ = p.Close()
	}
	g.eventually(t, "connections", 0)
	if opened, closed := g.metric(t, "connections_opened_total"), g.metric(t, "connections_closed_total"); opened != 60 || closed != 60 {
		t.Errorf("%v opened, %v closed", opened, closed)
	}
}
