// Package ingress is the listener for devices: MQTT 3.1.1 and 5 over TCP, TLS and WebSocket.
//
// PUBACK means stored: it follows the commit of the message's transaction. A message that cannot be stored now has no
// PUBACK, and after retries its connection is closed. A message that is refused for good is acknowledged, with a
// reason code in MQTT 5, and noted in the device's events.
//
// Everything that a device can occupy is bounded per device: message and byte rates, connections, sessions,
// subscriptions, the write queue. Each connection has one goroutine, which reads. Writers use a bounded queue; a slow
// consumer is closed.
//
// Any number of processes listen. The store has the owner of each session, with an ascending generation; a connection
// without the highest generation closes. Messages between processes only speed this up.
package ingress

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/presence"
	"github.com/sluicehq/sluice/services/device/registry"
	"github.com/sluicehq/sluice/services/device/uplink"
)

// Limits bound the resources of clients.
type Limits struct {
	MaxPacket      int           // bytes
	ConnectTimeout time.Duration // from the first byte to the end of CONNECT
	MaxKeepAlive   time.Duration
	WriteQueue     int           // bytes
	WriteTimeout   time.Duration // of one write to a client that does not read

	Connections   int           // and sessions, per device
	SessionTTL    time.Duration // of a session without a connection
	Subscriptions int           // per session
	Messages      int           // per second and device
	Bytes         int           // per second and device
	Burst         time.Duration // of both rates

	Unauthenticated           int // connections before an accepted CONNECT, in all
	UnauthenticatedPerAddress int
}

// Peers notifies the other processes. Notifications may be lost.
type Peers interface {
	Notify(subject string, data []byte) error
	Listen(ctx context.Context, subject string, handle func(data []byte)) error
}

// Options configure a Listener. Limits are required.
type Options struct {
	Addr   string      // host:port; "" accepts WebSockets only
	TLS    *tls.Config // nil for none
	Limits Limits
	Clock  clock.Clock
	Logger *slog.Logger
	// RestartGrace is the time for devices to reconnect after the end of the process that held their connections.
	RestartGrace time.Duration
	// ProxyToken authenticates a reverse proxy, whose X-Forwarded-For is trusted; "" trusts none.
	ProxyToken string
}

// Listener accepts devices. It is the downlink of the device service, and lists connected devices. It is safe for
// concurrent use.
type Listener struct {
	options  Options
	limits   Limits
	sessions Sessions
	writes   *writes
	logger   *slog.Logger
	tcp      net.Listener // nil without Addr
	notices  *device.Pace
	limiters *limiters
	guests   *guests
	commits  *committer
	running  sync.WaitGroup // connections

	// Set by Run.
	ready    chan struct{} // closed when these are set
	registry *registry.Service
	uplink   *uplink.Service
	tracker  *presence.Tracker
	peers    Peers
	ctx      context.Context

	mu      sync.Mutex
	closed  bool
	conns   map[Key]*conn
	devices map[string]map[*conn]struct{}
	welcome welcomes
}

// Listen binds the address. Clients wait until Run.
func Listen(ctx context.Context, sessions Sessions, options Options) (*Listener, error) {
	l := &Listener{
		options: options, limits: options.Limits, sessions: sessions, writes: newWrites(sessions, options.Logger), logger: options.Logger,
		notices: device.NewPace(), limiters: newLimiters(options.Limits), guests: newGuests(options.Limits),
		ready: make(chan struct{}), conns: map[Key]*conn{}, devices: map[string]map[*conn]struct{}{},
		welcome: welcomes{running: map[string]bool{}, slots: make(chan struct{}, welcomesAtOnce)},
	}
	if options.Addr == "" {
		return l, nil
	}
	var err error
	l.tcp, err = (&net.ListenConfig{}).Listen(ctx, "tcp", options.Addr)
	if err != nil {
		return nil, err
	}
	if options.TLS != nil {
		l.tcp = tls.NewListener(l.tcp, options.TLS)
	}
	return l, nil
}

// Addr returns the TCP address; "" without one.
func (l *Listener) Addr() string {
	if l.tcp == nil {
		return ""
	}
	return l.tcp.Addr().String()
}

// Close closes a listener that was not run.
func (l *Listener) Close() error {
	if l.tcp == nil {
		return nil
	}
	if err := l.tcp.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Parts are the dependencies of the listener. Peers is nil for a single process.
type Parts struct {
	Registry *registry.Service
	Uplink   *uplink.Service
	Tracker  *presence.Tracker
	Peers    Peers
}

// drainTimeout bounds the end of connections at shutdown.
const drainTimeout = 3 * time.Second

// Run accepts devices until ctx ends. Then it closes all connections; their sessions remain.
func (l *Listener) Run(ctx context.Context, parts Parts) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	l.registry, l.uplink, l.tracker, l.peers, l.ctx = parts.Registry, parts.Uplink, parts.Tracker, parts.Peers, running
	l.commits = newCommitter(parts.Uplink, l.logger)
	close(l.ready)
	var background sync.WaitGroup
	background.Go(func() { l.commits.run(running) })
	background.Go(func() { l.writes.loop(running) })
	background.Go(func() { l.watchPeers(ctx) })
	background.Go(func() { l.watchNodes(ctx) })
	background.Go(func() { l.limiters.sweep(ctx) })
	failed := make(chan error, 1)
	if l.tcp != nil {
		background.Go(func() { failed <- l.accept(ctx) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	err = errors.Join(err, l.Close())
	l.drain()
	if _, failure := l.sessions.ReleaseNode(running, "", l.options.Clock.Now(), l.options.RestartGrace); failure != nil {
		l.logger.Warn("the sessions of this process are not released", "error", failure)
	}
	stop()
	background.Wait()
	return err
}

// accept serves TCP connections. It retries after a temporary error, such as too many open files.
func (l *Listener) accept(ctx context.Context) error {
	for {
		accepted, err := l.tcp.Accept()
		switch {
		case err == nil:
			l.serve(accepted, addressOf(accepted.RemoteAddr().String()))
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil
		default:
			l.logger.Warn("a device cannot be accepted", "error", err)
			sleep(ctx, 100*time.Millisecond)
		}
	}
}

func (l *Listener) serve(accepted net.Conn, address string) {
	c := newConn(l, accepted, address)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = accepted.Close() // it is refused
		return
	}
	l.running.Go(c.run)
}

func (l *Listener) drain() {
	l.mu.Lock()
	l.closed = true
	conns := make([]*conn, 0, len(l.conns))
	for _, c := range l.conns {
		conns = append(conns, c)
	}
	l.mu.Unlock()
	for _, c := range conns {
		c.close(shuttingDown)
	}
	l.guests.closeAll()
	ended := make(chan struct{})
	go func() { l.running.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(drainTimeout):
	}
}

// Connections returns the number of connected clients.
func (l *Listener) Connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// add registers a connection under its generation, and closes the earlier connection of its session. It returns false
// if a later generation is registered.
func (l *Listener) add(c *conn) bool {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	before := l.conns[c.key]
	if before != nil && before.generation > c.generation {
		l.mu.Unlock()
		return false
	}
	l.conns[c.key] = c
	if l.devices[c.key.DeviceID] == nil {
		l.devices[c.key.DeviceID] = map[*conn]struct{}{}
	}
	if before != nil {
		delete(l.devices[c.key.DeviceID], before)
	}
	l.devices[c.key.DeviceID][c] = struct{}{}
	l.mu.Unlock()
	if before != nil {
		before.close(takenOver)
	}
	return true
}

// remove reports whether the connection was still registered, and not taken over in this process.
func (l *Listener) remove(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns[c.key] != c {
		return false
	}
	delete(l.conns, c.key)
	if all := l.devices[c.key.DeviceID]; len(all) > 1 {
		delete(all, c)
	} else {
		delete(l.devices, c.key.DeviceID)
	}
	return true
}

// of returns the connections of the device in this process, or all for "".
func (l *Listener) of(deviceID string) []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []*conn
	if deviceID == "" {
		for _, c := range l.conns {
			all = append(all, c)
		}
		return all
	}
	for c := range l.devices[deviceID] {
		all = append(all, c)
	}
	return all
}

// note adds an event to the device, at most a few of one type per minute. It does not wait.
func (l *Listener) note(deviceID string, what device.EventType, message string, data map[string]any) {
	name := string(what) + " " + deviceID
	now := l.options.Clock.Now()
	if !l.notices.May(name, device.Rate{AtOnce: 5, AMinute: 1}, now) {
		return
	}
	if data == nil {
		data = map[string]any{}
	}
	if skipped := l.notices.Skipped(name); skipped > 0 {
		data["unnoted"] = skipped
	}
	e, err := device.Noted(deviceID, now, what, message, "system", data)
	if err != nil || !l.writes.enqueue(deviceID, func(ctx context.Context) error { return l.uplink.Note(ctx, e) }) {
		l.logger.Warn("an event of a device is not noted", "device", deviceID, "type", what, "error", err)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func addressOf(hostPort string) string {
	if host, _, err := net.SplitHostPort(hostPort); err == nil {
		return host
	}
	return hostPort
}
