package device

import (
	"context"
	"time"
)

// DownTopic is what a message to a device is about. Over MQTT the topic is devices/<device id>/<topic>.
type DownTopic string

// What devices receive.
const (
	DownConfig   DownTopic = "config/desired"
	DownCommands DownTopic = "commands"
)

// Downlink carries messages to devices.
type Downlink interface {
	// Deliver hands the payload to the broker for the device, at least once. nil: the broker stores it
	// until the device has it, when the device has a persistent session, or passes it on now, or
	// no client is subscribed.
	Deliver(ctx context.Context, deviceID string, topic DownTopic, payload []byte) error
}

// Nowhere is the downlink of a service that no broker was given.
type Nowhere struct{}

// Deliver does nothing.
func (Nowhere) Deliver(context.Context, string, DownTopic, []byte) error { return nil }

// UpTopic is what a message of a device is about. Over MQTT the topic is devices/<device id>/<topic>.
type UpTopic string

// What devices tell.
const (
	UpTelemetry      UpTopic = "telemetry"
	UpPosition       UpTopic = "position"
	UpState          UpTopic = "state"
	UpEvents         UpTopic = "events"
	UpConfigReported UpTopic = "config/reported"
	UpCommandAck     UpTopic = "commands/ack"
	UpCommandLog     UpTopic = "commands/log"
	UpCommandResult  UpTopic = "commands/result"
)

// UpTopics lists what devices tell.
func UpTopics() []UpTopic {
	return []UpTopic{UpTelemetry, UpPosition, UpState, UpEvents, UpConfigReported, UpCommandAck, UpCommandLog, UpCommandResult}
}

// MaxPayload bounds a message of a device, in bytes.
const MaxPayload = 64 << 10

// UpMessage is a message from an authenticated device. It may be redelivered.
type UpMessage struct {
	DeviceID  string
	Topic     UpTopic
	Payload   []byte
	ArrivedAt time.Time // when the broker took it
	Sequence  uint64    // grows from message to message of the broker
}
