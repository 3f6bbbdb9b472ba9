package live_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sluicehq/sluice/gateway/live"
)

// cable is a way to a gateway that can be pulled: then nothing comes through any more either way, and
// neither end is told.
type cable struct {
	listener net.Listener
	to       string
	carrying sync.WaitGroup

	mu     sync.Mutex
	pulled chan struct{} // closed when it is
	ends   []net.Conn
}

func layCable(t *testing.T, to string) *cable {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{listener: listener, to: to, pulled: make(chan struct{})}
	c.carrying.Go(c.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		c.mu.Lock()
		for _, end := range c.ends {
			_ = end.Close()
		}
		c.mu.Unlock()
		c.carrying.Wait()
	})
	return c
}

func (c *cable) accept() {
	for {
		from, err := c.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", c.to)
		if err != nil {
			_ = from.Close()
			continue
		}
		_ = to.(*net.TCPConn).SetReadBuffer(32 << 10)
		c.mu.Lock()
		c.ends = append(c.ends, from, to)
		c.mu.Unlock()
		c.carrying.Go(func() { c.carry(from, to) })
		c.carrying.Go(func() { c.carry(to, from) })
	}
}

// carry hands on what comes, until the cable is pulled: what comes then stays where it is.
func (c *cable) carry(from, to net.Conn) {
	b := make([]byte, 4<<10)
	for {
		n, err := from.Read(b)
		select {
		case <-c.pulled:
			return
		default:
		}
		if err != nil {
			_ = to.Close()
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

func (c *cable) pull() { close(c.pulled) }

// behind gives the gateway as it is seen through the cable.
func (c *cable) behind(g *gateway) *gateway {
	there := *g
	there.server = &httptest.Server{URL: "http://" + c.listener.Addr().String()}
	return &there
}

// A client that is gone without a word is ended when it has been silent for the idle time, or when it
// takes nothing for the write time-out; nothing is left of it.
func TestHalfOpenConnectionIsClosed(t *testing.T) {
	t.Parallel()
	open := map[string]func(t *testing.T, g *gateway){
		"websocket": func(t *testing.T, g *gateway) {
			p := g.connect(t, "alice")
			p.subscribe("a", added, "")
			p.barrier()
		},
		"event stream": func(t *testing.T, g *gateway) {
			g.listen(t, g.get(added), "Authorization", "Bearer "+g.world.token(t, "alice"))
		},
	}
	for transport, open := range open {
		for _, full := range []bool{false, true} {
			if transport == "event stream" && !full {
				continue // nobody hears from its client: the kernel ends it, see app
			}
			t.Run(fmt.Sprint(transport, map[bool]string{true: " with a full buffer", false: " idle"}[full]), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				g := w.gateway(t, func(s *live.Settings) {
					s.QueueBytes, s.WriteTimeout, s.IdleTimeout, s.KeepAlive = 8<<10, time.Second, 4*time.Second, time.Second
				})
				c := layCable(t, g.server.Listener.Addr().String())
				open(t, c.behind(g))
				g.eventually(t, "subscriptions", 1)
				c.pull()
				if full {
					fill(t, w, g)
				}
				for _, gauge := range []string{"connections", "subscriptions", "groups", "catching_up_subscriptions", "queued_bytes"} {
					g.eventually(t, gauge, 0)
				}
			})
		}
	}
}

// fill publishes until the subscriber has been ended.
func fill(t *testing.T, w *world, g *gateway) {
	t.Helper()
	large := strings.Repeat("x", 32<<10)
	for deadline := time.Now().Add(soon); g.metric(t, "connections") > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the subscriber is still there")
		}
		w.publish(t, note(large))
	}
}

// secure is the gateway behind TLS: its connections have no descriptor to write to.
func (g *gateway) secure(t *testing.T) (url string, config *tls.Config) {
	t.Helper()
	server := httptest.NewTLSServer(g.server.Config.Handler)
	t.Cleanup(server.Close)
	return server.URL, server.Client().Transport.(*http.Transport).TLSClientConfig
}

func (g *gateway) connectSecurely(t *testing.T, url string, config *tls.Config) *peer {
	t.Helper()
	dialer := websocket.Dialer{HandshakeTimeout: soon, TLSClientConfig: config, Subprotocols: []string{"graphql-transport-ws"}}
	conn, _, err := dialer.Dial("wss"+strings.TrimPrefix(url, "https")+"/graphql", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	p := &peer{Conn: conn, t: t}
	p.do([]string{`{"type":"connection_init","payload":{"Authorization":"Bearer ` + g.world.cachedToken(t) + `"}}`, "<connection_ack"})
	return p
}

func TestProtocolOverTLSIsTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t)
	url, config := g.secure(t)
	p := g.connectSecurely(t, url, config)
	p.subscribe("q", `{ __typename }`, "")
	p.hear("next")
	p.hear("complete")
	p.subscribe("a", added, "")
	p.barrier()
	var want []string
	for i := range 100 {
		w.publish(t, numbered(i))
		want = append(want, fmt.Sprint(i))
	}
	got, cursor := p.titles("a", 100)
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	p.say(`{"type":"complete","id":"a"}`)
	p.barrier()
	w.publish(t, note("meanwhile"))
	p.subscribe("a", added, `{"after":"`+cursor+`"}`)
	if e := p.next("a"); e.title() != "meanwhile" {
		t.Errorf("got %+v", e)
	}
	p.say(`{"type":"nonsense"}`)
	p.closes(4400)
	g.eventually(t, "connections", 0)
}

func TestSlowConsumerOverTLSDelaysNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t, func(s *live.Settings) { s.QueueBytes, s.WriteTimeout, s.HistoryBytes = 8<<10, soon, 8<<20 })
	url, config := g.secure(t)
	slow, quick := g.connectSecurely(t, url, config), g.connectSecurely(t, url, config)
	if err := slow.NetConn().(*tls.Conn).NetConn().(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*peer{slow, quick} {
		p.subscribe("a", added, "")
		p.barrier()
	}
	large := strings.Repeat("x", 32<<10)
	var want []string
	for i := 0; g.metric(t, "slow_consumers_total") == 0 || i < 50; i++ {
		if i == 1000 {
			t.Fatal("the slow one never left the broadcast: the test proves nothing")
		}
		want = append(want, fmt.Sprint(i, large))
		w.publish(t, note(want[i]))
		if e := quick.next("a"); e.title() != want[i] {
			t.Fatalf("the quick one got %.10q", e.title())
		}
	}
	if got, _ := slow.titles("a", len(want)); !slices.Equal(got, want) {
		t.Errorf("the slow one got %d events, not what was published", len(got))
	}
	g.eventually(t, "catching_up_subscriptions", 0)
	g.eventually(t, "queued_bytes", 0)
}

func TestStalledConsumerOverTLSIsClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t, func(s *live.Settings) { s.QueueBytes, s.WriteTimeout = 8<<10, 300*time.Millisecond })
	url, config := g.secure(t)
	p := g.connectSecurely(t, url, config)
	p.subscribe("a", added, "")
	p.barrier()
	for range 300 {
		w.publish(t, note(strings.Repeat("x", 32<<10)))
	}
	for _, gauge := range []string{"connections", "subscriptions", "catching_up_subscriptions", "queued_bytes"} {
		g.eventually(t, gauge, 0)
	}
}

func TestDrainOverTLSClosesAfterTheLastMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.open(t, func(s *live.Settings) { s.DrainTime = 50 * time.Millisecond })
	defer g.server.Close()
	url, config := g.secure(t)
	var peers []*peer
	for range 5 {
		p := g.connectSecurely(t, url, config)
		p.subscribe("a", added, "")
		p.barrier()
		peers = append(peers, p)
	}
	w.publish(t, note("last"))
	for _, p := range peers {
		if e := p.next("a"); e.title() != "last" {
			t.Errorf("got %q", e.title())
		}
	}
	var reading sync.WaitGroup
	for _, p := range peers {
		reading.Go(func() { p.closes(websocket.CloseServiceRestart) })
	}
	g.close(t)
	reading.Wait()
}
