package cache

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/testserver"
	"github.com/sluicehq/sluice/internal/worker"
)

// network is the network between one gateway and Redis, which can be cut.
type network struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	open     map[net.Conn]bool
	isCut    atomic.Bool
	running  sync.WaitGroup
}

func newNetwork(t *testing.T, to string) *network {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{listener: listener, to: to, open: map[net.Conn]bool{}}
	n.running.Go(n.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		n.cut()
		n.running.Wait()
	})
	return n
}

func (n *network) url() string { return "redis://" + n.listener.Addr().String() }

func (n *network) accept() {
	for {
		near, err := n.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", n.to)
		if err != nil || !n.track(near, far) {
			_ = near.Close()
			continue
		}
		for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
			n.running.Go(func() {
				_, _ = io.Copy(pair[0], pair[1])
				_ = pair[0].Close()
			})
		}
	}
}

func (n *network) track(conns ...net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.isCut.Load() {
		return false
	}
	for _, c := range conns {
		n.open[c] = true
	}
	return true
}

func (n *network) cut() {
	n.isCut.Store(true)
	n.mu.Lock()
	defer n.mu.Unlock()
	for conn := range n.open {
		_ = conn.Close()
	}
	clear(n.open)
}

func (n *network) mend() { n.isCut.Store(false) }

// over connects a gateway to Redis over the network, with a short timeout.
func over(t *testing.T, n *network) func(*Options) {
	return func(o *Options) {
		o.Redis = connect(t, n.url(), time.Second)
	}
}

func openBus(t *testing.T) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Options{StoreDir: t.TempDir(), EventsMaxBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (g *gateway) listen(t *testing.T, b *bus.Bus) {
	t.Helper()
	stop, err := g.ListenToPeers(b.JetStream().Conn())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func (g *gateway) follow(t *testing.T, b *bus.Bus) {
	t.Helper()
	follower := g.Follower(t.Context(), b.JetStream())
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = worker.New(follower.Loop(), worker.Options{}).Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

// One of two gateways cannot reach Redis. It serves nothing from the cache, and its peer invalidates tags for it before its
// writes return, so that no read is stale.
func TestGatewayWithoutRedisInvalidatesThroughItsPeer(t *testing.T) {
	t.Parallel()
	server, b := testserver.StartRedis(t), openBus(t)
	n := newNetwork(t, server.Addr())
	s := newService("a")
	connected, isolated := openGateway(t, s, server, nil), openGateway(t, s, nil, over(t, n))
	connected.listen(t, b)
	isolated.listen(t, b)
	ctx := as(t, operator())
	caches := func(g *gateway) bool {
		names(t, ctx, g, "a")
		s.calls()
		names(t, ctx, g, "a")
		return len(s.calls()) == 0
	}
	eventually(t, "entries of both gateways", func() bool { return caches(connected) && caches(isolated) })
	n.cut()
	for _, name := range []string{"first", "second", "third", "fourth"} {
		rename(t, ctx, isolated, "a", name)
		if one, other := names(t, ctx, connected, "a"), names(t, ctx, isolated, "a"); one != name || other != name {
			t.Fatalf("after the write of %s one gateway returns %s, the isolated one %s", name, one, other)
		}
		if !caches(connected) || caches(isolated) {
			t.Errorf("the connected gateway caches: %v; the isolated one: %v", caches(connected), caches(isolated))
		}
		rename(t, ctx, connected, "a", "other "+name)
		if got := names(t, ctx, isolated, "a"); got != "other "+name {
			t.Fatalf("the isolated gateway returns %s", got)
		}
	}
	n.mend()
	eventually(t, "entries of the reconnected gateway", func() bool {
		if got := names(t, ctx, isolated, "a"); got != "other fourth" {
			t.Fatalf("after the outage it returns %s", got)
		}
		return caches(isolated)
	})
}

// Without a peer, the event of a write through an isolated gateway invalidates its tags, or the gateway does it after the
// outage.
func TestWriteThroughAnIsolatedGatewayIsInvalidatedLater(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		act  func(t *testing.T, b *bus.Bus, n *network, id string)
	}{
		{"by its event", func(t *testing.T, b *bus.Bus, _ *network, id string) { publish(t, b, id) }},
		{"by the backlog after the outage", func(_ *testing.T, _ *bus.Bus, n *network, _ string) { n.mend() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server, b := testserver.StartRedis(t), openBus(t)
			n := newNetwork(t, server.Addr())
			id := ids.New(ids.Device)
			s := newService(id)
			connected, isolated := openGateway(t, s, server, nil), openGateway(t, s, nil, over(t, n))
			connected.follow(t, b)
			isolated.follow(t, b)
			ctx := as(t, operator())
			names(t, ctx, connected, id)
			n.cut()
			rename(t, ctx, isolated, id, "new")
			if got := names(t, ctx, isolated, id); got != "new" {
				t.Errorf("the writer reads %s", got)
			}
			c.act(t, b, n, id)
			eventually(t, "the new name at the other gateway", func() bool { return names(t, ctx, connected, id) == "new" })
		})
	}
}

func publish(t *testing.T, b *bus.Bus, id string) {
	t.Helper()
	m := bus.Message{Subject: "event.device.updated." + id, ID: ids.New(ids.Event), Time: time.Now()}
	if err := b.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// A write through no gateway is invalidated by its event.
func TestEventInvalidatesTheEntriesOfItsEntity(t *testing.T) {
	t.Parallel()
	eachTier(t, func(t *testing.T, server *testserver.Redis) {
		b := openBus(t)
		id := ids.New(ids.Device)
		s := newService(id)
		g := openGateway(t, s, server, nil)
		g.follow(t, b)
		ctx := as(t, operator())
		names(t, ctx, g, id)
		s.change(id, "changed")
		publish(t, b, id)
		eventually(t, "the event", func() bool { return names(t, ctx, g, id) == "changed" })
	})
}

// A gateway dies between the commit of a write and its invalidation, and there is no other. The next gateway reads the event
// before it serves an entry.
func TestFollowerContinuesWhereADeadGatewayStopped(t *testing.T) {
	t.Parallel()
	server, b := testserver.StartRedis(t), openBus(t)
	id := ids.New(ids.Device)
	s := newService(id)
	first := openGateway(t, s, server, nil)
	follower := first.Follower(t.Context(), b.JetStream())
	following, kill := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = worker.New(follower.Loop(), worker.Options{}).Run(following) })
	publish(t, b, ids.New(ids.Device))
	ctx := as(t, operator())
	eventually(t, "the stored position", func() bool {
		keys := inspect(t, server).Keys(ctx, prefix+"*:position").Val()
		return len(keys) == 1 && strings.HasSuffix(inspect(t, server).Get(ctx, keys[0]).Val(), " 1")
	})
	names(t, ctx, first, id)
	eventually(t, "the value in Redis", func() bool {
		keys, err := inspect(t, server).Keys(ctx, prefix+"*value:*").Result()
		return err == nil && len(keys) == 1
	})
	kill()
	running.Wait()
	s.change(id, "changed") // committed, and not invalidated
	publish(t, b, id)
	next := openGateway(t, s, server, nil)
	next.follow(t, b)
	eventually(t, "the new name at the next gateway", func() bool { return names(t, ctx, next, id) == "changed" })
}

// While Redis is killed or hangs, responses come from the services in time. After it no entry from before is served.
func TestReadsDuringAnOutageOfRedisAreServedByTheServices(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		away, back func(t *testing.T, r *testserver.Redis)
	}{
		{"killed", func(t *testing.T, r *testserver.Redis) { r.Kill(t) }, func(t *testing.T, r *testserver.Redis) { r.Start(t) }},
		{"hung", func(t *testing.T, r *testserver.Redis) { r.Hang(t) }, func(t *testing.T, r *testserver.Redis) { r.Resume(t) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := testserver.StartRedis(t)
			n := newNetwork(t, server.Addr())
			s := newService("a", "b")
			one, other := openGateway(t, s, nil, over(t, n)), openGateway(t, s, nil, over(t, n))
			ctx := as(t, operator())
			for _, g := range []*gateway{one, other} {
				names(t, ctx, g, "a", "b")
			}
			c.away(t, server)
			s.calls()
			slowest := time.Duration(0)
			for i := range 20 {
				began := time.Now()
				names(t, ctx, one, "a")
				if i%5 == 0 {
					rename(t, ctx, one, "a", "new")
				}
				slowest = max(slowest, time.Since(began))
			}
			if got := names(t, ctx, other, "a"); got != "new" {
				t.Errorf("the other gateway returns %s", got)
			}
			if n := len(s.calls()); n != 25 {
				t.Errorf("the service has %d calls, want 25", n)
			}
			if slowest > soon/2 {
				t.Errorf("a read took %s", slowest)
			}
			rename(t, ctx, other, "b", "changed meanwhile")
			c.back(t, server)
			eventually(t, "a use of the cache", func() bool {
				s.calls()
				for _, g := range []*gateway{one, other} {
					if got := names(t, ctx, g, "a", "b"); got != "new,changed meanwhile" {
						t.Fatalf("after the outage it returns %s", got)
					}
				}
				return len(s.calls()) == 0
			})
		})
	}
}

// Installations that share a Redis share no entries.
func TestInstallationsWithOneRedisShareNoEntries(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	one, other := newService("a"), newService("a")
	other.change("a", "another")
	first, second := openGateway(t, one, server, nil), openGateway(t, other, server, nil)
	first.follow(t, openBus(t))
	second.follow(t, openBus(t))
	ctx := as(t, operator())
	for _, g := range []*gateway{first, second} {
		g.awaitUse(t)
	}
	for range 3 {
		if got := names(t, ctx, first, "a") + ", " + names(t, ctx, second, "a"); got != "initial, another" {
			t.Fatalf("they return %s", got)
		}
	}
	rename(t, ctx, first, "a", "new")
	if got := names(t, ctx, first, "a") + ", " + names(t, ctx, second, "a"); got != "new, another" {
		t.Errorf("they return %s", got)
	}
}
