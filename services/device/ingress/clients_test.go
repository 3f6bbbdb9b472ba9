package ingress_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/services/device/command"
	"github.com/sluicehq/sluice/services/device/devicetest"
	"github.com/sluicehq/sluice/services/device/ingress"
	"github.com/sluicehq/sluice/services/device/uplink"
)

// The MQTT 5 client of the Eclipse Foundation: reason codes, a lasting session, and the expiry of a command.
func TestPahoClientOfMQTT5(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	r := s.register(t)
	id := r.Device.ID
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	received := make(chan *paho.Publish, 10)
	connack := make(chan *paho.Connack, 10)
	address := &url.URL{Scheme: "mqtt", Host: s.listener.Addr()}
	connect := func() *autopaho.ConnectionManager {
		client, err := autopaho.NewConnection(ctx, autopaho.ClientConfig{
			ServerUrls: []*url.URL{address}, KeepAlive: 20, ConnectUsername: id, ConnectPassword: []byte(r.Secret), SessionExpiryInterval: 60,
			WillMessage:    &paho.WillMessage{Topic: "devices/" + id + "/events", Payload: []byte(`{"type": "WILL"}`), QoS: 1},
			OnConnectionUp: func(_ *autopaho.ConnectionManager, ack *paho.Connack) { connack <- ack },
			ClientConfig: paho.ClientConfig{ClientID: id, OnPublishReceived: []func(paho.PublishReceived) (bool, error){
				func(p paho.PublishReceived) (bool, error) { received <- p.Packet; return true, nil },
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	client := connect()
	if ack := <-connack; ack.SessionPresent || ack.Properties.MaximumQoS == nil || *ack.Properties.MaximumQoS != 1 {
		t.Errorf("CONNACK %+v", ack)
	}
	if _, err := client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "devices/" + id + "/commands", QoS: 1}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Publish(ctx, &paho.Publish{Topic: "devices/" + id + "/telemetry", QoS: 1, Payload: []byte(`{"t": 1}`)}); err != nil {
		t.Fatal(err)
	}
	refused, err := client.Publish(ctx, &paho.Publish{Topic: "devices/" + id + "/telemetry", QoS: 1, Payload: []byte(`nonsense`)})
	if err == nil || refused == nil || refused.ReasonCode != 0x99 { // this client asks for no reason strings
		t.Errorf("nonsense gets %+v, %v", refused, err)
	}
	if n := s.readings(t, id); n != 1 {
		t.Errorf("%d readings are stored", n)
	}
	if _, err := s.Commands.Send(devicetest.As(t, caller.Operator), command.SendInput{DeviceID: id, Name: "blink", Timeout: 30 * time.Second}); err != nil {
		t.Fatal(err)
	}
	if p := <-received; p.Properties.MessageExpiry == nil || *p.Properties.MessageExpiry > 30 {
		t.Errorf("the command is %+v", p)
	}
	if err := client.Disconnect(ctx); err != nil {
		t.Fatal(err)
	}
	again := connect()
	if ack := <-connack; !ack.SessionPresent {
		t.Error("the session is not present")
	}
	if err := again.Disconnect(ctx); err != nil {
		t.Fatal(err)
	}
}

// The client that docs/devices.md shows, with both versions, over TCP and TLS.
func TestMosquittoPublishes(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("mosquitto_pub"); err != nil {
		if slices.Contains(strings.Split(os.Getenv("SLUICE_TEST_REQUIRE"), ","), "mosquitto") {
			t.Fatal(err)
		}
		t.Skip("SKIP: no mosquitto_pub on this machine")
	}
	certificate := selfSigned(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := open(t, nil)
	secure := openWith(t, plain.db, limits(), func(o *ingress.Options) {
		o.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	})
	publish := func(s *site, version, id, secret, topic, payload string, more ...string) (string, error) {
		host, port, err := net.SplitHostPort(s.listener.Addr())
		if err != nil {
			t.Fatal(err)
		}
		args := append([]string{"-V", version, "-h", host, "-p", port, "-i", id + "-pub", "-u", id, "-P", secret, "-q", "1", "-t", topic, "-m", payload}, more...)
		out, err := exec.CommandContext(t.Context(), "mosquitto_pub", args...).CombinedOutput()
		return string(out), err
	}
	for _, version := range []string{"mqttv311", "mqttv5"} {
		r := plain.register(t)
		id := r.Device.ID
		for i, s := range []*site{plain, secure} {
			var more []string
			if s == secure {
				more = []string{"--cafile", file}
			}
			payload := `{"at": 170000000000` + string(rune('0'+i)) + `, "values": {"t": 1}}`
			if out, err := publish(s, version, id, r.Secret, "devices/"+id+"/telemetry", payload, more...); err != nil {
				t.Errorf("%s: %v\n%s", version, err, out)
			}
		}
		if n := plain.readings(t, id); n != 2 {
			t.Errorf("%s: %d readings are stored", version, n)
		}
		if out, err := publish(plain, version, id, "wrong", "devices/"+id+"/telemetry", "{}"); err == nil {
			t.Errorf("%s: a wrong secret publishes: %s", version, out)
		}
		if out, err := publish(plain, version, id, r.Secret, "devices/"+id+"/weather", "{}"); version == "mqttv311" && err != nil {
			t.Errorf("%s: %v\n%s", version, err, out)
		}
		plain.events(t, id, uplink.Refused, "weather")
	}
}

const pythonClient = `
import sys, paho.mqtt.client as mqtt
host, port, id, secret, topic, version = sys.argv[1:]
client = mqtt.Client(client_id=id, protocol=mqtt.MQTTv5 if version == "5" else mqtt.MQTTv311)
client.username_pw_set(id, secret)
client.will_set("devices/" + id + "/events", '{"type": "WILL"}', qos=1)
client.connect(host, int(port))
client.loop_start()
for qos in (0, 1):
    client.publish(topic, '{"at": 170000000000%d, "values": {"t": 1}}' % qos, qos=qos).wait_for_publish()
client.disconnect()
client.loop_stop()
`

// The Python client of the Eclipse Foundation, as Debian packages it, with both versions.
func TestPahoClientOfPython(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3" // the one for which Debian's packages are
	if err := exec.CommandContext(t.Context(), python, "-c", "import paho.mqtt.client").Run(); err != nil {
		t.Skip("SKIP: no python3-paho-mqtt on this machine")
	}
	s := open(t, nil)
	host, port, err := net.SplitHostPort(s.listener.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"4", "5"} {
		r := s.register(t)
		id := r.Device.ID
		out, err := exec.CommandContext(t.Context(), python, "-c", pythonClient, host, port, id, r.Secret, "devices/"+id+"/telemetry", version).CombinedOutput()
		if err != nil {
			t.Errorf("version %s: %v\n%s", version, err, out)
		}
		if n := s.readings(t, id); n != 2 {
			t.Errorf("version %s: %d readings are stored", version, n)
		}
	}
}
