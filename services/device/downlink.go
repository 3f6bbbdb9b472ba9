package device

import "context"

// DownTopic is what a message to a device is about. Over MQTT the topic is devices/<device id>/<topic>.
type DownTopic string

// What devices are told.
const (
	DownConfig   DownTopic = "config/desired"
	DownCommands DownTopic = "commands"
)

// DownTopics lists what devices are told.
func DownTopics() []DownTopic { return []DownTopic{DownConfig, DownCommands} }

// Downlink carries messages to devices.
type Downlink interface {
	// Deliver hands the payload to the broker for the device, at least once. nil: the broker keeps it
	// until the device has it, when the device has a persistent session, or passes it on now, or
	// nobody is subscribed.
	Deliver(ctx context.Context, deviceID string, topic DownTopic, payload []byte) error
}

// nowhere is the downlink of a service that no broker was given.
type nowhere struct{}

func (nowhere) Deliver(context.Context, string, DownTopic, []byte) error { return nil }
