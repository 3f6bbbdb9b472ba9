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
)

const (
	connections = 2000
	textBytes   = 200
	measured    = 5 * time.Second
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
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return &server{addr: strings.TrimSpace(addr), cmd: cmd}
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

func (c *clients) percentile(p float64) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.waits)
	return c.waits[int(p*float64(len(c.waits)-1))]
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

// deliver publishes at the rate and gives the CPU per delivery.
func (s *server) deliver(b *testing.B, l load) (perDelivery, p99 time.Duration, executions float64) {
	b.Helper()
	c := s.connect(b, l.connections, equal)
	defer c.close()
	c.read()
	<-time.After(500 * time.Millisecond) // the last subscriptions are being let in
	s.publish(b, 1)
	c.await(b, int64(l.connections))
	before := s.usage(b, "")
	bursts := int(measured.Seconds()) * l.rate
	events := int64(bursts * l.burst)
	tick := time.NewTicker(time.Second / time.Duration(l.rate))
	defer tick.Stop()
	for range bursts {
		<-tick.C
		s.publish(b, l.burst)
	}
	c.await(b, int64(l.connections)*(events+1))
	after := s.usage(b, "")
	return (after.CPU - before.CPU) / time.Duration(int64(l.connections)*events), c.percentile(0.99), (after.Executions - before.Executions) / float64(events)
}

// BenchmarkOneEventToAll is CPU per delivery as a multiple of the bare server's.
func BenchmarkOneEventToAll(b *testing.B) { compare(b, load{connections, 20, 1}) }

// BenchmarkBacklog is the same with more events than can be written one by one.
func BenchmarkBacklog(b *testing.B) { compare(b, load{500, 5, 100}) }

func compare(b *testing.B, l load) {
	for b.Loop() {
		limit, limitP99, _ := start(b, "limit").deliver(b, l)
		ours, p99, executions := start(b, "sluice").deliver(b, l)
		b.ReportMetric(float64(ours)/float64(limit), "x-limit")
		b.ReportMetric(float64(limit.Nanoseconds())/1000, "limit-µs/delivery")
		b.ReportMetric(float64(ours.Nanoseconds())/1000, "µs/delivery")
		b.ReportMetric(float64(limitP99.Microseconds())/1000, "limit-p99-ms")
		b.ReportMetric(float64(p99.Microseconds())/1000, "p99-ms")
		b.ReportMetric(executions, "runs/event")
	}
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
		b.ReportMetric(ours/1000, "KB")
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
		b.ReportMetric(float64(many)/float64(few), "x")
	}
}
