package ingress_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/internal/worker"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/devicetest"
	"github.com/sluicehq/sluice/services/device/ingress"
	"github.com/sluicehq/sluice/services/device/presence"
	"github.com/sluicehq/sluice/services/device/registry"
	"github.com/sluicehq/sluice/services/device/rpc"
	"github.com/sluicehq/sluice/services/device/store"
)

const soon = 20 * time.Second

func limits() ingress.Limits {
	return ingress.Limits{
		MaxPacket: 68 << 10, ConnectTimeout: 2 * time.Second, MaxKeepAlive: time.Minute, WriteQueue: 256 << 10, WriteTimeout: time.Second,
		Connections: 4, SessionTTL: time.Hour, Subscriptions: 8, Messages: 10_000, Bytes: 64 << 20, Burst: time.Second,
		Unauthenticated: 100, UnauthenticatedPerAddress: 50,
	}
}

// site is a device service with a listener.
type site struct {
	*assembly.Service
	db       *sqldb.DB
	store    *store.Store
	listener *ingress.Listener
}

func open(t testing.TB, change func(l *ingress.Limits)) *site {
	t.Helper()
	bounds := limits()
	if change != nil {
		change(&bounds)
	}
	return openOn(t, sqltest.OpenSQLite(t, store.Migrations()), bounds)
}

// openOn opens a process on the database.
func openOn(t testing.TB, db *sqldb.DB, bounds ingress.Limits) *site {
	t.Helper()
	return openWith(t, db, bounds, func(*ingress.Options) {})
}

func openWith(t testing.TB, db *sqldb.DB, bounds ingress.Limits, change func(*ingress.Options)) *site {
	t.Helper()
	s := &site{db: db, store: store.New(db, rpc.Encoding())}
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	options := ingress.Options{Addr: "127.0.0.1:0", Limits: bounds, Clock: clock.System{}, Logger: logger}
	change(&options)
	var err error
	s.listener, err = ingress.Listen(t.Context(), s.store, options)
	if err != nil {
		t.Fatal(err)
	}
	s.Service = assembly.New(s.store, clock.System{}, assembly.Options{Downlink: s.listener, Connections: s.listener, Logger: logger})
	tracker := presence.NewTracker(s.store, s.listener, clock.System{}, logger, presence.Options{
		Grace: time.Second, Wait: time.Minute, Sweep: time.Second, Compare: time.Minute, Welcome: s.listener.Greet,
	})
	following := worker.New(tracker.Loop(), worker.Options{Logger: logger})
	following.Start(context.Background())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- s.listener.Run(ctx, ingress.Parts{Registry: s.Registry, Uplink: s.Uplink, Tracker: tracker})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := following.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *site) register(t testing.TB) registry.Registration {
	t.Helper()
	r, err := s.Registry.Register(devicetest.As(t, caller.System), registry.RegisterInput{Name: "press", Kind: device.Sensor})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// client is a raw socket.
type client struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func (s *site) dial(t testing.TB) *client {
	t.Helper()
	conn, err := net.Dial("tcp", s.listener.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{Conn: conn, t: t, r: bufio.NewReader(conn)}
}

func text(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

func packet(first byte, body ...[]byte) []byte {
	all := bytes.Join(body, nil)
	out := []byte{first}
	for n := len(all); ; {
		b := byte(n & 0x7F)
		if n >>= 7; n > 0 {
			b |= 0x80
		}
		out = append(out, b)
		if n == 0 {
			return append(out, all...)
		}
	}
}

// connectPacket is a CONNECT with a user name and a password. properties count for version 5.
func connectPacket(version byte, clean bool, clientID, user, password string, properties ...byte) []byte {
	flags := byte(0xC0)
	if clean {
		flags |= 2
	}
	body := [][]byte{text("MQTT"), {version, flags, 0, 60}}
	if version == 5 {
		body = append(body, append([]byte{byte(len(properties))}, properties...))
	}
	return packet(0x10, append(body, text(clientID), text(user), text(password))...)
}

func publishPacket(version byte, qos byte, id uint16, topic, payload string) []byte {
	body := [][]byte{text(topic)}
	if qos > 0 {
		body = append(body, binary.BigEndian.AppendUint16(nil, id))
	}
	if version == 5 {
		body = append(body, []byte{0})
	}
	return packet(0x30|qos<<1, append(body, []byte(payload))...)
}

func subscribePacket(version byte, id uint16, filter string, qos byte) []byte {
	body := [][]byte{binary.BigEndian.AppendUint16(nil, id)}
	if version == 5 {
		body = append(body, []byte{0})
	}
	return packet(0x82, append(body, text(filter), []byte{qos})...)
}

func (c *client) send(data ...[]byte) {
	c.t.Helper()
	if _, err := c.Write(bytes.Join(data, nil)); err != nil {
		c.t.Fatal(err)
	}
}

// next reads a packet; nil at the end of the connection.
func (c *client) next() []byte {
	c.t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(soon)); err != nil {
		c.t.Fatal(err)
	}
	first, err := c.r.ReadByte()
	if err != nil {
		if n, ok := err.(net.Error); ok && n.Timeout() {
			c.t.Fatal("the server neither answers nor closes")
		}
		return nil
	}
	length := 0
	for shift := 0; ; shift += 7 {
		b, err := c.r.ReadByte()
		if err != nil {
			return nil
		}
		if length |= int(b&0x7F) << shift; b&0x80 == 0 {
			break
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(c.r, body); err != nil {
		return nil
	}
	return append([]byte{first}, body...)
}

func (c *client) want(what string, want ...byte) {
	c.t.Helper()
	if got := c.next(); !bytes.Equal(got, want) {
		c.t.Fatalf("%s: got % x, want % x", what, got, want)
	}
}

func (c *client) wantClosed(what string) {
	c.t.Helper()
	if got := c.next(); got != nil {
		c.t.Fatalf("%s: got % x, want the end of the connection", what, got)
	}
}

// wantDisconnect reads a DISCONNECT of MQTT 5 with the code, and the end.
func (c *client) wantDisconnect(what string, code byte) {
	c.t.Helper()
	if got := c.next(); len(got) < 2 || got[0] != 0xE0 || got[1] != code {
		c.t.Fatalf("%s: got % x, want DISCONNECT %#x", what, got, code)
	}
	c.wantClosed(what)
}

// join connects a device and reads CONNACK.
func (s *site) join(t testing.TB, version byte, r registry.Registration, clientID string, clean bool, properties ...byte) (c *client, connack []byte) {
	t.Helper()
	c = s.dial(t)
	c.send(connectPacket(version, clean, clientID, r.Device.ID, r.Secret, properties...))
	connack = c.next()
	if len(connack) < 3 || connack[0] != 0x20 || connack[2] != 0 {
		t.Fatalf("refused with % x", connack)
	}
	return c, connack
}

// events waits until the events of the device have the type, and returns the newest of it.
func (s *site) events(t *testing.T, id string, what device.EventType, words string) device.Event {
	t.Helper()
	st := &devicetest.Station{Service: s.Service, Store: s.store}
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		for _, e := range st.Events(t, id) {
			if e.Type == what && strings.Contains(e.Message, words) {
				return e
			}
		}
	}
	t.Fatalf("no event %s with %q: %+v", what, words, st.Events(t, id))
	panic("unreachable")
}
