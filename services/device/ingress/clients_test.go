package ingress_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
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
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/command"
	"github.com/sluicehq/sluice/services/device/devicetest"
	"github.com/sluicehq/sluice/services/device/ingress"
	"github.com/sluicehq/sluice/services/device/registry"
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
	if _, err := client.Publish(ctx, &paho.Publish{Topic: "devices/" + id + "/events", QoS: 0, Payload: []byte(`{"type": "QUALITY_0"}`)}); err != nil {
		t.Fatal(err)
	}
	s.events(t, id, uplink.Reported, "QUALITY_0")
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

// required skips the test when a client is not installed, and fails it when SLUICE_TEST_REQUIRE names the client.
func required(t *testing.T, client string, err error) {
	t.Helper()
	switch {
	case err == nil:
	case slices.Contains(strings.Split(os.Getenv("SLUICE_TEST_REQUIRE"), ","), client):
		t.Fatalf("%s is required: %v", client, err)
	default:
		t.Skipf("SKIP: no %s on this machine", client)
	}
}

// The client that docs/devices.md shows, with both versions, over TCP and TLS.
func TestMosquittoPublishes(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("mosquitto_pub")
	required(t, "mosquitto", err)
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
			for qos := range 2 {
				payload := fmt.Sprintf(`{"at": %d, "values": {"t": 1}}`, 1_700_000_000_000+10*i+qos)
				if out, err := publish(s, version, id, r.Secret, "devices/"+id+"/telemetry", payload, append(more, "-q", fmt.Sprint(qos))...); err != nil {
					t.Errorf("%s: %v\n%s", version, err, out)
				}
			}
			subscribeTwice(t, s, version, r, more...)
		}
		for deadline := time.Now().Add(soon); plain.readings(t, id) != 4; time.Sleep(10 * time.Millisecond) { // quality 0 has no answer
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d readings are stored", version, plain.readings(t, id))
			}
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

// subscribeTwice runs mosquitto_sub with a lasting session and a last will: it receives a command, is killed, and receives
// the command again after its reconnect, without the filter that it subscribed to.
func subscribeTwice(t *testing.T, s *site, version string, r registry.Registration, more ...string) {
	t.Helper()
	id := r.Device.ID
	host, port, err := net.SplitHostPort(s.listener.Addr())
	if err != nil {
		t.Fatal(err)
	}
	will := "killed " + version + port
	args := append([]string{
		"-V", version, "-h", host, "-p", port, "-i", id, "-u", id, "-P", r.Secret, "-q", "1", "-c", "-W", "20",
		"--will-topic", "devices/" + id + "/events", "--will-qos", "1", "--will-payload", fmt.Sprintf(`{"type": "WILL", "message": %q}`, will),
	}, more...)
	if version == "mqttv5" {
		args = append(args, "-x", "60")
	}
	c, err := s.Commands.Send(devicetest.As(t, caller.Operator), command.SendInput{DeviceID: id, Name: "blink"})
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"devices/" + id + "/commands", "devices/" + id + "/config/desired"} { // the second is another one
		time.Sleep(1100 * time.Millisecond) // a command is not resent within a second
		cmd := exec.CommandContext(t.Context(), "mosquitto_sub", append(args, "-t", topic)...)
		output, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(output).ReadString('\n'); err != nil || !strings.Contains(line, c.ID) {
			t.Errorf("%s: mosquitto_sub receives %q, %v", version, line, err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	s.events(t, id, uplink.Reported, will)
	if err := s.Uplink.Handle(t.Context(), device.UpMessage{DeviceID: id, Topic: device.UpCommandAck, Payload: []byte(`{"id": "` + c.ID + `"}`)}); err != nil {
		t.Fatal(err)
	}
}

const pythonClient = `
import sys, paho.mqtt.client as mqtt
host, port, id, secret, topic, version = sys.argv[1:]
if version == "5":
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties
    lasting = Properties(PacketTypes.CONNECT)
    lasting.SessionExpiryInterval = 60
    client = mqtt.Client(client_id=id, protocol=mqtt.MQTTv5)
    connect = lambda: client.connect(host, int(port), clean_start=False, properties=lasting)
else:
    client = mqtt.Client(client_id=id, protocol=mqtt.MQTTv311, clean_session=False)
    connect = lambda: client.connect(host, int(port))
client.username_pw_set(id, secret)
client.will_set("devices/" + id + "/events", '{"type": "WILL"}', qos=1)
connected = []
client.on_connect = lambda client, userdata, flags, *rest: connected.append(flags["session present"])
for again in (0, 1):
    connect()
    client.loop_start()
    for qos in (0, 1):
        client.publish(topic, '{"at": 170000000000%d, "values": {"t": 1}}' % qos, qos=qos).wait_for_publish()
    client.disconnect()
    client.loop_stop()
assert connected == [0, 1], connected
`

// The Python client of the Eclipse Foundation, as Debian packages it, with both versions.
func TestPahoClientOfPython(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3" // the one for which Debian's packages are
	required(t, "python", exec.CommandContext(t.Context(), python, "-c", "import paho.mqtt.client").Run())
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
