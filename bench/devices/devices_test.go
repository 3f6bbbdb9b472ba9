package devices

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bench/bar"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/config"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/ingress"
	"github.com/sluicehq/sluice/services/device/presence"
	"github.com/sluicehq/sluice/services/device/registry"
	"github.com/sluicehq/sluice/services/device/rpc"
	"github.com/sluicehq/sluice/services/device/store"
)

const (
	devices    = 200
	window     = 20 // messages of a device without PUBACK
	measured   = 3 * time.Second
	ratioBar   = 0.35
	memoryBar  = 40 << 10
	crowd      = 5_000 // connections of the measurement of memory, opened twice
	readColumn = "device_id, key, at, value, arrived_at"
)

// served is a device service that listens.
type served struct {
	addr    string
	members []registry.Registration
}

func serve(b *testing.B, n int) served {
	b.Helper()
	db := openDB(b)
	rows := store.New(db, rpc.Encoding())
	logger := slog.New(slog.DiscardHandler)
	defaults, err := config.Default()
	if err != nil {
		b.Fatal(err)
	}
	c := defaults.MQTT
	listener, err := ingress.Listen(b.Context(), rows, ingress.Options{Addr: "127.0.0.1:0", Clock: clock.System{}, Logger: logger, Limits: ingress.Limits{
		MaxPacket: int(c.MaxPacket), ConnectTimeout: c.ConnectTimeout, MaxKeepAlive: c.MaxKeepAlive, WriteQueue: int(c.WriteQueue), WriteTimeout: c.WriteTimeout,
		Connections: c.MaxConnections, SessionTTL: c.SessionTTL, Subscriptions: c.MaxSubscriptions, Messages: c.MessageRate, Bytes: int(c.ByteRate), Burst: c.Burst,
		Unauthenticated: c.MaxUnauthenticated, UnauthenticatedPerAddress: c.MaxUnauthenticatedPerAddress,
	}})
	if err != nil {
		b.Fatal(err)
	}
	service := assembly.New(rows, clock.System{}, assembly.Options{Downlink: listener, Connections: listener})
	keeper := presence.NewTracker(rows, listener, clock.System{}, logger, presence.Options{
		Grace: time.Second, Wait: time.Minute, Sweep: time.Second, Compare: time.Minute, Welcome: listener.Greet,
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- listener.Run(ctx, ingress.Parts{Registry: service.Registry, Uplink: service.Uplink, Tracker: keeper})
	}()
	b.Cleanup(func() { cancel(); <-ended })
	return served{listener.Addr(), register(b, service, n)}
}

func register(b *testing.B, service *assembly.Service, n int) (members []registry.Registration) {
	b.Helper()
	system := caller.NewContext(b.Context(), caller.Caller{AccountID: "account_bench", Role: caller.System, Scopes: caller.ScopesOf(caller.System)})
	for range n {
		r, err := service.Registry.Register(system, registry.RegisterInput{Name: "bench", Kind: device.Sensor})
		if err != nil {
			b.Fatal(err)
		}
		members = append(members, r)
	}
	return members
}

func openDB(b *testing.B) *sqldb.DB {
	b.Helper()
	db, err := sqldb.Open(b.Context(), "sqlite:"+b.TempDir()+"/bench.db")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(b.Context(), store.Migrations()); err != nil {
		b.Fatal(err)
	}
	return db
}

// bare is the limit: a loop that reads packets, commits all that waits in one transaction, and acknowledges. It checks
// nothing and decodes nothing.
func bare(b *testing.B) string {
	b.Helper()
	db := openDB(b)
	owner := register(b, assembly.New(store.New(db, rpc.Encoding()), clock.System{}, assembly.Options{}), 1)[0].Device.ID
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = listener.Close() })
	type group struct {
		n    int
		done chan struct{}
	}
	queue := make(chan group, devices)
	var at atomic.Int64
	go func() {
		for first := range queue {
			all := []group{first}
			for len(queue) > 0 {
				all = append(all, <-queue)
			}
			var rows [][]any
			for _, g := range all {
				for range g.n {
					rows = append(rows, []any{owner, "t", at.Add(1), 1.5, 1})
				}
			}
			err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
				_, err := tx.Insert(context.Background(), "readings", readColumn, rows, "ON CONFLICT DO NOTHING")
				return err
			})
			if err != nil {
				panic(err)
			}
			for _, g := range all {
				close(g.done)
			}
		}
	}()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				r := bufio.NewReaderSize(conn, 4<<10)
				var acks []byte
				for {
					kind, id, err := readPacket(r)
					if err != nil {
						return
					}
					if kind == 1 {
						_, _ = conn.Write([]byte{0x20, 2, 0, 0})
						continue
					}
					acks = append(acks, 0x40, 2, byte(id>>8), byte(id))
					if r.Buffered() > 0 {
						continue
					}
					g := group{len(acks) / 4, make(chan struct{})}
					queue <- g
					<-g.done
					_, _ = conn.Write(acks)
					acks = acks[:0]
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// readPacket reads a packet, and returns its type and its packet id if it is a PUBLISH.
func readPacket(r *bufio.Reader) (kind byte, id uint16, err error) {
	first, err := r.ReadByte()
	if err != nil {
		return 0, 0, err
	}
	length := 0
	for shift := 0; ; shift += 7 {
		c, err := r.ReadByte()
		if err != nil {
			return 0, 0, err
		}
		if length |= int(c&0x7F) << shift; c&0x80 == 0 {
			break
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, 0, err
	}
	if kind = first >> 4; kind == 3 {
		topic := int(body[0])<<8 | int(body[1])
		id = binary.BigEndian.Uint16(body[2+topic:])
	}
	return kind, id, nil
}

func text(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

func packet(first byte, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	out := []byte{first}
	for n := len(body); ; {
		c := byte(n & 0x7F)
		if n >>= 7; n > 0 {
			c |= 0x80
		}
		if out = append(out, c); n == 0 {
			return append(out, body...)
		}
	}
}

func connect(b *testing.B, addr string, r registry.Registration) net.Conn {
	b.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := conn.Write(packet(0x10, text("MQTT"), []byte{4, 0xC2, 0, 60}, text(r.Device.ID), text(r.Device.ID), text(r.Secret))); err != nil {
		b.Fatal(err)
	}
	ack := make([]byte, 4)
	if _, err := io.ReadFull(conn, ack); err != nil || ack[3] != 0 {
		b.Fatal("not connected", ack, err)
	}
	return conn
}

// acknowledged is how many messages a second the server at the address acknowledges.
func acknowledged(b *testing.B, addr string, members []registry.Registration) float64 {
	b.Helper()
	var count atomic.Int64
	var all sync.WaitGroup
	until := time.Now().Add(measured)
	began := time.Now()
	for i, member := range members {
		conn := connect(b, addr, member)
		all.Go(func() {
			defer func() { _ = conn.Close() }()
			r := bufio.NewReader(conn)
			at := time.Now().UnixMilli()*1000 + int64(i)
			for n := 0; time.Now().Before(until); n++ {
				var burst []byte
				for k := range window {
					at++
					payload := fmt.Sprintf(`{"at":"%s","values":{"t":1.5}}`, time.UnixMicro(at).UTC().Format(time.RFC3339Nano))
					burst = append(burst, packet(0x32, text("devices/"+member.Device.ID+"/telemetry"), []byte{0, byte(k + 1)}, []byte(payload))...)
				}
				if _, err := conn.Write(burst); err != nil {
					return
				}
				for range window {
					if kind, _, err := readPacket(r); err != nil || kind != 4 {
						return
					}
					count.Add(1)
				}
			}
		})
	}
	all.Wait()
	return float64(count.Load()) / time.Since(began).Seconds()
}

func BenchmarkPublishAcknowledgedAfterCommit(b *testing.B) {
	for b.Loop() {
		product := serve(b, devices)
		limit := acknowledged(b, bare(b), product.members)
		got := acknowledged(b, product.addr, product.members)
		b.ReportMetric(got, "messages/s")
		bar.AtLeast(b, "x-of-the-bare-loop", got/limit, ratioBar)
	}
}

// The memory of a connection, its client's socket in this process included.
func BenchmarkMemoryOfAConnection(b *testing.B) {
	for b.Loop() {
		product := serve(b, crowd)
		before := inUse()
		var conns []net.Conn
		for round := range 2 {
			for _, c := range conns {
				_ = c.Close()
			}
			conns = conns[:0]
			for _, member := range product.members {
				conns = append(conns, connect(b, product.addr, member))
			}
			b.Logf("round %d: %d connections", round+1, len(conns))
		}
		bar.AtMost(b, "bytes/connection", float64(inUse()-before)/crowd, memoryBar)
		for _, c := range conns {
			_ = c.Close()
		}
	}
}

func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
