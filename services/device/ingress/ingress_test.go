package ingress_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/command"
	"github.com/sluicehq/sluice/services/device/devicetest"
	"github.com/sluicehq/sluice/services/device/ingress"
	"github.com/sluicehq/sluice/services/device/registry"
	"github.com/sluicehq/sluice/services/device/telemetry"
	"github.com/sluicehq/sluice/services/device/twin"
	"github.com/sluicehq/sluice/services/device/uplink"
)

func (s *site) readings(t *testing.T, id string) int {
	t.Helper()
	series, err := s.store.Query(t.Context(), telemetry.Query{DeviceIDs: []string{id}, Keys: []string{"t"}, From: time.Unix(0, 0), To: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if len(series) == 0 {
		return 0
	}
	return len(series[0].Points)
}

func TestPublishAcknowledgedIsStored(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	for _, version := range []byte{4, 5} {
		c, _ := s.join(t, version, r, r.Device.ID, true)
		before := s.readings(t, r.Device.ID)
		var all [][]byte
		for i := range 50 {
			payload := fmt.Sprintf(`{"at": %d, "values": {"t": %d}}`, 1_700_000_000_000+i, int(version)*100+i)
			all = append(all, publishPacket(version, 1, uint16(i+1), "devices/"+r.Device.ID+"/telemetry", payload))
		}
		c.send(all...)
		for i := range 50 {
			c.want("PUBACK", 0x40, 0, byte(i+1))
		}
		if got := s.readings(t, r.Device.ID) - before; got != 50 {
			t.Errorf("version %d: %d readings are stored", version, got)
		}
		c.send([]byte{0xC0, 0})
		c.want("PINGRESP", 0xD0)
	}
}

func TestPublishRefusedIsAcknowledgedAndNoted(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	id := r.Device.ID
	four, _ := s.join(t, 4, r, id+"-4", true)
	five, _ := s.join(t, 5, r, id+"-5", true)
	for _, c := range []struct {
		topic, payload, noted string
		code                  byte
	}{
		{"devices/" + id + "/telemetry", "nonsense", "is not JSON", 0x99},
		{"devices/" + id + "/weather", "{}", "weather", 0x90},
		{"devices/device_other/telemetry", `{"t": 1}`, "not a topic of this device", 0x87},
		{"elsewhere", "{}", "elsewhere", 0x87},
		{"devices/" + id + "/telemetry", strings.Repeat("[", 40) + strings.Repeat("]", 40), "nests deeper", 0x99},
	} {
		four.send(publishPacket(4, 1, 7, c.topic, c.payload))
		four.want(c.topic, 0x40, 0, 7)
		five.send(publishPacket(5, 1, 7, c.topic, c.payload))
		if got := five.next(); len(got) < 5 || got[0] != 0x40 || got[3] != c.code || !strings.Contains(string(got), c.noted) {
			t.Errorf("%s: PUBACK % x %q, want code %#x and a reason", c.topic, got, got, c.code)
		}
		s.events(t, id, uplink.Refused, c.noted)
	}
}

// Of several items the good ones are stored, and each bad one is named.
func TestPublishSomeItemsBadStoresTheOthers(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	c, _ := s.join(t, 5, r, r.Device.ID, true)
	c.send(publishPacket(5, 1, 1, "devices/"+r.Device.ID+"/telemetry",
		`[{"at": 1700000000000, "values": {"t": 1}}, {"at": 1700000001000, "values": {"t": "warm", "u": null}}, 7, {"at": 1700000002000, "values": {"t": 2}}]`))
	if got := c.next(); len(got) < 5 || got[0] != 0x40 || got[3] != 0 || !strings.Contains(string(got), "3 of 5 items") {
		t.Errorf("PUBACK % x %q", got, got)
	}
	if n := s.readings(t, r.Device.ID); n != 2 {
		t.Errorf("%d readings are stored", n)
	}
	e := s.events(t, r.Device.ID, uplink.Refused, "3 of 5 items")
	for _, named := range []string{`"t"`, `"u"`, "[2]"} {
		if !strings.Contains(e.Message, named) {
			t.Errorf("%q does not name %s", e.Message, named)
		}
	}
}

func TestConnectRefusals(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r, other := s.register(t), s.register(t)
	id := r.Device.ID
	for what, c := range map[string]struct {
		packet []byte
		code   byte
	}{
		"wrong secret, 3.1.1":    {connectPacket(4, true, id, id, "wrong"), 0x05},
		"wrong secret, 5":        {connectPacket(5, true, id, id, "wrong"), 0x86},
		"another's secret":       {connectPacket(4, true, id, id, other.Secret), 0x05},
		"another's client id":    {connectPacket(4, true, other.Device.ID, id, r.Secret), 0x02},
		"another's client id, 5": {connectPacket(5, true, other.Device.ID, id, r.Secret), 0x85},
		"MQTT 3.1":               {packet(0x10, text("MQIsdp"), []byte{3, 0xC2, 0, 60}, text(id), text(id), text(r.Secret)), 0x01},
		"no client id, lasting":  {connectPacket(4, false, "", id, r.Secret), 0x02},
		"will of quality 2":      {packet(0x10, text("MQTT"), []byte{5, 0xD6, 0, 60, 0}, text(id), []byte{0}, text("devices/x"), text("{}"), text(id), text(r.Secret)), 0x9B},
	} {
		client := s.dial(t)
		client.send(c.packet)
		if got := client.next(); len(got) < 3 || got[0] != 0x20 || got[2] != c.code {
			t.Errorf("%s: got % x, want CONNACK %#x", what, got, c.code)
		}
		client.wantClosed(what)
	}
	s.events(t, id, ingress.Refused, "wrong secret")
	s.events(t, id, ingress.Refused, "client id")
}

func TestSubscribeOwnTopicsOnly(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	own := "devices/" + r.Device.ID
	for version, refused := range map[byte]byte{4: 0x80, 5: 0x87} {
		c, _ := s.join(t, version, r, r.Device.ID, true)
		for filter, code := range map[string]byte{
			own + "/#": 1, own + "/commands": 1, own + "/+/desired": 1, own: 1,
			"#": refused, "devices/#": refused, "devices/+/commands": refused, "$SYS/#": refused, own + "x/#": refused, own + "/#/x": refused,
		} {
			c.send(subscribePacket(version, 9, filter, 2))
			got := c.next()
			if len(got) == 0 || got[0] != 0x90 || got[len(got)-1] != code {
				t.Errorf("version %d, %s: SUBACK % x, want code %#x", version, filter, got, code)
			}
		}
	}
}

func TestDeliveryCommandsAndConfig(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	id := r.Device.ID
	c, _ := s.join(t, 5, r, id, false, 0x11, 0, 0, 1, 0) // a session of 256 s
	c.send(subscribePacket(5, 1, "devices/"+id+"/#", 1))
	c.next() // SUBACK
	if _, err := s.Commands.Send(devicetest.As(t, caller.Operator), command.SendInput{DeviceID: id, Name: "blink"}); err != nil {
		t.Fatal(err)
	}
	sent := c.next()
	if len(sent) == 0 || sent[0]>>4 != 3 || !strings.Contains(string(sent), `"name":"blink"`) {
		t.Fatalf("the command is % x", sent)
	}
	// Packet ids of both directions are apart.
	c.send(publishPacket(5, 1, 1, "devices/"+id+"/telemetry", `{"t": 1}`))
	c.want("PUBACK of the same id", 0x40, 0, 1)
	c.send([]byte{0x40, 2, 0, 1})
	if _, err := s.Twins.Set(devicetest.As(t, caller.Operator), twin.SetInput{DeviceID: id, Desired: `{"fps": 5}`}); err != nil {
		t.Fatal(err)
	}
	delivered := make(chan int, 1)
	go func() {
		n, _ := s.Twins.DeliverPending(t.Context())
		delivered <- n
	}()
	config := c.next()
	if !strings.Contains(string(config), `"desired":{"fps":5}`) {
		t.Fatalf("the configuration is %q", config)
	}
	topic := int(config[1])<<8 | int(config[2])
	c.send([]byte{0x40, 2, config[3+topic], config[4+topic]})
	if n := <-delivered; n != 1 {
		t.Errorf("%d configurations are delivered", n)
	}
	_ = c.Close()
	time.Sleep(1100 * time.Millisecond) // a command is not resent within a second
	// Its subscriptions are in force when it comes back, without a SUBSCRIBE.
	again, connack := s.join(t, 5, r, id, false, 0x11, 0, 0, 1, 0)
	if connack[1] != 1 {
		t.Error("the session is not present")
	}
	for range 2 { // the command that was not acknowledged on commands/ack, and the configuration that was not reported
		if got := again.next(); len(got) == 0 || got[0]>>4 != 3 {
			t.Fatalf("after the reconnect: % x", got)
		}
	}
}

func TestTakeoverClosesTheOlderConnection(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	five, _ := s.join(t, 5, r, r.Device.ID, true)
	four, _ := s.join(t, 4, r, r.Device.ID, true)
	five.wantDisconnect("taken over", 0x8E)
	_, _ = s.join(t, 4, r, r.Device.ID, true)
	four.wantClosed("taken over")
}

func TestFifthConnectionClosesTheOldest(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	var all []*client
	for i := range 5 {
		c, _ := s.join(t, 5, r, fmt.Sprint(r.Device.ID, "-", i), true)
		all = append(all, c)
	}
	all[0].wantDisconnect("the fifth connects", 0x97)
	all[4].send([]byte{0xC0, 0})
	all[4].want("PINGRESP", 0xD0)
	s.events(t, r.Device.ID, ingress.Closed, "too many connections")
}

func TestRotationCutsConnections(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	c, _ := s.join(t, 5, r, r.Device.ID, true)
	if _, err := s.Registry.RotateSecret(devicetest.As(t, caller.System), r.Device.ID); err != nil {
		t.Fatal(err)
	}
	c.wantDisconnect("rotated", 0x87)
}

func TestLastWillIsStoredUnlessTheClientLeaves(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	id := r.Device.ID
	will := func(words string) []byte {
		return packet(0x10, text("MQTT"), []byte{4, 0xCE, 0, 60}, text(id), text("devices/"+id+"/events"),
			text(fmt.Sprintf(`{"type": "WILL", "message": %q}`, words)), text(id), text(r.Secret))
	}
	leaving := s.dial(t)
	leaving.send(will("leaves"), []byte{0xE0, 0})
	leaving.want("CONNACK", 0x20, 0, 0)
	leaving.wantClosed("it left")
	dying := s.dial(t)
	dying.send(will("dies"))
	dying.want("CONNACK", 0x20, 0, 0)
	_ = dying.Close()
	s.events(t, id, uplink.Reported, "dies")
	st := &devicetest.Station{Service: s.Service, Store: s.store}
	for _, e := range st.Events(t, id) {
		if strings.Contains(e.Message, "leaves") {
			t.Error("the will of a client that left is stored")
		}
	}
}

func TestFloodIsReadSlowerAndNoted(t *testing.T) {
	t.Parallel()
	s := open(t, func(l *ingress.Limits) { l.Messages, l.Burst = 20, time.Second })
	r := s.register(t)
	c, _ := s.join(t, 4, r, r.Device.ID, true)
	began := time.Now()
	var all [][]byte
	for i := range 50 {
		all = append(all, publishPacket(4, 1, uint16(i+1), "devices/"+r.Device.ID+"/telemetry", `{"t": 1}`))
	}
	c.send(all...)
	for i := range 50 {
		c.want("PUBACK", 0x40, 0, byte(i+1))
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("50 messages at 20 a second take %v", took)
	}
	s.events(t, r.Device.ID, ingress.Throttled, "20 messages")
	for range 200 { // of quality of service 0, those over the rate are dropped
		c.send(publishPacket(4, 0, 0, "devices/"+r.Device.ID+"/telemetry", `{"t": 1}`))
	}
	s.events(t, r.Device.ID, ingress.Throttled, "were dropped")
}

// Two processes share a store: the later connection wins, in any process, without messages between them.
func TestTakeoverAcrossProcesses(t *testing.T) {
	t.Parallel()
	one := open(t, nil)
	two := openOn(t, one.db, limits())
	r := one.register(t)
	first, _ := one.join(t, 5, r, r.Device.ID, true)
	second, _ := two.join(t, 5, r, r.Device.ID, true)
	first.wantDisconnect("the other process has the session", 0x8E)
	second.send([]byte{0xC0, 0})
	second.want("PINGRESP", 0xD0)
	connected, err := one.listener.Connected(t.Context())
	if err != nil || len(connected) != 1 {
		t.Errorf("connected are %v, %v", connected, err)
	}
	if _, err := one.Registry.RotateSecret(devicetest.As(t, caller.System), r.Device.ID); err != nil {
		t.Fatal(err)
	}
	second.wantDisconnect("the secret was rotated in the other process", 0x8E)
}

// A device process that dies leaves its devices UNKNOWN, and publishes their last wills.
func TestDeadProcessLeavesDevicesUnknown(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	dead := devicetestStore(s)
	if _, err := dead.Heartbeat(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := dead.AcquireSession(t.Context(), ingress.Claim{
		Key: ingress.Key{DeviceID: r.Device.ID, ClientID: r.Device.ID}, SecretHash: hashOf(r.Secret), TTL: time.Hour, Limit: 4, Now: time.Now(),
		Will: &ingress.Will{Message: device.UpMessage{DeviceID: r.Device.ID, Topic: device.UpEvents, Payload: []byte(`{"type": "WILL", "message": "crashed"}`)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	st := &devicetest.Station{Service: s.Service, Store: s.store, DB: s.db}
	st.SetPresence(t, r.Device.ID, device.Online)
	for deadline := time.Now().Add(soon); ; time.Sleep(50 * time.Millisecond) {
		found, err := s.store.Get(t.Context(), []string{r.Device.ID})
		if err != nil {
			t.Fatal(err)
		}
		if found[0].Presence == device.Unknown {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the device is %s", found[0].Presence)
		}
	}
	s.events(t, r.Device.ID, uplink.Reported, "crashed")
}

// A delayed will is published after its delay, unless the client is back before.
func TestDelayedWillIsPublishedUnlessTheClientIsBack(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	will := func(r registry.Registration, seconds byte) []byte {
		return packet(0x10, text("MQTT"), []byte{5, 0xC4, 0, 60, 5, 0x11, 0, 0, 0, 60}, text(r.Device.ID), []byte{5, 0x18, 0, 0, 0, seconds},
			text("devices/"+r.Device.ID+"/events"), text(`{"type": "WILL", "message": "gone"}`), text(r.Device.ID), text(r.Secret))
	}
	gone, back := s.register(t), s.register(t)
	for r, delay := range map[*registry.Registration]byte{&back: 3, &gone: 4} {
		c := s.dial(t)
		c.send(will(*r, delay))
		c.next() // CONNACK
		_ = c.Close()
	}
	s.join(t, 5, back, back.Device.ID, false)
	s.events(t, gone.Device.ID, uplink.Reported, "gone")
	st := &devicetest.Station{Service: s.Service, Store: s.store}
	for _, e := range st.Events(t, back.Device.ID) {
		if e.Type == uplink.Reported {
			t.Errorf("the will of a client that is back is published: %+v", e)
		}
	}
}
