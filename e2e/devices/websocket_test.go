package devices

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sluicehq/sluice/e2e/harness"
)

func mqttText(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

func mqttPacket(first byte, body ...[]byte) []byte {
	all := bytes.Join(body, nil)
	return append(binary.AppendUvarint([]byte{first}, uint64(len(all))), all...)
}

// dialMQTT connects to /mqtt at the address from 127.0.0.2, and returns CONNACK.
func dialMQTT(t *testing.T, addr string, header http.Header, d harness.Device, secret string) (conn *websocket.Conn, connack []byte) {
	t.Helper()
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	dialer := websocket.Dialer{
		Subprotocols: []string{"mqtt"}, HandshakeTimeout: harness.Timeout,
		NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return from.DialContext(ctx, network, address)
		},
	}
	conn, response, err := dialer.DialContext(t.Context(), "ws://"+addr+"/mqtt", header)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(harness.Timeout))
	connect := mqttPacket(0x10, mqttText("MQTT"), []byte{4, 0xC2, 0, 60}, mqttText(d.ID), mqttText(d.ID), mqttText(secret))
	if err := conn.WriteMessage(websocket.BinaryMessage, connect); err != nil {
		t.Fatal(err)
	}
	_, connack, err = conn.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	return conn, connack
}

// The gateway and the device service are apart: a device connects to /mqtt of the gateway. Its address is that of its
// connection to the gateway. Without the service token the device service believes no forwarded address.
func TestDeviceConnectsThroughTheGatewayToAnotherProcess(t *testing.T) {
	t.Parallel()
	in := harness.StartServices(t)
	in.Gateway = in.StartGateway(t, harness.ServiceToken)
	p := in.Gateway
	token := p.SignIn(t, "admin")
	d := p.RegisterDevice(t, token, "SENSOR")
	conn, connack := dialMQTT(t, p.Addr, http.Header{"Origin": {"https://elsewhere.example"}}, d, d.Secret)
	if !bytes.Equal(connack, []byte{0x20, 2, 0, 0}) {
		t.Fatalf("CONNACK % x", connack)
	}
	publish := mqttPacket(0x32, mqttText("devices/"+d.ID+"/telemetry"), []byte{0, 7}, []byte(`{"temperature": 21.5}`))
	if err := conn.WriteMessage(websocket.BinaryMessage, publish); err != nil {
		t.Fatal(err)
	}
	if _, puback, err := conn.ReadMessage(); err != nil || !bytes.Equal(puback, []byte{0x40, 2, 0, 7}) {
		t.Fatalf("PUBACK % x, %v", puback, err)
	}
	awaitDevice(t, p, token, d.ID, "that it is there", func(s shown) bool { return s.Presence == "ONLINE" && len(s.Telemetry[0].Points) == 1 })
	if err := conn.WriteMessage(websocket.TextMessage, []byte("text")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.ReadMessage(); err == nil {
		t.Error("a text message does not end the connection")
	}

	forged := http.Header{"X-Forwarded-For": {"192.0.2.1"}}
	for _, c := range []struct{ what, addr, want string }{
		{"through the gateway", p.Addr, "127.0.0.2"}, {"to the device service", in.WebsocketAddr, "127.0.0.2"},
	} {
		other := p.RegisterDevice(t, token, "SENSOR")
		if _, connack := dialMQTT(t, c.addr, forged, other, "wrong"); !bytes.Equal(connack, []byte{0x20, 2, 0, 5}) {
			t.Errorf("%s: CONNACK % x", c.what, connack)
		}
		awaitDevice(t, p, token, other.ID, "the refusal with its address", func(s shown) bool {
			for _, e := range s.Events.Nodes {
				if e.Type == "CONNECTION_REFUSED" && strings.Contains(e.Message, "wrong secret") {
					if e.Data["address"] != c.want {
						t.Errorf("%s: the address is %v, want %s", c.what, e.Data["address"], c.want)
					}
					return true
				}
			}
			return false
		})
	}
}
