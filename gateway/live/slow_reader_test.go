package live_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/gateway/live"
)

// One client that reads a byte now and then, among many: the others do not notice, little is kept for
// it, and it comes back to the full sequence.
func TestTrickleReaderDelaysNoOther(t *testing.T) {
	const crowd, events, large = 500, 30, 12 << 10
	w := newWorld(t)
	g := w.gateway(t, func(s *live.Settings) { s.WriteTimeout, s.IdleTimeout = soon, 10*soon })
	var peers []*peer
	for range crowd {
		p := g.connectWith(t, w.cachedToken(t))
		p.subscribe("a", added, "")
		peers = append(peers, p)
	}
	for _, p := range peers {
		p.barrier()
	}
	alone := round(t, w, peers, events, large)
	trickle := g.connectWith(t, w.cachedToken(t))
	if err := trickle.NetConn().(*net.TCPConn).SetReadBuffer(32 << 10); err != nil {
		t.Fatal(err)
	}
	trickle.subscribe("a", added, "")
	trickle.barrier()
	w.publish(t, note("begin"))
	_, cursor := trickle.titles("a", 1)
	for _, p := range peers {
		p.titles("a", 1)
	}
	stop := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() { drip(trickle.NetConn(), stop) })
	before := inUse()
	beside := round(t, w, peers, events, large)
	if grown := inUse() - before; grown > 32<<20 {
		t.Errorf("%d bytes more are in use", grown)
	}
	t.Logf("%d events to %d clients took %v, beside the trickle %v", events, crowd, alone, beside)
	if beside > 4*alone+soon/2 { // whoever waits for the trickle waits for its write time-out
		t.Errorf("beside the trickle it took %v, without it %v", beside, alone)
	}
	if g.metric(t, "slow_consumers_total") == 0 && g.metric(t, "connections") > crowd {
		t.Error("the trickle neither left the broadcast nor was ended: the test proves nothing")
	}
	close(stop)
	reading.Wait()
	_ = trickle.Close()
	again := g.connectWith(t, w.cachedToken(t))
	again.subscribe("b", added, `{"after":"`+cursor+`"}`)
	for i := range events {
		if e := again.next("b"); !strings.HasPrefix(e.title(), fmt.Sprint(i, " ")) {
			t.Fatalf("after coming back: %.20q, want %d", e.title(), i)
		}
	}
}

// round publishes events, and has all the peers read each; it gives how long that took.
func round(t *testing.T, w *world, peers []*peer, events, large int) time.Duration {
	t.Helper()
	began := time.Now()
	for i := range events {
		w.publish(t, note(fmt.Sprint(i, " ", strings.Repeat("x", large))))
		want := []byte(fmt.Sprintf(`"title":"%d `, i))
		for _, p := range peers {
			_ = p.SetReadDeadline(time.Now().Add(soon))
			if _, text, err := p.ReadMessage(); err != nil || !bytes.Contains(text, want) {
				t.Fatalf("got %.100q, %v, want %d", text, err, i)
			}
		}
	}
	return time.Since(began)
}

// drip reads ten bytes a second.
func drip(conn net.Conn, stop <-chan struct{}) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			_, _ = io.ReadFull(conn, make([]byte, 1)) // nothing there is a drip too
		}
	}
}

func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
