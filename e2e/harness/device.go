package harness

import (
	"regexp"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

var mqttShown = regexp.MustCompile(`MQTT +(\S+)\n`)

// MQTTAddr returns the address of the program's device listener, as host:port.
func (p *Program) MQTTAddr(t *testing.T) string {
	t.Helper()
	found := mqttShown.FindStringSubmatch(p.Stdout.String())
	if found == nil {
		t.Fatalf("the program does not say where devices connect:\n%s", p.Stdout)
	}
	return found[1]
}

// Device is the id and the secret of a registered device.
type Device struct{ ID, Secret string }

// RegisterDevice registers a device of the kind.
func (p *Program) RegisterDevice(t *testing.T, token, kind string) Device {
	t.Helper()
	const register = `mutation($kind: DeviceKind!) { registerDevice(input: {name: "Press 4", kind: $kind}) { secret device { id } } }`
	made := Query[struct {
		RegisterDevice struct {
			Secret string
			Device struct{ ID string }
		}
	}](t, p, token, register, Vars{"kind": kind}).RegisterDevice
	return Device{ID: made.Device.ID, Secret: made.Secret}
}

// Connect connects the device over MQTT. The channel is closed when the connection is lost.
func (d Device) Connect(t *testing.T, addr string) (client mqtt.Client, lost <-chan struct{}, err error) {
	t.Helper()
	return d.ConnectAs(t, addr, d.ID)
}

// ConnectAs connects the device under another client id.
func (d Device) ConnectAs(t *testing.T, addr, clientID string) (client mqtt.Client, lost <-chan struct{}, err error) {
	t.Helper()
	ended := make(chan struct{})
	client = mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + addr).SetProtocolVersion(4).
		SetClientID(clientID).SetUsername(d.ID).SetPassword(d.Secret).SetAutoReconnect(false).SetConnectTimeout(Timeout).
		SetConnectionLostHandler(func(mqtt.Client, error) { close(ended) }))
	token := client.Connect()
	if !token.WaitTimeout(Timeout) {
		t.Fatal("the broker does not answer")
	}
	if token.Error() == nil {
		t.Cleanup(func() { client.Disconnect(0) })
	}
	return client, ended, token.Error()
}

// DeviceByName returns the id of the only device whose name contains the text.
func DeviceByName(t *testing.T, p *Program, token, name string) string {
	t.Helper()
	const query = `query($name: String!) { devices(filter: {nameContains: $name}) { nodes { id } } }`
	found := Query[struct{ Devices Count }](t, p, token, query, Vars{"name": name}).Devices.Nodes
	if len(found) != 1 {
		t.Fatalf("there are %d devices with %q in their name", len(found), name)
	}
	return found[0].ID
}
