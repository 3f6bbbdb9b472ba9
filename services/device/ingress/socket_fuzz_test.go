package ingress_test

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/sluicehq/sluice/services/device/ingress"
	"github.com/sluicehq/sluice/services/device/registry"
)

// socket is a site for a fuzzer, with a witness: a device whose connection must survive what others send.
type socket struct {
	*site
	r       registry.Registration
	witness *client
}

func openSocket(f *testing.F) *socket {
	s := &socket{site: open(f, func(l *ingress.Limits) { l.Messages, l.Bytes = 10_000_000, 1<<40 })}
	s.r = s.register(f)
	r := s.register(f)
	s.witness, _ = s.join(f, 4, r, r.Device.ID, true)
	return s
}

// try sends the bytes over a connection of their own. What the server answers must be packets, and its end must come when
// the client closes its side. The witness is served at once.
func (s *socket) try(t *testing.T, data []byte) {
	// An address of its own, whose wrong secrets are not slowed.
	from := &net.TCPAddr{IP: net.IPv4(127, byte(rand.N(250)+1), byte(rand.N(250)), byte(rand.N(250)+1))}
	conn, err := (&net.Dialer{LocalAddr: from}).DialContext(t.Context(), "tcp", s.listener.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	c := &client{Conn: conn, t: t, r: bufio.NewReader(conn)}
	if _, err := conn.Write(data); err == nil {
		_ = conn.(*net.TCPConn).CloseWrite() // the server may have closed already
	}
	for {
		got := c.next()
		if got == nil {
			break
		}
		if kind := got[0] >> 4; !bytes.Contains([]byte{2, 3, 4, 9, 11, 13, 14}, []byte{kind}) {
			t.Fatalf("the server sends a packet of type %d: % x", kind, got)
		}
	}
	s.witness.t = t
	s.witness.send([]byte{0xC0, 0})
	s.witness.want("PINGRESP", 0xD0)
}

// body is a packet of the type with the bytes behind the fixed header, and then a PINGREQ.
func body(first byte, data []byte) []byte { return append(packet(first, data), 0xC0, 0) }

func FuzzConnect(f *testing.F) {
	s := openSocket(f)
	for version := range byte(7) {
		whole := connectPacket(version, true, s.r.Device.ID, s.r.Device.ID, s.r.Secret)
		f.Add(byte(0x10), whole[2:])
		f.Add(byte(0x10), whole[2:len(whole)-8])
	}
	f.Add(byte(0x10), append(text("MQIsdp"), 3, 0, 0, 0))
	f.Add(byte(0x1F), []byte{})
	f.Add(byte(0x10), append(append(text("MQTT"), 5, 0xEE, 0, 60, 0), bytes.Join([][]byte{text("x"), {5, 0x18, 0, 0, 0, 1}, text("t"), text("p"), text("u"), text("s")}, nil)...))
	f.Fuzz(func(t *testing.T, first byte, data []byte) { s.try(t, body(0x10|first&0x0F, data)) })
}

// afterConnect fuzzes packets of an accepted connection, by their bytes behind the fixed header.
func afterConnect(f *testing.F, kind byte, seeds func(version byte, id string) [][]byte) {
	s := openSocket(f)
	for _, version := range []byte{4, 5} {
		for _, seed := range seeds(version, s.r.Device.ID) {
			f.Add(version == 5, seed[0], seed[2:])
		}
	}
	n := 0
	f.Fuzz(func(t *testing.T, five bool, flags byte, data []byte) {
		version := byte(4)
		if five {
			version = 5
		}
		n++
		data = bytes.ReplaceAll(data, []byte("$ID"), []byte(s.r.Device.ID))
		s.try(t, append(connectPacket(version, true, fmt.Sprint(s.r.Device.ID, "-", n%4), s.r.Device.ID, s.r.Secret), body(kind|flags&0x0F, data)...))
	})
}

func FuzzPublish(f *testing.F) {
	afterConnect(f, 0x30, func(version byte, id string) (seeds [][]byte) {
		for _, topic := range []string{"telemetry", "position", "state", "events", "config/reported", "commands/ack", "commands/log", "commands/result", "x", ""} {
			for qos := range byte(4) {
				seeds = append(seeds, publishPacket(version, qos, 1, "devices/$ID/"+topic, `{"t": 1}`))
			}
		}
		return append(seeds, publishPacket(version, 1, 0, "devices/#", ""), publishPacket(version, 1, 7, "a\x00b", "\xff"))
	})
}

func FuzzSubscribe(f *testing.F) {
	afterConnect(f, 0x80, func(version byte, id string) [][]byte {
		return [][]byte{
			subscribePacket(version, 1, "devices/$ID/#", 1), subscribePacket(version, 1, "#", 2), subscribePacket(version, 0, "", 3),
			subscribePacket(version, 1, "$share/g/devices/$ID/#", 1), {0x82, 5, 0, 1, 0, 0, 0}, {0x82, 3, 0, 1, 0}, {0xA2, 2, 0, 1},
		}
	})
}

// Properties of PUBLISH, SUBSCRIBE, UNSUBSCRIBE, PUBACK and DISCONNECT.
func FuzzProperties(f *testing.F) {
	s := openSocket(f)
	for _, seed := range []string{"", "\x01\x01", "\x02\x00\x00\x00\x05", "\x03\x00\x01a", "\x08\x00\x01a", "\x09\x00\x01a", "\x0b\x01", "\x0b\xff\xff\xff\x7f",
		"\x11\x00\x00\x00\x05", "\x1f\x00\x01a", "\x21\x00\x00", "\x22\xff\xff", "\x23\x00\x01", "\x23\x00\x00", "\x24\x02", "\x26\x00\x01a\x00\x01b", "\x27\x00\x00\x00\x00", "\x7f"} {
		for kind := range byte(5) {
			f.Add(kind, byte(len(seed)), []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, kind, length byte, properties []byte) {
		properties = append([]byte{length}, properties...)
		topic := text("devices/" + s.r.Device.ID + "/telemetry")
		packets := [][]byte{
			packet(0x32, topic, []byte{0, 1}, properties, []byte(`{"t": 1}`)), packet(0x82, []byte{0, 1}, properties, topic, []byte{1}),
			packet(0xA2, []byte{0, 1}, properties, topic), packet(0x40, []byte{0, 1, 0}, properties), packet(0xE0, []byte{0}, properties),
		}
		s.try(t, append(connectPacket(5, true, s.r.Device.ID, s.r.Device.ID, s.r.Secret), append(packets[kind%5], 0xC0, 0)...))
	})
}
