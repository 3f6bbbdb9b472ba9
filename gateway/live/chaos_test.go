package live_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sluicehq/sluice/gateway/live"
	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/testserver"
)

// Clients that are cut at random, and gateways that are killed and started again at random, before one
// NATS: in the end every client has the whole sequence, once each and in order.
func TestClientsAmongRandomCutsAndKillsReceiveEveryEventOnce(t *testing.T) {
	t.Parallel()
	const rate = 50 // events a second
	clients, lasting := 40, 5*time.Second
	if os.Getenv("SLUICE_TEST_REQUIRE") != "" {
		clients, lasting = 200, 60*time.Second
	}
	c := &chaos{t: t, stop: make(chan struct{})}
	url := testserver.StartNATS(t).URL()
	for i := range c.gateways {
		c.gateways[i] = &unsteady{world: remoteWorld(t, url)}
		c.gateways[i].start(t)
	}
	events := int64(lasting.Seconds() * rate)
	c.last.Store(events)
	var all, chaotic sync.WaitGroup
	ready := make(chan struct{}, clients)
	for i := range clients {
		all.Go(func() { c.follow(i, ready) })
	}
	for range clients {
		<-ready
	}
	for _, g := range c.gateways {
		chaotic.Go(func() { c.killNowAndThen(g) })
	}
	c.publish(events, rate)
	close(c.stop)
	chaotic.Wait()
	all.Wait()
	t.Logf("%d clients, %d events, %d cuts, %d kills", clients, events, c.cuts.Load(), c.kills.Load())
	if c.cuts.Load() == 0 || c.kills.Load() == 0 {
		t.Error("nothing was cut or killed: the test proves nothing")
	}
	for _, g := range c.gateways {
		g.current.Load().close(t)
	}
}

type chaos struct {
	t           *testing.T
	gateways    [2]*unsteady
	stop        chan struct{} // closed when there is no more chaos
	last        atomic.Int64  // the number of the last event
	cuts, kills atomic.Int64
}

// unsteady is a gateway that is now there and now not.
type unsteady struct {
	world   *world
	current atomic.Pointer[gateway]
}

// remoteWorld has a connection of its own to the broker.
func remoteWorld(t *testing.T, url string) *world {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Options{URL: url, EventsMaxBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(t.Context()) })
	return worldOn(t, b)
}

func (u *unsteady) start(t *testing.T) {
	u.current.Store(u.world.open(t, func(s *live.Settings) { s.DrainTime, s.History = 0, 50 }))
}

// kill ends the gateway as a crash does: its connections are gone, without a word.
func (u *unsteady) kill(t *testing.T) {
	g := u.current.Load()
	g.server.Listener.Close()
	g.hub.Abort()
	g.server.Close()
}

func (c *chaos) killNowAndThen(u *unsteady) {
	for {
		select {
		case <-c.stop:
			return
		case <-time.After(time.Duration(500+rand.IntN(1500)) * time.Millisecond):
		}
		u.kill(c.t)
		c.kills.Add(1)
		<-time.After(time.Duration(rand.IntN(300)) * time.Millisecond) // while it is away
		u.start(c.t)
	}
}

func (c *chaos) publish(events int64, rate int) {
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for i := int64(1); i <= events; i++ {
		<-tick.C
		c.gateways[0].world.publish(c.t, numbered(int(i)))
	}
}

// follow subscribes, and again with the last cursor whenever the connection has ended, until it has
// seen the last event.
func (c *chaos) follow(i int, ready chan<- struct{}) {
	seen, cursor := int64(0), ""
	var deadline time.Time // once all is published
	for n := i; seen < c.last.Load(); n++ {
		select {
		case <-c.stop:
			if deadline.IsZero() {
				deadline = time.Now().Add(3 * soon)
			} else if time.Now().After(deadline) {
				c.t.Errorf("client %d has seen %d of %d", i, seen, c.last.Load())
				return
			}
		default:
		}
		conn := c.join(n, &cursor)
		if conn == nil {
			<-time.After(20 * time.Millisecond) // nobody is there
			continue
		}
		if ready != nil {
			ready <- struct{}{}
			ready = nil
		}
		until := time.Now().Add(time.Duration(200+rand.IntN(3000)) * time.Millisecond)
		if !c.read(conn, until, &seen, &cursor) {
			return
		}
		_ = conn.Close()
		c.cuts.Add(1)
	}
}

// join is nil when the gateway is not there. Who has no cursor yet is told one with the acknowledgement,
// so that it misses nothing if it is cut before the first event.
func (c *chaos) join(n int, cursor *string) *websocket.Conn {
	u := c.gateways[n%len(c.gateways)]
	g := u.current.Load()
	dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}, HandshakeTimeout: 2 * time.Second}
	conn, _, err := dialer.Dial(g.url(), nil)
	if err != nil {
		return nil
	}
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	err = conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"connection_init","payload":{"Authorization":"Bearer `+u.token(c.t)+`"}}`))
	var told struct{ Payload struct{ Cursor string } }
	if err == nil {
		err = conn.ReadJSON(&told)
	}
	if *cursor == "" {
		*cursor = told.Payload.Cursor
	}
	if err == nil {
		err = conn.WriteMessage(websocket.TextMessage, []byte(`{"id":"a","type":"subscribe","payload":{"query":"subscription { activityAdded { title } }","extensions":{"after":"`+*cursor+`"}}}`))
	}
	if err != nil {
		_ = conn.Close()
		return nil
	}
	return conn
}

func (u *unsteady) token(t *testing.T) string { return u.world.cachedToken(t) }

// read takes events until the time, or until the connection ends. It is false when one is missing or came twice.
func (c *chaos) read(conn *websocket.Conn, until time.Time, seen *int64, cursor *string) bool {
	_ = conn.SetReadDeadline(until)
	for {
		_, text, err := conn.ReadMessage()
		if err != nil || *seen == c.last.Load() {
			return true
		}
		if !strings.Contains(string(text), `"next"`) {
			continue
		}
		e := decodeEvent(c.t, []byte(strings.TrimSuffix(strings.SplitN(string(text), `"payload":`, 2)[1], "}")))
		number, err := strconv.ParseInt(e.title(), 10, 64)
		if err != nil || number != *seen+1 {
			c.t.Error(fmt.Errorf("after %d came %s", *seen, text))
			return false
		}
		*seen, *cursor = number, e.Extensions.Cursor
		if *seen == c.last.Load() {
			return true
		}
	}
}
