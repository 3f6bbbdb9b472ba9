package cache

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/testserver"
)

// wire is the network between one gateway and Redis, which can be cut.
type wire struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	open     map[net.Conn]bool
	isCut    atomic.Bool
	running  sync.WaitGroup
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: listener, to: to, open: map[net.Conn]bool{}}
	w.running.Go(w.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		w.cut()
		w.running.Wait()
	})
	return w
}

func (w *wire) url() string { return "redis://" + w.listener.Addr().String() }

func (w *wire) accept() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", w.to)
		if err != nil || !w.keep(near, far) {
			_ = near.Close()
			continue
		}
		for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
			w.running.Go(func() {
				_, _ = io.Copy(pair[0], pair[1])
				_ = pair[0].Close()
			})
		}
	}
}

func (w *wire) keep(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.isCut.Load() {
		return false
	}
	for _, c := range conns {
		w.open[c] = true
	}
	return true
}

func (w *wire) cut() {
	w.isCut.Store(true)
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.open {
		_ = c.Close()
	}
	clear(w.open)
}

func (w *wire) mend() { w.isCut.Store(false) }

// over has a gateway reach Redis over the wire, and wait for little.
func over(t *testing.T, w *wire) func(*Options) {
	return func(o *Options) {
		o.Redis = connect(t, w.url(), time.Second)
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

func (g *gateway) hear(t *testing.T, b *bus.Bus) {
	t.Helper()
	stop, err := g.Neighbours(b.JetStream().Conn())
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
	follower, err := g.Follower(t.Context(), b.JetStream())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { follower.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

// One gateway can reach Redis and another cannot. The one that cannot takes nothing from the cache, and
// has the other tell Redis of its writes before it answers them: nobody sees what was before.
func TestAGatewayThatIsCutOff(t *testing.T) {
	t.Parallel()
	server, b := testserver.StartRedis(t), openBus(t)
	w := newWire(t, server.Addr())
	s := newService("a")
	reaches, cutOff := openGateway(t, s, server, nil), openGateway(t, s, nil, over(t, w))
	reaches.hear(t, b)
	cutOff.hear(t, b)
	ctx := as(t, operator())
	kept := func(g *gateway) bool {
		names(t, ctx, g, "a")
		s.calls()
		names(t, ctx, g, "a")
		return len(s.calls()) == 0
	}
	eventually(t, "both to keep it", func() bool { return kept(reaches) && kept(cutOff) })
	w.cut()
	for _, name := range []string{"first", "second", "third", "fourth"} {
		rename(t, ctx, cutOff, "a", name)
		if one, other := names(t, ctx, reaches, "a"), names(t, ctx, cutOff, "a"); one != name || other != name {
			t.Fatalf("after %s was answered one gateway gives %s, the one that is cut off %s", name, one, other)
		}
		if !kept(reaches) || kept(cutOff) {
			t.Errorf("who reaches Redis keeps: %v; who does not: %v", kept(reaches), kept(cutOff))
		}
		rename(t, ctx, reaches, "a", "other "+name)
		if got := names(t, ctx, cutOff, "a"); got != "other "+name {
			t.Fatalf("the one that is cut off gives %s", got)
		}
	}
	w.mend()
	eventually(t, "the one that was cut off to keep again", func() bool {
		if got := names(t, ctx, cutOff, "a"); got != "other fourth" {
			t.Fatalf("back again it gives %s", got)
		}
		return kept(cutOff)
	})
}

// With nobody to ask, a write through a gateway that is cut off is told by its event, and by the
// gateway itself as soon as it can.
func TestAWriteThatCouldNotBeTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		tell func(t *testing.T, b *bus.Bus, w *wire, id string)
	}{
		{"its event tells", func(t *testing.T, b *bus.Bus, _ *wire, id string) { publish(t, b, id) }},
		{"the gateway tells when it is back", func(_ *testing.T, _ *bus.Bus, w *wire, _ string) { w.mend() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server, b := testserver.StartRedis(t), openBus(t)
			w := newWire(t, server.Addr())
			id := ids.New(ids.Device)
			s := newService(id)
			reaches, cutOff := openGateway(t, s, server, nil), openGateway(t, s, nil, over(t, w))
			reaches.follow(t, b)
			cutOff.follow(t, b)
			ctx := as(t, operator())
			names(t, ctx, reaches, id)
			w.cut()
			rename(t, ctx, cutOff, id, "new")
			if got := names(t, ctx, cutOff, id); got != "new" {
				t.Errorf("who wrote sees %s", got)
			}
			c.tell(t, b, w, id)
			eventually(t, "the other gateway to see it", func() bool { return names(t, ctx, reaches, id) == "new" })
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

// What passes through no gateway is heard of by its event.
func TestEventsEndWhatWasKept(t *testing.T) {
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

// A gateway dies between a service's commit and telling of it, and no other is there: the next one to
// start hears of it, before anything is taken from the cache.
func TestAGatewayThatDiesBeforeItTells(t *testing.T) {
	t.Parallel()
	server, b := testserver.StartRedis(t), openBus(t)
	id := ids.New(ids.Device)
	s := newService(id)
	first := openGateway(t, s, server, nil)
	follower, err := first.Follower(t.Context(), b.JetStream())
	if err != nil {
		t.Fatal(err)
	}
	following, die := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { follower.Run(following) })
	publish(t, b, ids.New(ids.Device))
	ctx := as(t, operator())
	eventually(t, "its place to be kept", func() bool {
		at, ok := first.versions.(*shared).place(ctx)
		return ok && at.sequence == 1
	})
	names(t, ctx, first, id)
	eventually(t, "it to be kept in Redis", func() bool {
		keys, err := inspect(t, server).Keys(ctx, prefix+"*value:*").Result()
		return err == nil && len(keys) == 1
	})
	die()
	running.Wait()
	s.change(id, "changed") // committed, and told by nobody
	publish(t, b, id)
	next := openGateway(t, s, server, nil)
	next.follow(t, b)
	eventually(t, "the next gateway to see it", func() bool { return names(t, ctx, next, id) == "changed" })
}

// Redis is killed, hangs, and comes back: answers come from the services, in time, and nothing from
// before it went is believed.
func TestRedisAway(t *testing.T) {
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
			w := newWire(t, server.Addr())
			s := newService("a", "b")
			one, other := openGateway(t, s, nil, over(t, w)), openGateway(t, s, nil, over(t, w))
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
				t.Errorf("the other gateway gives %s", got)
			}
			if n := len(s.calls()); n != 25 {
				t.Errorf("the service was asked %d times, want 25", n)
			}
			if slowest > soon/2 {
				t.Errorf("an answer took %s", slowest)
			}
			rename(t, ctx, other, "b", "changed meanwhile")
			c.back(t, server)
			eventually(t, "the cache to be used again", func() bool {
				s.calls()
				for _, g := range []*gateway{one, other} {
					if got := names(t, ctx, g, "a", "b"); got != "new,changed meanwhile" {
						t.Fatalf("back again it gives %s", got)
					}
				}
				return len(s.calls()) == 0
			})
		})
	}
}

// Installations that share a Redis share nothing in it.
func TestInstallationsAreKeptApart(t *testing.T) {
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
		if got := names(t, ctx, first, "a") + ", " + names(t, ctx, second, "a"); got != "as made, another" {
			t.Fatalf("they give %s", got)
		}
	}
	rename(t, ctx, first, "a", "new")
	if got := names(t, ctx, first, "a") + ", " + names(t, ctx, second, "a"); got != "new, another" {
		t.Errorf("they give %s", got)
	}
}
