package subscriptions

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sluicehq/sluice/e2e/harness"
	"github.com/sluicehq/sluice/internal/testserver"
)

// chaosVariable asks for the full form of TestSubscribersOutliveChaos, which takes over a minute, with "full".
const chaosVariable = "SLUICE_TEST_CHAOS"

// What is recorded, as far as the machine keeps up: so many notes a second, so many of them at once, of
// one account each time.
const (
	chaosRate  = 50
	chaosBatch = 5
)

// chaosMutation records a batch; a note that was recorded before is not recorded again.
func chaosMutation() string {
	var parameters, fields strings.Builder
	for i := range chaosBatch {
		fmt.Fprintf(&parameters, " $n%d: RecordActivityInput!", i)
		fmt.Fprintf(&fields, " n%d: recordActivity(input: $n%d) { id }", i, i)
	}
	return "mutation(" + parameters.String() + ") {" + fields.String() + " }"
}

// Two gateways as processes of their own, before one NATS and five services. Gateways are killed, or told to go, at
// random and started again, clients are cut at random; notes that all may see, or only one account, are recorded all
// the while. In the end every client has seen what it may see, once each and in order.
func TestSubscribersUnderChaosSeeEachEventOnce(t *testing.T) {
	t.Parallel()
	clients, lasting := 40, 12*time.Second
	if os.Getenv(chaosVariable) == "full" {
		clients, lasting = 200, 60*time.Second
	}
	c := &chaos{Installation: harness.StartServices(t, "--nats-url", testserver.StartNATS(t).URL()), over: make(chan struct{})}
	for i := range c.gateways {
		c.gateways[i].addr = "127.0.0.1:" + testserver.FreePort(t)
		c.start(t, &c.gateways[i])
	}
	for i, code := range []string{"operator", "alice", "bob"} {
		c.tokens[i] = c.gateways[0].program.Load().SignIn(t, code)
	}
	var following, recording sync.WaitGroup
	ready := make(chan struct{}, clients)
	for i := range clients {
		following.Go(func() { c.follow(t, i, ready) })
	}
	for range clients {
		<-ready
	}
	ctx, stop := context.WithTimeout(t.Context(), lasting)
	defer stop()
	recording.Go(func() { c.record(t, ctx) })
	c.wreck(t, ctx)
	recording.Wait()
	close(c.over)
	following.Wait()
	t.Logf("%d clients, %d events, %d cuts, %d gateways killed, %d told to go, %d gaps",
		clients, c.recorded.Load(), c.cuts.Load(), c.kills.Load(), c.stops.Load(), c.gaps.Load())
	if c.cuts.Load() == 0 || c.kills.Load() == 0 || c.stops.Load() == 0 || c.recorded.Load() < int64(lasting.Seconds()) {
		t.Error("too little has happened: the test proves nothing")
	}
}

// chaos is an installation that comes to grief.
type chaos struct {
	*harness.Installation
	gateways [2]unsteady
	tokens   [3]string     // of who records: an operator, for all to see, alice, and bob
	over     chan struct{} // closed when all is recorded
	recorded atomic.Int64  // the number of the last note

	cuts, kills, stops, gaps atomic.Int64
}

// unsteady is a gateway that is now there and now not, always at one address.
type unsteady struct {
	addr    string
	program atomic.Pointer[harness.Program]
}

func (c *chaos) start(t *testing.T, g *unsteady) {
	t.Helper()
	args := []string{"gateway", "--addr", g.addr, "--service-token", harness.ServiceToken, "--live-drain-time", "500ms", "--live-history", "50"}
	for _, flags := range [][]string{c.ServiceFlags, c.CommonFlags} {
		args = append(args, flags...)
	}
	g.program.Store(c.StartPart(t, args))
}

// wreck ends gateways, one or both, and starts them again, until the time is over.
func (c *chaos) wreck(t *testing.T, ctx context.Context) {
	t.Helper()
	for round := 0; ; round++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(500+rand.IntN(1500)) * time.Millisecond):
		}
		first := rand.IntN(2)
		fallen := []*unsteady{&c.gateways[first]}
		if rand.IntN(4) == 0 {
			fallen = append(fallen, &c.gateways[1-first])
		}
		for _, g := range fallen {
			if round%3 == 2 {
				c.stops.Add(1)
				g.program.Load().Stop(t, syscall.SIGTERM)
			} else {
				c.kills.Add(1)
				g.program.Load().Kill(t)
			}
		}
		<-time.After(time.Duration(rand.IntN(300)) * time.Millisecond) // while they are away
		for _, g := range fallen {
			c.start(t, g)
		}
	}
}

// record records numbered notes, one after the other, each until it is acknowledged.
func (c *chaos) record(t *testing.T, ctx context.Context) {
	began := time.Now()
	for ctx.Err() == nil {
		last := c.recorded.Load()
		<-time.After(time.Until(began.Add(time.Duration(last) * time.Second / chaosRate))) // catching up when gateways were away
		by := owner(last + 1)
		variables := harness.Vars{}
		for i := range chaosBatch {
			number := last + 1 + int64(i)
			variables[fmt.Sprint("n", i)] = harness.Vars{
				"kind": "NOTE", "title": strconv.FormatInt(number, 10), "public": by == everybody, "idempotencyKey": fmt.Sprint("chaos ", number),
			}
		}
		body, err := json.Marshal(map[string]any{"query": chaosMutation(), "variables": variables})
		if err != nil {
			t.Error(err)
			return
		}
		if !c.acknowledged(by, body) {
			t.Errorf("the notes after %d were never acknowledged", last)
			return
		}
		c.recorded.Store(last + chaosBatch)
	}
}

// Whose a note is: these are places in tokens.
const (
	everybody = iota
	alice
	bob
)

// owner tells whose the note is.
func owner(number int64) int { return int((number - 1) / chaosBatch % 3) }

func (c *chaos) acknowledged(by int, body []byte) bool {
	deadline := time.Now().Add(harness.Timeout)
	for i := by; time.Now().Before(deadline); i++ {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		a, err := c.gateways[i%2].program.Load().PostBody(ctx, c.tokens[by], body)
		cancel()
		if err == nil && len(a.Errors) == 0 {
			return true
		}
		<-time.After(10 * time.Millisecond) // before another try
	}
	return false
}

// follow subscribes, and again with the last cursor whenever the connection has ended, until it has seen
// the last note that it may see.
func (c *chaos) follow(t *testing.T, i int, ready chan<- struct{}) {
	f := &follower{chaos: c, token: c.tokens[alice], hidden: bob}
	if i%2 == 1 {
		f.token, f.hidden = c.tokens[bob], alice
	}
	var until time.Time
	for n := i; ; n++ {
		select {
		case <-c.over:
			if f.next() > c.recorded.Load() {
				return
			}
			if until.IsZero() {
				until = time.Now().Add(2 * harness.Timeout)
			} else if time.Now().After(until) {
				t.Errorf("client %d has seen %d of %d", i, f.seen, c.recorded.Load())
				return
			}
		default:
		}
		conn, err := f.join(c.gateways[n%2].addr)
		if err != nil {
			<-time.After(20 * time.Millisecond) // nobody is there
			continue
		}
		if ready != nil {
			ready <- struct{}{}
			ready = nil
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Duration(200+rand.IntN(3000)) * time.Millisecond))
		err = f.read(conn)
		_ = conn.Close()
		c.cuts.Add(1)
		if err != nil {
			t.Errorf("client %d: %v", i, err)
			return
		}
	}
}

// follower is one client.
type follower struct {
	*chaos
	token  string
	hidden int // whose notes it may not see
	seen   int64
	cursor string
}

// next is the number of the next note that it may see.
func (f *follower) next() int64 {
	number := f.seen + 1
	for owner(number) == f.hidden {
		number++
	}
	return number
}

// join connects and subscribes.
func (f *follower) join(addr string) (*websocket.Conn, error) {
	dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}, HandshakeTimeout: 2 * time.Second}
	conn, _, err := dialer.Dial("ws://"+addr+"/graphql", nil)
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	err = conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"connection_init","payload":{"Authorization":"Bearer `+f.token+`"}}`))
	if err == nil {
		var m chaosMessage
		err = conn.ReadJSON(&m)
		if f.cursor == "" {
			f.cursor = m.Payload.Cursor // nothing was recorded before the first clients are there
		}
	}
	if err == nil {
		err = conn.WriteMessage(websocket.TextMessage,
			[]byte(`{"id":"1","type":"subscribe","payload":{"query":"subscription { activityAdded(filter: {kinds: [NOTE]}) { title } }","extensions":{"after":"`+f.cursor+`"}}}`))
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// chaosMessage is one of the server.
type chaosMessage struct {
	Type    string
	Payload struct {
		Cursor     string
		Data       *struct{ ActivityAdded struct{ Title string } }
		Extensions struct {
			Cursor string
			Gap    *struct{ From, To string }
		}
	}
}

// read takes what comes until the connection ends. It is an error when something is missing, came twice,
// or is not for this client.
func (f *follower) read(conn *websocket.Conn) error {
	told := false // of a gap
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			return nil
		}
		if bytes.HasPrefix(text, []byte(`{"type":"p`)) { // ping, pong
			continue
		}
		var m chaosMessage
		if err := json.Unmarshal(text, &m); err != nil || m.Type != "next" {
			return fmt.Errorf("after %d came %s (%v)", f.seen, text, err)
		}
		f.cursor = m.Payload.Extensions.Cursor
		if m.Payload.Extensions.Gap != nil {
			f.gaps.Add(1)
			told = true
			continue
		}
		if m.Payload.Data == nil {
			return fmt.Errorf("after %d came %s", f.seen, text)
		}
		number, err := strconv.ParseInt(m.Payload.Data.ActivityAdded.Title, 10, 64)
		if err != nil || number <= f.seen || owner(number) == f.hidden || (number != f.next() && !told) {
			return fmt.Errorf("after %d came %s", f.seen, text)
		}
		f.seen, told = number, false
	}
}
