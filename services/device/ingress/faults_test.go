package ingress_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/ingress"
	"github.com/sluicehq/sluice/services/device/registry"
	"github.com/sluicehq/sluice/services/device/rpc"
	"github.com/sluicehq/sluice/services/device/store"
	"github.com/sluicehq/sluice/services/device/uplink"
)

func hashOf(secret string) string { return registry.HashSecret(secret) }

// devicetestStore is the store of another process on the same database.
func devicetestStore(s *site) *store.Store { return store.New(s.db, rpc.Encoding()) }

// alive fails the test unless the site still serves.
func (s *site) alive(t *testing.T) {
	t.Helper()
	r := s.register(t)
	c, _ := s.join(t, 4, r, r.Device.ID, true)
	c.send([]byte{0xC0, 0})
	c.want("PINGRESP", 0xD0)
}

// The server of the library ends with this packet.
func TestSubscribeWithoutOptionsIsMalformed(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	c, _ := s.join(t, 5, r, r.Device.ID, true)
	c.send([]byte{0x82, 0x05, 0x00, 0x01, 0x00, 0x00, 0x00})
	c.wantDisconnect("a filter without options", 0x81)
	s.alive(t)
}

func TestMalformedPacketsEndTheirConnectionAlone(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	for name, bad := range map[string][]byte{
		"length bytes without end":           {0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F},
		"a second CONNECT":                   connectPacket(5, true, "x", "y", "z"),
		"AUTH":                               {0xF0, 0x00},
		"flags of SUBSCRIBE":                 {0x80, 0x00},
		"quality 3":                          {0x36, 0x00},
		"PUBREL":                             {0x62, 0x02, 0x00, 0x01},
		"properties longer than the packet":  {0x32, 0x07, 0x00, 0x01, 'a', 0x00, 0x01, 0x7F, 0x01},
		"a topic with a wildcard":            publishPacket(5, 1, 1, "devices/#", "{}"),
		"a topic alias, which is not agreed": packet(0x32, text("a"), []byte{0, 1, 3, 0x23, 0, 1}),
		"a subscription identifier":          packet(0x82, []byte{0, 1, 2, 0x0B, 1}, text("devices/x"), []byte{1}),
		"an empty SUBSCRIBE":                 {0x82, 0x03, 0x00, 0x01, 0x00},
		"packet id 0":                        publishPacket(5, 1, 0, "devices/x/telemetry", "{}"),
	} {
		t.Run(name, func(t *testing.T) {
			r := s.register(t)
			c, _ := s.join(t, 5, r, r.Device.ID, true)
			c.send(bad)
			if got := c.next(); len(got) < 2 || got[0] != 0xE0 || got[1] < 0x80 {
				t.Errorf("got % x, want DISCONNECT", got)
			}
			c.wantClosed(name)
			s.events(t, r.Device.ID, ingress.Closed, "a connection was closed")
		})
	}
	s.alive(t)
}

func TestQoS2IsRefusedNotLowered(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	five, connack := s.join(t, 5, r, r.Device.ID+"-5", true)
	if !bytes.Contains(connack, []byte{0x24, 1}) {
		t.Errorf("CONNACK % x does not announce the maximum of 1", connack)
	}
	five.send(publishPacket(5, 2, 1, "devices/"+r.Device.ID+"/telemetry", `{"t": 1}`))
	five.wantDisconnect("quality of service 2", 0x9B)
	four, _ := s.join(t, 4, r, r.Device.ID+"-4", true)
	four.send(publishPacket(4, 2, 1, "devices/"+r.Device.ID+"/telemetry", `{"t": 1}`))
	four.wantClosed("quality of service 2")
}

func TestPacketTooLargeIsRefusedWithoutReadingIt(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	c, _ := s.join(t, 5, r, r.Device.ID, true)
	c.send([]byte{0x32, 0x80, 0x80, 0x40}) // 1 MiB is announced
	c.wantDisconnect("a packet of 1 MiB", 0x95)
	s.events(t, r.Device.ID, ingress.Closed, "packet too large")
}

// A device that does not read is closed, and holds up nobody who sends to it, cuts it or takes it over.
func TestClientThatDoesNotReadHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s := open(t, func(l *ingress.Limits) { l.WriteTimeout = time.Minute })
	r := s.register(t)
	c, _ := s.join(t, 4, r, r.Device.ID, true)
	c.send(subscribePacket(4, 1, "devices/"+r.Device.ID+"/commands", 0))
	c.want("SUBACK", 0x90, 0, 1, 0)
	m := device.DownMessage{DeviceID: r.Device.ID, Topic: device.DownCommands, Payload: bytes.Repeat([]byte("x"), 60<<10)}
	began := time.Now()
	for range 200 { // more than the buffers of the sockets and the queue hold
		if err := s.listener.Deliver(t.Context(), m); err != nil {
			break
		}
	}
	_, _ = s.join(t, 4, r, r.Device.ID, true)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("sending to a client that does not read takes %v", took)
	}
	s.events(t, r.Device.ID, ingress.Closed, "does not read")
}

func TestConnectMustArriveInTime(t *testing.T) {
	t.Parallel()
	s := open(t, func(l *ingress.Limits) { l.ConnectTimeout = 300 * time.Millisecond })
	silent, half, large := s.dial(t), s.dial(t), s.dial(t)
	half.send([]byte{0x10, 0x40, 0x00, 0x04})
	large.send([]byte{0x10, 0x80, 0x80, 0x40})
	began := time.Now()
	for _, c := range []*client{silent, half, large} {
		c.wantClosed("no CONNECT")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("they are closed after %v", took)
	}
}

// Half packets take no memory that has not arrived, and end by the keep-alive; a byte counts as a sign of life.
func TestKeepAliveEndsASilentConnection(t *testing.T) {
	t.Parallel()
	s := open(t, func(l *ingress.Limits) { l.MaxKeepAlive = time.Second })
	r := s.register(t)
	c, _ := s.join(t, 5, r, r.Device.ID, true)
	c.send([]byte{0x32, 0x80, 0x80, 0x04}) // 64 KiB are announced
	for range 4 {
		time.Sleep(700 * time.Millisecond) // within the keep-alive, which this test is about
		c.send([]byte{0})
	}
	c.wantDisconnect("silence", 0x8D)
}

func TestTwoConnectsOfOneClientLeaveOne(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	var all []*client
	for range 8 {
		c := s.dial(t)
		c.send(connectPacket(5, true, r.Device.ID, r.Device.ID, r.Secret))
		all = append(all, c)
	}
	ended := make(chan bool, len(all))
	for _, c := range all {
		go func() {
			_ = c.SetReadDeadline(time.Now().Add(3 * time.Second))
			r := bufio.NewReader(c)
			for {
				if _, err := r.ReadByte(); err != nil {
					n, ok := err.(net.Error)
					ended <- !(ok && n.Timeout())
					return
				}
			}
		}()
	}
	lives := 0
	for range all {
		if !<-ended {
			lives++
		}
	}
	if lives != 1 {
		t.Errorf("%d of 8 connections of one client live", lives)
	}
}

// Wrong secrets are slowed, and the right one is not.
func TestWrongSecretsAreSlowedAloneByAddress(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	for i := range 40 { // and hang, all at once
		s.dial(t).send(connectPacket(4, true, fmt.Sprint(r.Device.ID, "-", i), r.Device.ID, "wrong"))
	}
	began := time.Now()
	s.join(t, 4, r, r.Device.ID, true)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the right secret waits for %v", took)
	}
	began = time.Now()
	c := s.dial(t)
	c.send(connectPacket(4, true, r.Device.ID, r.Device.ID, "wrong"))
	c.want("CONNACK", 0x20, 0, 5)
	if took := time.Since(began); took < time.Second {
		t.Errorf("the 41st wrong secret is answered after %v", took)
	}
}

// Over the limit of connections without CONNECT the oldest is closed, not the newest.
func TestFloodOfConnectionsDoesNotRefuseOthers(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	for range 200 {
		s.dial(t)
	}
	s.alive(t)
}

// Secrets are in no log line and no event.
func TestSecretsAreNotNoted(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	c := s.dial(t)
	c.send(connectPacket(4, true, r.Device.ID, r.Device.ID, "open sesame"))
	c.want("CONNACK", 0x20, 0, 5)
	if e := s.events(t, r.Device.ID, ingress.Refused, "wrong secret"); strings.Contains(e.Message+e.Data, "sesame") {
		t.Errorf("noted %+v", e)
	}
}

// Packet ids of both directions are apart: what a device sends under an id answers nothing that it was sent under it.
func TestPacketIDsOfBothDirectionsAreApart(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	id := r.Device.ID
	c, _ := s.join(t, 4, r, id, true)
	c.send(subscribePacket(4, 9, "devices/"+id+"/#", 1))
	c.want("SUBACK", 0x90, 0, 9, 1)
	delivered := make(chan error, 1)
	go func() {
		delivered <- s.listener.Deliver(t.Context(), device.DownMessage{DeviceID: id, Topic: device.DownConfig, Payload: []byte("{}")})
	}()
	config := c.next()
	packetID := config[2+len("devices/"+id+"/config/desired"):][1:3]
	c.send(publishPacket(4, 1, uint16(packetID[1]), "devices/"+id+"/telemetry", `{"t": 1}`))
	c.want("PUBACK", 0x40, packetID[0], packetID[1])
	c.send(subscribePacket(4, uint16(packetID[1]), "devices/"+id+"/commands", 1))
	c.want("SUBACK", 0x90, packetID[0], packetID[1], 1)
	select {
	case err := <-delivered:
		t.Fatalf("the delivery ends with %v before its PUBACK", err)
	default:
	}
	c.send([]byte{0x40, 2, packetID[0], packetID[1]})
	if err := <-delivered; err != nil {
		t.Error(err)
	}
}

// Deliveries and acknowledgements run at once.
func TestDeliveriesWaitForNoOtherDelivery(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	id := r.Device.ID
	c, _ := s.join(t, 4, r, id, true)
	c.send(subscribePacket(4, 9, "devices/"+id+"/#", 1))
	c.want("SUBACK", 0x90, 0, 9, 1)
	const n = 200
	failures := make(chan error, n)
	for range 20 {
		go func() {
			for range n / 20 {
				failures <- s.listener.Deliver(t.Context(), device.DownMessage{DeviceID: id, Topic: device.DownConfig, Payload: []byte("{}")})
			}
		}()
	}
	for range n {
		got := c.next()
		at := 2 + len("devices/"+id+"/config/desired") + 1
		c.send([]byte{0x40, 2, got[at], got[at+1]})
	}
	for range n {
		if err := <-failures; err != nil {
			t.Fatal(err)
		}
	}
}

// What cannot be stored gets no PUBACK with any version: the connection ends, and MQTT 5 learns why.
func TestMessageThatCannotBeStoredIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	four, five := s.register(t), s.register(t)
	c4, _ := s.join(t, 4, four, four.Device.ID, true)
	c5, _ := s.join(t, 5, five, five.Device.ID, true)
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	c4.send(publishPacket(4, 1, 1, "devices/"+four.Device.ID+"/telemetry", `{"t": 1}`))
	c5.send(publishPacket(5, 1, 1, "devices/"+five.Device.ID+"/telemetry", `{"t": 1}`))
	c4.wantClosed("a message that cannot be stored")
	c5.wantDisconnect("a message that cannot be stored", 0x88)
}

func TestConnackAnnouncesTheLimits(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	_, connack := s.join(t, 5, r, r.Device.ID, true)
	for what, property := range map[string][]byte{
		"maximum quality of service": {0x24, 1}, "receive maximum": {0x21, 0x03, 0xE8}, "maximum packet size": {0x27, 0, 1, 0x10, 0},
		"no subscription identifiers": {0x29, 0}, "no shared subscriptions": {0x2A, 0},
	} {
		if !bytes.Contains(connack, property) {
			t.Errorf("CONNACK % x does not announce: %s", connack, what)
		}
	}
}

// RETAIN is ignored: a subscription gets nothing that was published before.
func TestRetainIsIgnored(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	c, _ := s.join(t, 4, r, r.Device.ID, true)
	retained := publishPacket(4, 1, 1, "devices/"+r.Device.ID+"/commands", `{"id": "x"}`)
	retained[0] |= 1
	c.send(retained)
	c.want("PUBACK", 0x40, 0, 1)
	c.send(subscribePacket(4, 2, "devices/"+r.Device.ID+"/#", 1), []byte{0xC0, 0})
	c.want("SUBACK", 0x90, 0, 2, 1)
	c.want("PINGRESP", 0xD0)
}

// A last will has the rules of a message: on another device's topic it is refused and noted.
func TestLastWillOnAnotherTopicIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r, other := s.register(t), s.register(t)
	c := s.dial(t)
	c.send(packet(0x10, text("MQTT"), []byte{4, 0xCE, 0, 60}, text(r.Device.ID), text("devices/"+other.Device.ID+"/events"), text(`{"type": "FORGED"}`),
		text(r.Device.ID), text(r.Secret)))
	c.want("CONNACK", 0x20, 0, 0)
	_ = c.Close()
	if e := s.events(t, r.Device.ID, uplink.Refused, "not a topic of this device"); !strings.Contains(e.Data, uplink.ReasonForeignTopic) {
		t.Errorf("noted as %+v", e)
	}
}
