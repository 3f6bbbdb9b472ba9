package chaos

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
)

// worker is a device at work: it publishes readings by the clock, whatever happens (open loop), publishes again what got
// no PUBACK after each reconnect, and executes each command once.
type worker struct {
	harness.Device
	addr func() string // where it connects next
	away chan struct{} // closed: it does not reconnect

	mu       sync.Mutex
	conn     net.Conn // nil while it is not connected
	nextID   uint16
	pending  []statement // without PUBACK, the oldest first
	executed map[string]bool
	answered map[string]time.Time // PUBACK of the result, by command
	readings int                  // published
	latency  []time.Duration      // from the due time of a reading to its PUBACK
	joined   int                  // accepted connections
	refused  int                  // CONNACKs with an error
}

type statement struct {
	packetID       uint16
	topic, payload string
	due            time.Time // of a reading
	command        string    // of a result
}

var errNotAccepted = errors.New("the connection is not accepted")

func newWorker(d harness.Device, addr func() string) *worker {
	return &worker{Device: d, addr: addr, away: make(chan struct{}), executed: map[string]bool{}, answered: map[string]time.Time{}}
}

// run connects, again and again, until ctx ends.
func (w *worker) run(ctx context.Context) {
	for pause := 50 * time.Millisecond; ctx.Err() == nil; pause = min(2*pause, 2*time.Second) {
		before := w.count(&w.joined)
		w.connection(ctx)
		if w.count(&w.joined) > before {
			pause = 50 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-w.away:
			<-ctx.Done()
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}

func (w *worker) count(n *int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return *n
}

// connection serves one connection until it ends.
func (w *worker) connection(ctx context.Context) {
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", w.addr())
	if err != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }()
	r := bufio.NewReaderSize(conn, 512)
	if err := w.join(conn, r); err != nil {
		return
	}
	defer func() {
		w.mu.Lock()
		w.conn = nil
		w.mu.Unlock()
	}()
	for {
		first, body, err := readPacket(r)
		if err != nil {
			return
		}
		switch first >> 4 {
		case 3:
			w.execute(first, body)
		case 4:
			w.acknowledged(binary.BigEndian.Uint16(body))
		}
	}
}

func (w *worker) join(conn net.Conn, r *bufio.Reader) error {
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := conn.Write(append(connectPacket(4, 0, w.ID, w.ID, w.Secret), subscribePacket(1, "devices/"+w.ID+"/commands")...)); err != nil {
		return err
	}
	first, body, err := readPacket(r)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if first != 0x20 || len(body) < 2 || body[1] != 0 {
		w.refused++
		return errNotAccepted
	}
	_ = conn.SetDeadline(time.Time{})
	w.joined++
	w.conn = conn
	for _, s := range w.pending {
		w.write(s)
	}
	return nil
}

// write writes to the connection; what it does not write stays pending.
func (w *worker) write(s statement) {
	if w.conn != nil {
		_ = w.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if _, err := w.conn.Write(publishPacket(1, s.packetID, "devices/"+w.ID+"/"+s.topic, s.payload)); err != nil {
			_ = w.conn.Close()
		}
	}
}

func (w *worker) publish(s statement) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.nextID++; w.nextID == 0 {
		w.nextID = 1
	}
	s.packetID = w.nextID
	w.pending = append(w.pending, s)
	if !s.due.IsZero() {
		w.readings++
	}
	w.write(s)
}

// work publishes a reading each interval until the end.
func (w *worker) work(ctx context.Context, every time.Duration, until time.Time) {
	due := time.Now().Add(rand.N(every))
	for ; due.Before(until) && ctx.Err() == nil; due = due.Add(every) {
		time.Sleep(time.Until(due)) // an open loop is by the clock
		w.publish(statement{topic: "telemetry", payload: fmt.Sprintf(`{"at": %d, "values": {"t": 1}}`, due.UnixMilli()), due: due})
	}
}

func (w *worker) acknowledged(packetID uint16) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.pending, func(s statement) bool { return s.packetID == packetID })
	if i < 0 {
		return
	}
	now, s := time.Now(), w.pending[i]
	w.pending = slices.Delete(w.pending, i, i+1)
	if !s.due.IsZero() {
		w.latency = append(w.latency, now.Sub(s.due))
	}
	if s.command != "" {
		w.answered[s.command] = now
	}
}

func (w *worker) execute(first byte, body []byte) {
	topic := 2 + int(binary.BigEndian.Uint16(body))
	if first&6 != 0 {
		w.mu.Lock()
		if w.conn != nil {
			_, _ = w.conn.Write([]byte{0x40, 2, body[topic], body[topic+1]}) // the reader finds out that it has ended
		}
		w.mu.Unlock()
		topic += 2
	}
	var c struct{ ID string }
	if err := json.Unmarshal(body[topic:], &c); err != nil {
		return
	}
	w.mu.Lock()
	repeated := w.executed[c.ID]
	w.executed[c.ID] = true
	w.mu.Unlock()
	if !repeated {
		w.publish(statement{topic: "commands/ack", payload: fmt.Sprintf(`{"id":%q}`, c.ID)})
		w.publish(statement{topic: "commands/result", payload: fmt.Sprintf(`{"id":%q,"ok":true}`, c.ID), command: c.ID})
	}
}

// fleet is devices at work.
type fleet struct {
	workers []*worker
	cancel  context.CancelFunc
	ctx     context.Context
	running sync.WaitGroup
}

// startFleet registers devices and connects them.
func startFleet(t *testing.T, p *harness.Program, token string, n int, addr func(i int) func() string) *fleet {
	t.Helper()
	f := &fleet{}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	t.Cleanup(f.stop)
	f.workers = make([]*worker, n)
	var registering sync.WaitGroup
	const together = 8
	for k := range together {
		registering.Go(func() {
			for i := k; i < n; i += together {
				f.workers[i] = newWorker(p.RegisterDevice(t, token, "SENSOR"), addr(i))
			}
		})
	}
	registering.Wait()
	for _, w := range f.workers {
		f.running.Go(func() { w.run(f.ctx) })
	}
	f.awaitConnected(t, n, harness.Timeout)
	return f
}

func (f *fleet) stop() {
	f.cancel()
	f.running.Wait()
}

func (f *fleet) connected() (n int) {
	for _, w := range f.workers {
		w.mu.Lock()
		if w.conn != nil {
			n++
		}
		w.mu.Unlock()
	}
	return n
}

func (f *fleet) awaitConnected(t *testing.T, n int, limit time.Duration) {
	t.Helper()
	harness.Eventually(t, limit, fmt.Sprintf("%d devices are connected", n), func() bool { return f.connected() >= n })
}

// awaitFirstAcknowledged waits until each device has got a PUBACK for a reading.
func (f *fleet) awaitFirstAcknowledged(t *testing.T, limit time.Duration) {
	t.Helper()
	harness.Eventually(t, limit, "each device has published", func() bool {
		for _, w := range f.workers {
			w.mu.Lock()
			n := len(w.latency)
			w.mu.Unlock()
			if n == 0 {
				return false
			}
		}
		return true
	})
}

// awaitAcknowledged waits until nothing is pending.
func (f *fleet) awaitAcknowledged(t *testing.T, limit time.Duration) {
	t.Helper()
	harness.Eventually(t, limit, "all messages are acknowledged", func() bool {
		for _, w := range f.workers {
			w.mu.Lock()
			n := len(w.pending)
			w.mu.Unlock()
			if n > 0 {
				return false
			}
		}
		return true
	})
}

// latencies removes and returns the latencies of the readings so far.
func (f *fleet) latencies() (all []time.Duration) {
	for _, w := range f.workers {
		w.mu.Lock()
		all = append(all, w.latency...)
		w.latency = nil
		w.mu.Unlock()
	}
	return all
}

// percentile returns the value at the fraction of the sorted durations.
func percentile(all []time.Duration, fraction float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(float64(len(all))*fraction))].Round(100 * time.Microsecond)
}

// checkStored compares the stored readings of each device with those that it published: each once.
func (f *fleet) checkStored(t *testing.T, p *harness.Program, token string) (total int) {
	t.Helper()
	const query = `query($id: ID!, $from: DateTime!) { device(id: $id) { telemetry(keys: ["t"], from: $from, to: "2100-01-01T00:00:00Z") { points { at } } } }`
	from := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	for _, w := range f.workers {
		got := harness.Query[struct {
			Device struct {
				Telemetry []struct{ Points []struct{ At time.Time } }
			}
		}](t, p, token, query, harness.Vars{"id": w.ID, "from": from}).Device.Telemetry
		stored := 0
		if len(got) > 0 {
			stored = len(got[0].Points)
		}
		if total += stored; stored != w.readings {
			t.Errorf("%s: %d readings are stored of %d that were acknowledged", w.ID, stored, w.readings)
		}
	}
	return total
}
