package live_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sluicehq/sluice/bench/bar"
)

const (
	connections = 2000
	textBytes   = 200
	turns       = 5
	stretch     = 2 * time.Second // of one turn
	mostWait    = 150             // milliseconds from an event's commit to the socket, but for one in a hundred
)

// load is what a server is given: so often a second so many events at once, to so many connections.
type load struct{ connections, rate, burst int }

// server is one of the servers, in a process of its own.
type server struct {
	addr string
	cmd  *exec.Cmd
}

func start(b *testing.B, name string) *server {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), serverVariable+"="+name)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	s := &server{cmd: cmd}
	b.Cleanup(s.stop)
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	s.addr = strings.TrimSpace(addr)
	return s
}

// stop ends the server; once more does nothing.
func (s *server) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *server) usage(b *testing.B, query string) usage {
	b.Helper()
	response, err := http.Get("http://" + s.addr + "/usage" + query)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var u usage
	if err := json.NewDecoder(response.Body).Decode(&u); err != nil {
		b.Fatal(err)
	}
	return u
}

func (s *server) publish(b *testing.B, events int) {
	b.Helper()
	text := fmt.Sprintf("%d %s", time.Now().UnixNano(), strings.Repeat("x", textBytes))
	response, err := http.Get("http://" + s.addr + "/publish?events=" + strconv.Itoa(events) + "&text=" + url.QueryEscape(text))
	if err != nil || response.StatusCode != http.StatusOK {
		b.Fatalf("publish: %v, %+v", err, response)
	}
	_ = response.Body.Close()
}

// clients are the subscribers.
type clients struct {
	all      []*websocket.Conn
	received atomic.Int64
	mu       sync.Mutex
	waits    []time.Duration // from an event to a client that has read it
}

func (s *server) connect(b *testing.B, n int, query func(i int) string) *clients {
	b.Helper()
	c := &clients{all: make([]*websocket.Conn, n)}
	var dialing sync.WaitGroup
	slots := make(chan struct{}, 32)
	for i := range n {
		slots <- struct{}{}
		dialing.Go(func() {
			defer func() { <-slots }()
			conn, err := dial(s.addr, query(i))
			if err != nil {
				b.Errorf("connection %d: %v", i, err)
				return
			}
			c.all[i] = conn
		})
	}
	dialing.Wait()
	if b.Failed() {
		b.FailNow()
	}
	b.Cleanup(c.close)
	return c
}

func dial(addr, query string) (*websocket.Conn, error) {
	dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}, ReadBufferSize: 1 << 10, WriteBufferSize: 512}
	conn, _, err := dialer.Dial("ws://"+addr+"/graphql", nil)
	if err != nil {
		return nil, err
	}
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"connection_init","payload":{"apiKey":"x"}}`)); err != nil {
		return nil, err
	}
	if _, _, err := conn.ReadMessage(); err != nil {
		return nil, err
	}
	subscribe, err := json.Marshal(map[string]any{"id": "1", "type": "subscribe", "payload": map[string]string{"query": query}})
	if err != nil {
		return nil, err
	}
	return conn, conn.WriteMessage(websocket.TextMessage, subscribe)
}

func (c *clients) close() {
	for _, conn := range c.all {
		_ = conn.Close()
	}
}

// read takes what comes, and remembers how long every hundredth client waited.
func (c *clients) read() {
	for i, conn := range c.all {
		go func() {
			for {
				_, text, err := conn.ReadMessage()
				if err != nil {
					return
				}
				if i%100 == 0 {
					c.note(text)
				}
				c.received.Add(1)
			}
		}()
	}
}

func (c *clients) note(text []byte) {
	_, after, _ := bytes.Cut(text, []byte(`"title":"`))
	number, _, _ := bytes.Cut(after, []byte(" "))
	at, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits = append(c.waits, time.Since(time.Unix(0, at)))
}

// percentile is in milliseconds.
func (c *clients) percentile(p float64) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.waits)
	return float64(c.waits[int(p*float64(len(c.waits)-1))].Microseconds()) / 1000
}

func (c *clients) await(b *testing.B, n int64) {
	b.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for c.received.Load() < n {
		if time.Now().After(deadline) {
			b.Fatalf("%d deliveries, want %d", c.received.Load(), n)
		}
		<-time.After(time.Millisecond) // between two looks
	}
}

func equal(int) string { return `subscription { activityAdded { title } }` }

// crowd is a server with its subscribers.
type crowd struct {
	*server
	clients *clients
	sent    int64 // events
}

func (l load) crowd(b *testing.B, name string) *crowd {
	b.Helper()
	s := start(b, name)
	c := &crowd{server: s, clients: s.connect(b, l.connections, equal)}
	c.clients.read()
	<-time.After(500 * time.Millisecond) // the last subscriptions are being let in
	c.publish(b, 1)
	return c
}

// publish has the server tell everybody of so many events at once.
func (c *crowd) publish(b *testing.B, events int) {
	b.Helper()
	c.server.publish(b, events)
	c.sent += int64(events)
}

func (c *crowd) await(b *testing.B) {
	b.Helper()
	c.clients.await(b, int64(len(c.clients.all))*c.sent)
}

// deliver publishes at the rate for a while, and gives the CPU per delivery.
func (c *crowd) deliver(b *testing.B, l load) time.Duration {
	b.Helper()
	c.await(b)
	before := c.usage(b, "")
	bursts := int(stretch.Seconds() * float64(l.rate))
	tick := time.NewTicker(time.Second / time.Duration(l.rate))
	defer tick.Stop()
	for range bursts {
		<-tick.C
		c.publish(b, l.burst)
	}
	c.await(b)
	return (c.usage(b, "").CPU - before.CPU) / time.Duration(l.connections*bursts*l.burst)
}

// BenchmarkOneEventToAll is CPU per delivery as a multiple of the bare server's.
func BenchmarkOneEventToAll(b *testing.B) { compare(b, load{connections, 20, 1}, 1) }

// BenchmarkBacklog is the same with more events than can be written one by one.
func BenchmarkBacklog(b *testing.B) { compare(b, load{500, 5, 100}, 0.6) }

// compare has both servers at work in turns, so that what else the machine does burdens both, and
// holds the median of the ratios to the bar.
func compare(b *testing.B, l load, most float64) {
	for b.Loop() {
		limit, ours := l.crowd(b, "limit"), l.crowd(b, "sluice")
		var ratios, limits, costs []float64
		for range turns {
			l, o := limit.deliver(b, l), ours.deliver(b, l)
			ratios, limits, costs = append(ratios, float64(o)/float64(l)), append(limits, float64(l)/1000), append(costs, float64(o)/1000)
		}
		total := ours.usage(b, "")
		bar.AtMost(b, "x-limit", median(ratios), most)
		b.ReportMetric(slices.Max(ratios), "x-limit-worst")
		b.ReportMetric(median(limits), "limit-µs/delivery")
		b.ReportMetric(median(costs), "µs/delivery")
		limitP99 := limit.clients.percentile(0.99)
		b.ReportMetric(limitP99, "limit-p99-read-ms")
		b.ReportMetric(ours.clients.percentile(0.99), "p99-read-ms")
		bar.AtMost(b, "p99-write-ms", total.P99*1000, max(mostWait, limitP99)) // a machine that is too busy for the one is for the other
		bar.AtMost(b, "runs/event", total.Executions/float64(ours.sent), 1)
		limit.stop()
		ours.stop()
	}
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}

// BenchmarkIdleConnection is the memory of a connection that waits.
func BenchmarkIdleConnection(b *testing.B) {
	idle := func(name string) float64 {
		s := start(b, name)
		before := s.usage(b, "?collect")
		c := s.connect(b, connections, equal)
		defer c.close()
		<-time.After(time.Second) // the last subscriptions are being let in
		after := s.usage(b, "?collect")
		return (float64(after.Memory) - float64(before.Memory)) / connections
	}
	for b.Loop() {
		limit, ours := idle("limit"), idle("sluice")
		b.ReportMetric(ours/limit, "x-limit")
		b.ReportMetric(limit/1000, "limit-KB")
		bar.AtMost(b, "KB", ours/1000, 9)
	}
}

// BenchmarkDifferentFilters is CPU per event where each connection wants something else, and one of
// them what happens: with few and with many connections.
func BenchmarkDifferentFilters(b *testing.B) {
	cost := func(n int) time.Duration {
		s := start(b, "sluice")
		c := s.connect(b, n, func(i int) string {
			return fmt.Sprintf(`subscription { activityAdded(filter: {telescope: "t%d"}) { title } }`, i+1)
		})
		c.read()
		<-time.After(500 * time.Millisecond) // the last subscriptions are being let in
		const events = 100
		before := s.usage(b, "")
		for range events {
			s.publish(b, 1)
		}
		c.await(b, min(events, int64(n)))
		return (s.usage(b, "").CPU - before.CPU) / events
	}
	for b.Loop() {
		few, many := cost(100), cost(connections)
		b.ReportMetric(float64(few.Microseconds()), "µs/event-of-100")
		b.ReportMetric(float64(many.Microseconds()), "µs/event-of-2000")
		bar.AtMost(b, "x", float64(many)/float64(few), 2)
	}
}
