package device

import (
	"context"
	"errors"
	"time"
)

// DownTopic is the topic of a message to a device. In MQTT it is devices/<device id>/<topic>.
type DownTopic string

// The topics to devices.
const (
	DownConfig   DownTopic = "config/desired"
	DownCommands DownTopic = "commands"
)

// DownMessage is a message to a device.
type DownMessage struct {
	DeviceID  string
	Topic     DownTopic
	Payload   []byte
	ExpiresAt time.Time // zero for never; the deadline of a command
}

// ErrNotSubscribed reports that the device has no connection in this process that subscribes to the topic.
var ErrNotSubscribed = errors.New("the device is not subscribed in this process")

// Downlink delivers messages to devices.
type Downlink interface {
	// Route reports whether this process should send to the device: it has a connection of the device, or no process
	// has. Otherwise Route notifies the process with the connection, which reads from the store what to send.
	Route(ctx context.Context, deviceID string) (bool, error)

	// Deliver sends the message to the connections of the device in this process. A command is delivered when it is
	// in a write queue, because the device acknowledges it on commands/ack; a configuration when the device has
	// acknowledged it by PUBACK. ErrNotSubscribed if no connection here subscribes to the topic.
	Deliver(ctx context.Context, m DownMessage) error
}

// NoDownlink is the downlink of a service without a listener for devices.
type NoDownlink struct{}

// Route returns true.
func (NoDownlink) Route(context.Context, string) (bool, error) { return true, nil }

// Deliver does nothing.
func (NoDownlink) Deliver(context.Context, DownMessage) error { return nil }

// deferredKey is the context key of the functions that Defer collects.
type deferredKey struct{}

// WithDeferred returns a context that collects deferred functions. The caller calls run after the commit.
func WithDeferred(ctx context.Context) (deferring context.Context, run func(ctx context.Context)) {
	var functions []func(context.Context)
	return context.WithValue(ctx, deferredKey{}, &functions), func(ctx context.Context) {
		for _, f := range functions {
			f(ctx)
		}
	}
}

// Defer runs f after the commit if the context belongs to a transaction of several messages, else at once. A crash
// may lose f, so its effect must be repairable from the store.
func Defer(ctx context.Context, f func(ctx context.Context)) {
	if functions, ok := ctx.Value(deferredKey{}).(*[]func(context.Context)); ok && functions != nil {
		*functions = append(*functions, f)
		return
	}
	f(ctx)
}

// UpTopic is the topic of a message from a device. In MQTT it is devices/<device id>/<topic>.
type UpTopic string

// The topics from devices.
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

// MaxPayload bounds a payload, in bytes.
const MaxPayload = 64 << 10

// UpMessage is a message from an authenticated device. It may be redelivered.
type UpMessage struct {
	DeviceID  string
	Topic     UpTopic // the whole topic, when Foreign
	Foreign   bool    // the topic is not below devices/<device id>/
	Payload   []byte
	ArrivedAt time.Time
}
