package live_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/gateway/live"
)

// A reader that stands still holds back nobody, has little kept for it, and gets everything once it reads again.
func TestSlowConsumerMissesNothingAndDelaysNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t, func(s *live.Settings) { s.QueueBytes, s.WriteTimeout, s.HistoryBytes = 8<<10, soon, 8<<20 })
	slow, quick := g.connect(t, "alice"), g.connect(t, "alice")
	small(t, slow)
	for _, p := range []*peer{slow, quick} {
		p.subscribe("a", added, "")
		p.barrier()
	}
	const events = 400
	large := strings.Repeat("x", 8<<10)
	var want []string
	for i := range events {
		title := fmt.Sprint(i, large)
		want = append(want, title)
		w.publish(t, note(title))
		if e := quick.next("a"); e.title() != title {
			t.Fatalf("the quick one got %.10q", e.title())
		}
	}
	if g.metric(t, "slow_consumers_total") == 0 {
		t.Fatal("the slow one never left the broadcast: the test proves nothing")
	}
	if got, _ := slow.titles("a", events); !slices.Equal(got, want) {
		t.Errorf("the slow one got %d events, not what was published", len(got))
	}
	g.eventually(t, "catching_up_subscriptions", 0)
	w.publish(t, note("after"))
	for _, p := range []*peer{slow, quick} {
		if e := p.next("a"); e.title() != "after" {
			t.Errorf("got %.10q", e.title())
		}
	}
}

// small makes the kernel keep little for the client.
func small(t *testing.T, p *peer) {
	t.Helper()
	if err := p.NetConn().(*net.TCPConn).SetReadBuffer(128 << 10); err != nil {
		t.Fatal(err)
	}
}

func TestStalledConsumerIsClosedAndResumes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t, func(s *live.Settings) { s.QueueBytes, s.WriteTimeout = 8<<10, 200*time.Millisecond })
	p := g.connect(t, "alice")
	small(t, p)
	p.subscribe("a", added, "")
	p.barrier()
	for i := range 200 {
		w.publish(t, note(fmt.Sprint(i, strings.Repeat("x", 16<<10))))
	}
	g.eventually(t, "connections", 0)
	g.eventually(t, "subscriptions", 0)
	g.eventually(t, "catching_up_subscriptions", 0)
}

// Whoever asks without reading is ended too, and not by running out of memory.
func TestRequestFloodClosesTheConnection(t *testing.T) {
	t.Parallel()
	g := newWorld(t).gateway(t, func(s *live.Settings) { s.QueueBytes, s.WriteTimeout = 8<<10, 500*time.Millisecond })
	p := g.connect(t, "alice")
	small(t, p)
	for i := range 10_000 {
		text := fmt.Sprintf(`{"id":"%d","type":"subscribe","payload":{"query":"subscription { nothing }"}}`, i)
		if p.WriteMessage(websocket.TextMessage, []byte(text)) != nil {
			break
		}
	}
	g.eventually(t, "connections", 0)
}

// slowDevices takes its time to change a device.
type slowDevices struct {
	bff.Devices
	begun, goOn chan struct{}
}

func (d slowDevices) UpdateDevice(ctx context.Context, input bff.UpdateDeviceInput) (*bff.Device, error) {
	close(d.begun)
	<-d.goOn
	return d.Devices.UpdateDevice(ctx, input)
}

func TestDrainWaitsForRunningQueries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slow := slowDevices{Devices: w.ports.Devices, begun: make(chan struct{}), goOn: make(chan struct{})}
	w.ports.Devices = slow
	id := w.device(t, "old")
	g := w.open(t)
	defer g.server.Close()
	p, idle := g.connect(t, "admin"), g.connect(t, "admin")
	p.subscribe("m", `mutation { updateDevice(input: {id: "`+id+`", name: "new"}) { name } }`, "")
	<-slow.begun
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		g.close(t)
	}()
	idle.closes(websocket.CloseServiceRestart)
	g.eventually(t, "connections", 1)
	p.subscribe("late", `{ __typename }`, "") // asked again elsewhere
	close(slow.goOn)
	if m := p.hear("next"); m.ID != "m" || !strings.Contains(string(m.Payload), `"name":"new"`) {
		t.Errorf("got %+v", m)
	}
	p.hear("complete")
	p.closes(websocket.CloseServiceRestart)
	<-closed
}

func TestDrainClosesAfterTheLastMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.open(t, func(s *live.Settings) { s.DrainTime = 3 * time.Second })
	defer g.server.Close()
	var peers []*peer
	for range 20 {
		p := g.connect(t, "alice")
		p.subscribe("a", added, "")
		p.barrier()
		peers = append(peers, p)
	}
	w.publish(t, note("last"))
	for _, p := range peers {
		p.next("a")
	}
	began := time.Now()
	drained := make(chan time.Duration, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		if err := g.hub.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		drained <- time.Since(began)
	}()
	ended := make(chan time.Duration, len(peers))
	for _, p := range peers {
		go func() {
			p.closes(websocket.CloseServiceRestart)
			ended <- time.Since(began)
		}()
	}
	first, last := time.Hour, time.Duration(0)
	for range peers {
		at := <-ended
		first, last = min(first, at), max(last, at)
	}
	if last-first < time.Second {
		t.Errorf("all went between %v and %v: that is no spreading", first, last)
	}
	<-drained
	_, response, err := (&websocket.Dialer{}).Dial(g.url(), nil)
	if err == nil || response == nil || response.StatusCode != 503 {
		t.Errorf("a new connection: %v, %+v", err, response)
	}
}
